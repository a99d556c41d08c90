"""Maps that a generator may be told beside edges: boxes, masks, heat.

B batch, C channels, K boxes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from augury.data.sample import Box

MAPS = ("edges", "mask", "boxes", "cam")  # every kind of map, in the order of the channels
Heat = Callable[[Tensor], Tensor]  # image_BCHW in [-1, 1] -> heat_B1hw of any range and size: a classifier's CAM
Corners = tuple[float, float, float, float]  # left, top, right, bottom in pixels; of pixel 0 they are 0, 0, 1, 1
_TOUCHING = np.ones((3, 3), dtype=bool)  # pixels that touch at a corner are one component


def box_map(corners_K: Iterable[Corners], *, size: tuple[int, int]) -> NDArray[np.float32]:
    """map_HW: what share of each pixel lies in a box, the largest where boxes overlap; a box adds up to its area."""
    map_HW = np.zeros(size, dtype=np.float32)
    for left, top, right, bottom in corners_K:
        across_W = _covered(left, right, size[1])
        down_H = _covered(top, bottom, size[0])
        map_HW = np.maximum(map_HW, down_H[:, None] * across_W[None, :])
    return map_HW


def placed_boxes(boxes: Sequence[Box], facts: Mapping[str, Any]) -> list[Corners]:
    """Boxes of a sample, in its file's pixels, at their place in the store; `facts` has "crop" and "placed"."""
    left, top, width, height = facts["crop"]
    at_left, at_top, at_width, at_height = facts["placed"]
    across, down = at_width / width, at_height / height
    return [
        (
            at_left + (box.x - left) * across,
            at_top + (box.y - top) * down,
            at_left + (box.x + box.width - left) * across,
            at_top + (box.y + box.height - top) * down,
        )
        for box in boxes
    ]


def boxes_of(mask_HW: NDArray[Any]) -> list[Corners]:
    """The tight box of each component of a mask: what stands in for boxes where a set has masks alone."""
    found_HW, _ = ndimage.label(mask_HW > 0, structure=_TOUCHING)
    slices = ndimage.find_objects(found_HW)
    return [(float(x.start), float(y.start), float(x.stop), float(y.stop)) for y, x in slices]


def heat_map(heat: Heat, image_BCHW: Tensor) -> Tensor:
    """map_B1HW in [0, 1]: sigmoid(0.1 heat), enlarged to the image (Wang et al., arXiv 2012.01879).

    The squashing is the same for all images, so that a weak response stays weak; no response is one half.
    """
    squashed_B1hw = torch.sigmoid(0.1 * heat(image_BCHW))
    size = (image_BCHW.shape[-2], image_BCHW.shape[-1])
    return F.interpolate(squashed_B1hw, size=size, mode="bicubic", align_corners=False).clamp(0, 1)


def _covered(start: float, stop: float, count: int) -> NDArray[np.float32]:
    """What share of each of `count` unit cells lies between start and stop."""
    place = np.arange(count)
    covered_N = np.minimum(stop, place + 1) - np.maximum(start, place)
    return np.asarray(covered_N.clip(0, 1), dtype=np.float32)

"""Warps of images and their maps together, with the numbers that tell a network what was done to each image.

B batch, C channels, K map channels, H height, W width, D uniform draws, A numbers told.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from augury.conditions.condition import Condition
from augury.generators.flow_settings import Warps

KINDS = 5  # shift along x, along y, scale, turn, stretch
DRAWS = 2 * KINDS + 1  # uniform numbers that one image needs
TOLD = KINDS  # zeros: nothing was done
LARGEST = (0.24, 0.24, 0.14, 0.26, 0.1)  # in sampling units, logarithms and radians, at strength 1


def warped(
    image_BCHW: Tensor, condition: Condition, uniform_BD: Tensor, *, warps: Warps
) -> tuple[Tensor, Condition, Tensor]:
    """image_BCHW and the condition's maps after the same warp, and told_BA in [-1, 1].

    Images that chance spared are bit for bit what they were. Mirrored ones are not told apart: whoever asks for it says
    that a picture has no side.
    """
    done_BA = (2 * uniform_BD[:, KINDS : 2 * KINDS] - 1) * (uniform_BD[:, :KINDS] < warps.chance)
    mirrored_B = uniform_BD[:, -1] < 0.5 * warps.mirror
    changed_X = torch.nonzero(done_BA.any(1) | mirrored_B).flatten()
    if len(changed_X):
        grid_XHW2 = _grid(done_BA[changed_X], mirrored_B[changed_X], image_BCHW.shape, strength=warps.strength)
        # Padding is with the darkest value, the background of nearly every medical image.
        image_BCHW = image_BCHW.clone()
        image_BCHW[changed_X] = F.grid_sample(image_BCHW[changed_X] + 1, grid_XHW2, align_corners=False) - 1
        if condition.map_BKHW is not None:
            map_BKHW = condition.map_BKHW.clone()
            map_BKHW[changed_X] = F.grid_sample(map_BKHW[changed_X], grid_XHW2, align_corners=False)
            condition = replace(condition, map_BKHW=map_BKHW)
    return image_BCHW, condition, done_BA


def _grid(done_XA: Tensor, mirrored_X: Tensor, shape: torch.Size, *, strength: float) -> Tensor:
    """grid_XHW2: where each pixel is taken from; turns keep circles round on pictures that are not square."""
    shift_x, shift_y, scale, turn, stretch = (done_XA * torch.tensor(LARGEST) * strength).unbind(1)
    side = torch.where(mirrored_X, -1.0, 1.0)
    ratio = shape[3] / shape[2]
    across, down = (scale + stretch).exp(), (scale - stretch).exp()
    first = torch.stack([across * turn.cos() * side, -across * turn.sin() / ratio, shift_x], 1)
    second = torch.stack([down * turn.sin() * side * ratio, down * turn.cos(), shift_y], 1)
    size = [len(done_XA), shape[1], shape[2], shape[3]]
    return F.affine_grid(torch.stack([first, second], 1), size, align_corners=False)

"""An image and its maps turned, cropped and mirrored together, each image by parameters of its own.

B batch, C channels, K map channels, H height, W width. One sampling grid serves the image and every map, so a mask
stays on its lesion. What comes in from outside is the repeated border in an image and nothing (0) in a map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from augury.conditions.condition import Condition
from augury.data.augmentation import places
from augury.errors import UserError

FILLED = ("mask", "boxes")  # maps that say yes or no of a pixel


@dataclass(frozen=True, kw_only=True)
class Moves:
    """How far each image may be moved: the paper's paired turn of 20 degrees and crop of 0.75 to 1.05 (2310.12868)."""

    turn: float = 20.0  # degrees, uniform in +-
    crop: tuple[float, float] = (0.75, 1.05)  # side of the window that fills the image, uniform, as a share
    shift: float = 0.0  # share of the side, uniform in +-
    mirror: bool = False  # left-right, every second image; only where an image has no side

    def __post_init__(self) -> None:
        least, most = self.crop
        if not (0 < least <= most < math.inf and 0 <= self.turn <= 180 and 0 <= self.shift < 1):
            raise UserError(
                f"turn={self.turn}, crop={self.crop}, shift={self.shift}: expected 0 to 180 degrees, two shares above "
                "0 in order, and a share below 1; try the defaults"
            )


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where each image of a batch is moved to; `Placement.draw` draws one."""

    turn_B: Tensor  # radians, counter-clockwise as seen
    window_B: Tensor  # above 1: the image shrinks
    shift_B2: Tensor  # right and down, share of the side
    mirror_B: Tensor  # bool

    @classmethod
    def draw(cls, count: int, moves: Moves, *, generator: torch.Generator) -> Placement:
        """Uniform parameters of `count` images, from `generator` alone."""
        uniform_B5 = torch.rand(count, 5, generator=generator)
        least, most = moves.crop
        return cls(
            turn_B=(uniform_B5[:, 0] * 2 - 1) * math.radians(moves.turn),
            window_B=least + uniform_B5[:, 1] * (most - least),
            shift_B2=(uniform_B5[:, 2:4] * 2 - 1) * moves.shift,
            mirror_B=(uniform_B5[:, 4] < 0.5) & torch.tensor(moves.mirror),
        )

    def __len__(self) -> int:
        return len(self.turn_B)


def moved_image(image_BCHW: Tensor, placement: Placement) -> Tensor:
    """The images at their new places; the border repeats beyond itself."""
    return _read(image_BCHW, placement, outside="border")


def moved_maps(map_BKHW: Tensor, maps: tuple[str, ...], placement: Placement) -> Tensor:
    """The maps at the same places, 0 from outside. Masks and boxes stay yes or no, and none vanishes by its smallness.

    A pixel is yes from one half on; where no pixel of what lies inside reaches it, the strongest one is yes.
    """
    read_BKHW = _read(map_BKHW, placement, outside="zeros").clamp(0, 1)
    planes = [
        _yes_or_no(plane_BHW) if name in FILLED else plane_BHW
        for name, plane_BHW in zip(maps, read_BKHW.unbind(1), strict=True)
    ]
    return torch.stack(planes, dim=1)


def moved_pair(image_BCHW: Tensor, condition: Condition, placement: Placement) -> tuple[Tensor, Condition]:
    """Images and the maps of their condition, moved alike; labels and text stay."""
    image_BCHW = moved_image(image_BCHW, placement)
    if condition.map_BKHW is None:
        return image_BCHW, condition
    return image_BCHW, replace(condition, map_BKHW=moved_maps(condition.map_BKHW, condition.maps, placement))


def _read(value_BCHW: Tensor, placement: Placement, *, outside: str) -> Tensor:
    grid_BHW2 = places(_theta(value_BCHW, placement), value_BCHW)
    return F.grid_sample(value_BCHW, grid_BHW2, mode="bilinear", padding_mode=outside, align_corners=False)


def _theta(value_BCHW: Tensor, placement: Placement) -> Tensor:
    """theta_B23 from new to old coordinates; the ratio of the sides keeps turns rigid in images that are not square."""
    height, width = value_BCHW.shape[-2:]
    cosine_B = torch.cos(placement.turn_B) * placement.window_B
    sine_B = torch.sin(placement.turn_B) * placement.window_B
    side_B = torch.where(placement.mirror_B, -1.0, 1.0)
    shift_x_B, shift_y_B = (2 * placement.shift_B2).unbind(1)
    top_B2 = torch.stack([side_B * cosine_B, -side_B * sine_B * (height / width)], dim=1)
    bottom_B2 = torch.stack([sine_B * (width / height), cosine_B], dim=1)
    turn_B22 = torch.stack([top_B2, bottom_B2], dim=1)
    # What is to come to lie at (x + shift) is read at x: new = old + shift, so old = M (new - shift).
    offset_B21 = -turn_B22 @ torch.stack([shift_x_B, shift_y_B], dim=1)[:, :, None]
    return torch.cat([turn_B22, offset_B21], dim=2).to(value_BCHW)


def _yes_or_no(plane_BHW: Tensor) -> Tensor:
    strongest_B11 = plane_BHW.amax((1, 2), keepdim=True)
    few_BHW = (plane_BHW == strongest_B11) & (strongest_B11 > 0)
    return ((plane_BHW >= 0.5) | ((strongest_B11 < 0.5) & few_BHW)).to(plane_BHW.dtype)

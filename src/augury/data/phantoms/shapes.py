"""Soft shapes in the plane: signed distances (negative inside) and how they are painted. All tensors are BHW or B11."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F


def length(x: Tensor, y: Tensor) -> Tensor:
    """sqrt(x^2 + y^2): a third of the time of torch.hypot, whose care about overflow is not needed here."""
    return torch.addcmul(x * x, y, y).sqrt_()


def ellipse(x: Tensor, y: Tensor, *, across: Tensor | float, down: Tensor | float) -> Tensor:
    """About the signed distance to an ellipse at the origin: exact on the outline, first-order near it."""
    if isinstance(across, float) and isinstance(down, float):
        return length(x * (1 / across), y * (1 / down)).sub_(1).mul_(min(across, down))
    smaller = torch.minimum(torch.as_tensor(across), torch.as_tensor(down))
    return length(x * (1 / across), y * (1 / down)).sub_(1) * smaller


def turned(x: Tensor, y: Tensor, degrees: Tensor | float) -> tuple[Tensor, Tensor]:
    """Coordinates in a frame that is turned by this angle."""
    angle = degrees * (math.pi / 180)
    if isinstance(angle, Tensor):
        return x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    cosine, sine = math.cos(angle), math.sin(angle)
    return torch.add(x * cosine, y, alpha=sine), torch.sub(y * cosine, x, alpha=sine)


def segment(x: Tensor, y: Tensor, *, start: tuple[float, float], end: tuple[float, float]) -> Tensor:
    """Distance to a line segment."""
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    square = along_x**2 + along_y**2
    from_x, from_y = x - start[0], y - start[1]
    share = torch.add(from_x * (along_x / square), from_y, alpha=along_y / square).clamp_(0, 1)
    return length(torch.sub(from_x, share, alpha=along_x), torch.sub(from_y, share, alpha=along_y))


def cover(distance: Tensor, softness: Tensor | float) -> Tensor:
    """The share of a pixel that a shape covers: 1 well inside, 0 well outside, a ramp of this width between."""
    return (distance * (-1 / softness)).add_(0.5).clamp_(0, 1)


def window(value: Tensor, *, low: float, high: float, ramp: float) -> Tensor:
    """1 between low and high, falling linearly to 0 over `ramp` on either side."""
    return (torch.minimum(value - low, high - value) / ramp + 1).clamp(0, 1)


def paint(canvas: Tensor, coverage: Tensor, value: Tensor | float) -> Tensor:
    """The canvas with `value` laid over it where the shape covers."""
    return torch.lerp(canvas, torch.as_tensor(value).expand_as(canvas), coverage)


def smooth(coarse_BCKL: Tensor, size: int) -> Tensor:
    """The coarse fields as field_BCHW of size x size pixels: bicubic interpolation as two matrix products."""
    down, across = _bicubic(coarse_BCKL.shape[-2], size), _bicubic(coarse_BCKL.shape[-1], size)
    return down @ coarse_BCKL @ across.T


@lru_cache(maxsize=64)
def _bicubic(cells: int, size: int) -> Tensor:
    """matrix of size x cells: how each pixel mixes the cells along one axis."""
    unit = torch.eye(cells).view(cells, 1, cells, 1)
    finer = F.interpolate(unit, size=(size, 1), mode="bicubic", align_corners=False)
    return finer.view(cells, size).T.contiguous()

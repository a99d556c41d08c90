"""Augmentation that a generator's gradient passes through (Zhao 2020, differentiable augmentation).

B images, C channels, H height, W width. Images are float32 in [-1, 1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DRAWS = 8  # uniform numbers that one image needs


class Jitter(nn.Module):
    """Shifts, scales, turns, mirrors and re-lights each image by its own uniform numbers.

    Real and drawn images both pass it before the critic, so a small set is not learnt by heart; the numbers come from
    outside, so that a step stays a function of its seed. Strength 0 is the identity; 1 is 12 % shift, 12 % scale,
    8 degrees, 15 % contrast and brightness. Mirroring is only for images that have no side.
    """

    def __init__(self, *, strength: float, mirror: bool) -> None:
        super().__init__()
        self.strength = strength
        self.mirror = mirror

    def forward(self, image_BCHW: Tensor, uniform_BD: Tensor) -> Tensor:
        """image_BCHW changed by uniform_BD in [0, 1), D = DRAWS."""
        if not self.strength and not self.mirror:
            return image_BCHW
        moved_BCHW = self._move(image_BCHW, uniform_BD)
        signed_BD = (2 * uniform_BD - 1) * self.strength
        contrast_B111 = (1 + 0.15 * signed_BD[:, 5]).view(-1, 1, 1, 1)
        light_B111 = (0.15 * signed_BD[:, 6]).view(-1, 1, 1, 1)
        return moved_BCHW * contrast_B111 + light_B111

    def _move(self, image_BCHW: Tensor, uniform_BD: Tensor) -> Tensor:
        shift_x, shift_y, scale, turn = ((2 * uniform_BD - 1) * self.strength).unbind(1)[:4]
        side = torch.where(uniform_BD[:, 4] < 0.5, -1.0, 1.0) if self.mirror else torch.ones_like(scale)
        zoom, angle = 1 + 0.12 * scale, 0.14 * turn
        cos, sin = zoom * angle.cos(), zoom * angle.sin()
        first = torch.stack([cos * side, -sin, 0.24 * shift_x], 1)
        second = torch.stack([sin * side, cos, 0.24 * shift_y], 1)
        grid_BHW2 = F.affine_grid(torch.stack([first, second], 1), list(image_BCHW.shape), align_corners=False)
        # Padding is with the darkest value, the background of nearly every medical image.
        return F.grid_sample(image_BCHW + 1, grid_BHW2.to(image_BCHW.dtype), align_corners=False) - 1

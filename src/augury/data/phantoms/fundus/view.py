"""Where a camera looks: from millimetres on the retina to pixels. B images, N points, H height, W width.

On the retina x points from the fovea towards the nose and y downwards, in mm, for either eye: the two are mirror
images. A photograph of the right eye shows the nose's side at the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augury.data.phantoms.patients import Draws


@dataclass(frozen=True)
class View:
    """All B11."""

    nasal: Tensor  # 1: the nose's side is at the right (a right eye); -1: at the left
    x: Tensor  # mm: what lies in the middle of the image
    y: Tensor
    turn: Tensor  # radians
    pixel: Tensor  # mm
    size: int

    def retina(self) -> tuple[Tensor, Tensor]:
        """(x, y) in mm of every pixel, each BHW."""
        ticks = torch.arange(self.size, dtype=torch.float32) - (self.size - 1) / 2
        u, v = ticks.view(1, 1, -1) * self.pixel, ticks.view(1, -1, 1) * self.pixel
        cosine, sine = self.turn.cos(), self.turn.sin()
        return self.nasal * (u * cosine + v * sine) + self.x, v * cosine - u * sine + self.y

    def pixels(
        self, image_N: NDArray[np.int64], x_N: NDArray[np.float32], y_N: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(column, row) of points on the retina: the inverse of `retina`."""
        nasal, x, y, turn, pixel = (
            v.flatten().numpy()[image_N] for v in (self.nasal, self.x, self.y, self.turn, self.pixel)
        )
        across, down = nasal * (x_N - x), y_N - y
        u, v = across * np.cos(turn) - down * np.sin(turn), across * np.sin(turn) + down * np.cos(turn)
        middle = np.float32((self.size - 1) / 2)
        return (u / pixel + middle).astype(np.float32), (v / pixel + middle).astype(np.float32)

    def directions(self, image_N: NDArray[np.int64], angle_N: NDArray[np.float32]) -> NDArray[np.float32]:
        """Angles on the retina as angles in the image."""
        nasal, turn = self.nasal.flatten().numpy()[image_N], self.turn.flatten().numpy()[image_N]
        seen_N: NDArray[np.float32] = np.arctan2(np.sin(angle_N), nasal * np.cos(angle_N)) + turn
        return seen_N.astype(np.float32)


def aimed(draws: Draws, *, side_mm: Tensor, nasal: Tensor, size: int) -> View:
    """The camera aims between fovea and disc, a little beside, a little tilted."""
    return View(
        nasal=nasal,
        x=draws.between("centre_x", -0.4, 2.6),
        y=draws.between("centre_y", -0.7, 0.7),
        turn=draws.between("turn", -0.08, 0.08),
        pixel=side_mm / size,
        size=size,
    )

"""How much brighter or darker lesions are than what surrounds them, and how much of that survives a change.

Arrays only. N images, C channels, H height, W width, L lesions. A lesion is a connected component of a mask (8
neighbours); its ring is what lies beyond one pixel and within `RING` of it, without the other lesions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

GAP, RING = 1, 4  # pixels: the edge of a lesion is half of it, and its ring must lie near

Floats = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Contrasts:
    """Of each lesion: its pixels, and inside minus ring in each channel, before and after."""

    area_L: NDArray[np.int64]
    before_LC: NDArray[np.float64]
    after_LC: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.area_L)

    @staticmethod
    def joined(parts: Sequence[Contrasts]) -> Contrasts:
        """All lesions of several measurements."""
        return Contrasts(
            area_L=np.concatenate([part.area_L for part in parts]),
            before_LC=np.concatenate([part.before_LC for part in parts]),
            after_LC=np.concatenate([part.after_LC for part in parts]),
        )

    def smallest_third(self) -> Contrasts:
        """The lesions no larger than the third of them by area; ties stay together."""
        kept_L = self.area_L <= np.quantile(self.area_L, 1 / 3, method="lower") if len(self) else self.area_L > 0
        return Contrasts(area_L=self.area_L[kept_L], before_LC=self.before_LC[kept_L], after_LC=self.after_LC[kept_L])

    def surviving(self) -> float:
        """The share of contrast that is left: the slope through the origin of after on before; nan for no contrast.

        A lesion counts with the square of its contrast, so what cannot be seen before does not decide.
        """
        scale = float((self.before_LC**2).sum())
        return float((self.before_LC * self.after_LC).sum()) / scale if scale > 0 else float("nan")


def lesion_contrasts(before_NCHW: Floats, after_NCHW: Floats, mask_NHW: NDArray[np.bool_]) -> Contrasts:
    """The contrast of every lesion of the masks before and after; one whose ring is empty is left out.

    Raises ValueError where the shapes do not belong together.
    """
    shape = (len(before_NCHW), *before_NCHW.shape[2:])
    if before_NCHW.shape != after_NCHW.shape or mask_NHW.shape != shape:
        raise ValueError(f"got {before_NCHW.shape}, {after_NCHW.shape} and masks {mask_NHW.shape}: expected one size")
    found = [
        one
        for before_CHW, after_CHW, mask_HW in zip(before_NCHW, after_NCHW, mask_NHW, strict=True)
        for one in _of_image(before_CHW, after_CHW, mask_HW)
    ]
    channels = before_NCHW.shape[1]
    return Contrasts(
        area_L=np.array([area for area, _, _ in found], dtype=np.int64),
        before_LC=np.array([before_C for _, before_C, _ in found]).reshape(-1, channels),
        after_LC=np.array([after_C for _, _, after_C in found]).reshape(-1, channels),
    )


def _of_image(
    before_CHW: Floats, after_CHW: Floats, mask_HW: NDArray[np.bool_]
) -> list[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    part_HW, _ = ndimage.label(mask_HW, structure=np.ones((3, 3)))
    found = []
    for number, place in enumerate(ndimage.find_objects(part_HW), start=1):
        rows, columns = (slice(max(0, side.start - RING), side.stop + RING) for side in place)
        inside_hw = part_HW[rows, columns] == number
        away_hw = ndimage.distance_transform_edt(~inside_hw)
        ring_hw = (away_hw > GAP) & (away_hw <= RING) & ~mask_HW[rows, columns]
        if ring_hw.any():
            window = (slice(None), rows, columns)
            contrasts = (_contrast(image_CHW[window], inside_hw, ring_hw) for image_CHW in (before_CHW, after_CHW))
            found.append((int(inside_hw.sum()), *contrasts))
    return found  # type: ignore[return-value]


def _contrast(image_Chw: Floats, inside_hw: NDArray[np.bool_], ring_hw: NDArray[np.bool_]) -> NDArray[np.float64]:
    difference_C: NDArray[np.float64] = image_Chw[:, inside_hw].mean(1, dtype=np.float64) - image_Chw[:, ring_hw].mean(
        1, dtype=np.float64
    )
    return difference_C

"""Figures of merit of one case: a mask that was found beside the true one.

N cases, H height, W width, P points, D axes. A mask is 0 or False outside and anything else inside. Its surface are the
pixels with at least one of their four neighbours outside (beyond the image is outside); distances run between the
centres of such pixels, in units of `spacing`.

Empty masks: both empty is a perfect case (overlaps and shares 1, distances 0); where one alone is empty the overlaps,
precision and recall are 0 and both distances are the image's diagonal, the largest that any answer could earn.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial import KDTree

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


def case_scores(
    found_HW: ArrayLike, truth_HW: ArrayLike, *, spacing: tuple[float, float] = (1.0, 1.0)
) -> dict[str, float]:
    """dice, jaccard, hd95, assd, pixel_precision, pixel_recall and pixel_accuracy of one case (Taha and Hanbury 2015).

    `spacing` is the height and width of a pixel, in the unit that the distances shall have. What an empty mask gives is
    said at the top of this file. ValueError where the two masks differ in shape or are no images.

    >>> case_scores([[1, 1, 0, 0]], [[0, 1, 1, 0]])["dice"]
    0.5
    """
    found, truth = _mask(found_HW), _mask(truth_HW)
    if found.shape != truth.shape or found.ndim != 2:
        raise ValueError(f"got masks of shapes {found.shape} and {truth.shape}; expected one height and width")
    return {**_overlaps(found, truth), **_distances(found, truth, spacing)}


def dice(found_NHW: ArrayLike, truth_NHW: ArrayLike) -> Floats:
    """dice_N of many cases at once, each between 0 and 1 (Dice 1945); 1 where both masks are empty.

    >>> dice([[[1, 1]], [[0, 0]]], [[[1, 0]], [[0, 0]]]).round(3).tolist()
    [0.667, 1.0]
    """
    found, truth = _mask(found_NHW), _mask(truth_NHW)
    both_N = (found & truth).sum(axis=(1, 2))
    sizes_N = found.sum(axis=(1, 2)) + truth.sum(axis=(1, 2))
    return np.where(sizes_N > 0, 2.0 * both_N / np.maximum(sizes_N, 1), 1.0)


def surface_distances(a_HW: ArrayLike, b_HW: ArrayLike, *, spacing: tuple[float, float] = (1.0, 1.0)) -> Floats:
    """distance_P from each surface pixel of `a` to the nearest of `b`; ValueError where a mask is empty."""
    a_PD, b_PD = _surface(_mask(a_HW), spacing), _surface(_mask(b_HW), spacing)
    if not len(a_PD) or not len(b_PD):
        raise ValueError("an empty mask has no surface; expected two masks with pixels in them")
    distance_P: Floats = KDTree(b_PD).query(a_PD)[0]
    return distance_P


def _mask(mask: ArrayLike) -> Mask:
    inside: Mask = np.asarray(mask) != 0
    return inside


def _overlaps(found_HW: Mask, truth_HW: Mask) -> dict[str, float]:
    both, either = int((found_HW & truth_HW).sum()), int((found_HW | truth_HW).sum())
    found, truth = int(found_HW.sum()), int(truth_HW.sum())
    share = partial(_share, empty=1.0 if either == 0 else 0.0)
    return {
        "dice": share(2 * both, found + truth), "jaccard": share(both, either), "pixel_precision": share(both, found),
        "pixel_recall": share(both, truth), "pixel_accuracy": 1.0 - (either - both) / found_HW.size,
    }  # fmt: skip


def _share(part: int, whole: int, *, empty: float) -> float:
    return part / whole if whole else empty


def _distances(found_HW: Mask, truth_HW: Mask, spacing: tuple[float, float]) -> dict[str, float]:
    """hd95: the larger of the two directed 95th percentiles; assd: the mean over both surfaces' pixels together."""
    if not found_HW.any() or not truth_HW.any():
        height, width = found_HW.shape
        worst = 0.0 if found_HW.any() == truth_HW.any() else math.hypot(height * spacing[0], width * spacing[1])
        return {"hd95": worst, "assd": worst}
    there = surface_distances(found_HW, truth_HW, spacing=spacing)
    back = surface_distances(truth_HW, found_HW, spacing=spacing)
    return {
        "hd95": float(max(np.percentile(there, 95), np.percentile(back, 95))),
        "assd": float(np.concatenate([there, back]).mean()),
    }


def _surface(mask_HW: Mask, spacing: tuple[float, float]) -> Floats:
    """point_PD of the surface."""
    place_PD = np.argwhere(mask_HW & ~binary_erosion(mask_HW)).astype(np.float64)
    place_PD *= spacing
    return place_PD

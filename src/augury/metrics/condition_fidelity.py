"""Does an image show what was asked of it: edges within a tolerance, masks by their overlap, each per image.

N images, H height, W width. Both are blind to how beautiful an image is. An image of which nothing was asked (an empty
map) gives NaN: there is nothing to obey.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from augury.metrics.segmentation import dice

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]
THRESHOLD = 0.3  # of an edge map in [0, 1]: from here on a pixel is an edge
TOLERANCE = (
    1.5  # pixels: one step in any direction, also diagonally; the paper of BSDS500 allows 0.75 % of the diagonal
)


def edge_f1(
    found_NHW: Floats, asked_NHW: Floats, *, threshold: float = THRESHOLD, tolerance: float = TOLERANCE
) -> NDArray[np.float64]:
    """f1_N of edges: the harmonic mean of two shares (Martin, Fowlkes and Malik 2004, without one-to-one matching).

    Precision is the share of found edge pixels with one asked for within `tolerance` pixels, recall the share of those
    asked for with a found one as near. Both maps are cut at `threshold`. Nothing asked: NaN. Asked, nothing found: 0.
    """
    _expect_alike(found_NHW, asked_NHW)
    pairs = zip(found_NHW >= threshold, asked_NHW >= threshold, strict=True)
    return np.array([_f1(found_HW, asked_HW, tolerance=tolerance) for found_HW, asked_HW in pairs])


def mask_dice(found_NHW: Bools, asked_NHW: Bools) -> NDArray[np.float64]:
    """dice_N of metrics/segmentation.py, but NaN where nothing was asked."""
    _expect_alike(found_NHW, asked_NHW)
    asked_N = np.asarray(asked_NHW != 0).any((1, 2))
    dice_N: NDArray[np.float64] = np.where(asked_N, dice(found_NHW, asked_NHW), np.nan)
    return dice_N


def _f1(found_HW: Bools, asked_HW: Bools, *, tolerance: float) -> float:
    if not asked_HW.any():
        return float("nan")
    if not found_HW.any():
        return 0.0
    precision = float((distance_transform_edt(~asked_HW)[found_HW] <= tolerance).mean())
    recall = float((distance_transform_edt(~found_HW)[asked_HW] <= tolerance).mean())
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def _expect_alike(found_NHW: NDArray[np.generic], asked_NHW: NDArray[np.generic]) -> None:
    if found_NHW.shape != asked_NHW.shape or found_NHW.ndim != 3:
        raise ValueError(f"got maps of {found_NHW.shape} and {asked_NHW.shape}; expected N x H x W, the same for both")

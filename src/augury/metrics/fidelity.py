"""How near a set of synthetic images is to real ones: the kernel distance of their features.

Pure functions on arrays. N, M images, D features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augury.metrics.estimate import Estimate, Unit
from augury.metrics.jackknife import several
from augury.metrics.kernel_sums import PRECISE, block_sums, features, kernel_sums
from augury.metrics.neighbours import check_features

Floats = NDArray[np.floating]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Kid:
    """Kernel inception distance: its mean over subsets, their standard deviation, and how they were drawn."""

    value: float
    sd: float
    subsets: int
    subset_size: int


def kid(
    x_ND: Floats,
    y_MD: Floats,
    *,
    subsets: int = 100,
    subset_size: int | None = None,
    seed: int,
    device: str = "cpu",
) -> Kid:
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / D + 1)^3 (Binkowski 2018, equation 4).

    0 in expectation where both sets are draws of one distribution; it may fall below 0. None takes subsets of
    min(1000, 65 % of the smaller set). `kid_estimate` gives the whole sets' value with its interval.

    Raises:
        ValueError: other than two tables of the same features, or a subset size that the sets do not hold.
    """
    check_features(x_ND, y_MD)
    smaller = min(len(x_ND), len(y_MD))
    size = min(1000, int(0.65 * smaller)) if subset_size is None else subset_size
    if not 2 <= size <= smaller:
        raise ValueError(f"got subsets of {size}, expected at least 2 and at most {smaller}, the smaller set")
    rng, values = np.random.default_rng(seed), []
    x, y = features(x_ND, y_MD, device=device, precise=size**2 <= PRECISE)
    one_N = np.zeros(size, dtype=np.int64)
    for _ in range(subsets):
        drawn_x, drawn_y = x.rows(rng.permutation(len(x_ND))[:size]), y.rows(rng.permutation(len(y_MD))[:size])
        values.append(block_sums(drawn_x, drawn_y, block_x_N=one_N, block_y_M=one_N).value)
    return Kid(value=float(np.mean(values)), sd=float(np.std(values)), subsets=subsets, subset_size=size)


def squared_mmd(x_ND: Floats, y_MD: Floats, *, device: str = "cpu") -> float:
    """The unbiased estimate of MMD^2 (Gretton 2012, equation 3) with the cubic kernel of `kid`, of the whole sets."""
    return kernel_sums(x_ND, y_MD, device=device).value


def kid_estimate(
    x_ND: Floats,
    y_MD: Floats,
    *,
    block_x_N: IntArray,
    block_y_M: IntArray,
    n: int,
    unit: Unit = "group",
    group_x_N: NDArray[np.generic] | None = None,
    group_y_M: NDArray[np.generic] | None = None,
    level: float = 0.95,
    device: str = "cpu",
) -> Estimate:
    """`squared_mmd` of the whole sets with its interval: the jackknife over blocks of either, from one pass.

    n is the number of units behind it. Groups leave out pairs of one group: images of a patient are alike, and with
    them in, even a perfect set would seem far. ValueError where a set has a single block or features do not fit.
    """
    sums = kernel_sums(
        x_ND, y_MD, block_x_N=block_x_N, block_y_M=block_y_M, group_x_N=group_x_N, group_y_M=group_y_M, device=device
    )
    return several(sums.value, [sums.without_x(), sums.without_y()], n=n, unit=unit, level=level)

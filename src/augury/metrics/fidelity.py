"""How near a set of synthetic images is to real ones: kernel distance and statistics of single images.

Pure functions on arrays. N, M images, D features, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Kid:
    """Kernel inception distance: its mean over subsets, their standard deviation, and how they were drawn."""

    value: float
    sd: float
    subsets: int
    subset_size: int


def kid(
    x_ND: NDArray[np.floating],
    y_MD: NDArray[np.floating],
    *,
    subsets: int = 100,
    subset_size: int | None = None,
    seed: int,
) -> Kid:
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / D + 1)^3 (Binkowski 2018, equation 4).

    0 in expectation where both sets are draws of one distribution; it may fall below 0. None takes subsets of
    min(1000, 65 % of the smaller set).

    Raises:
        ValueError: other than two tables of the same features, or a subset size that the sets do not hold.
    """
    if x_ND.ndim != 2 or y_MD.ndim != 2 or x_ND.shape[1] != y_MD.shape[1]:
        raise ValueError(f"got features of shapes {x_ND.shape} and {y_MD.shape}, expected two tables of the same width")
    smaller = min(len(x_ND), len(y_MD))
    size = min(1000, int(0.65 * smaller)) if subset_size is None else subset_size
    if not 2 <= size <= smaller:
        raise ValueError(f"got subsets of {size}, expected at least 2 and at most {smaller}, the smaller set")
    rng = np.random.default_rng(seed)
    values = [
        squared_mmd(x_ND[rng.permutation(len(x_ND))[:size]], y_MD[rng.permutation(len(y_MD))[:size]])
        for _ in range(subsets)
    ]
    return Kid(value=float(np.mean(values)), sd=float(np.std(values)), subsets=subsets, subset_size=size)


def squared_mmd(x_ND: NDArray[np.floating], y_MD: NDArray[np.floating]) -> float:
    """The unbiased estimate of MMD^2 (Gretton 2012, equation 3) with the cubic kernel of `kid`."""
    n, m = len(x_ND), len(y_MD)
    within_x, within_y, between = _kernel(x_ND, x_ND), _kernel(y_MD, y_MD), _kernel(x_ND, y_MD)
    return float(
        (within_x.sum() - np.trace(within_x)) / (n * (n - 1))
        + (within_y.sum() - np.trace(within_y)) / (m * (m - 1))
        - 2 * between.mean()
    )


def _kernel(x_ND: NDArray[np.floating], y_MD: NDArray[np.floating]) -> Array:
    product_NM: Array = x_ND.astype(np.float64) @ y_MD.astype(np.float64).T
    kernel_NM: Array = (product_NM / x_ND.shape[1] + 1.0) ** 3
    return kernel_NM


def image_statistics(image_NCHW: NDArray[np.floating], *, background: float = -1.0) -> dict[str, Array]:
    """Statistics of each image's foreground (pixels above `background` by 2 % of the range [-1, 1]), value_N each.

    mean, sd, skew, p1, p99, entropy (bits, 64 bins), gradient (mean absolute difference of neighbours, all pixels).
    An image without foreground counts whole.
    """
    if image_NCHW.ndim != 4:
        raise ValueError(f"got an array of shape {image_NCHW.shape}, expected N x C x H x W")
    grey_NHW = image_NCHW.astype(np.float64).mean(1)
    rows = [_statistics(grey_HW, background + 0.04) for grey_HW in grey_NHW]
    table = {name: np.array([row[name] for row in rows]) for name in _STATISTICS}
    down_N = np.abs(np.diff(grey_NHW, axis=1)).mean((1, 2))
    across_N = np.abs(np.diff(grey_NHW, axis=2)).mean((1, 2))
    return {**table, "gradient": (down_N + across_N) / 2}


_STATISTICS: Mapping[str, Callable[[Array], float]] = {
    "mean": lambda x: float(x.mean()),
    "sd": lambda x: float(x.std()),
    "skew": lambda x: float(((x - x.mean()) ** 3).mean() / max(x.std() ** 3, 1e-12)),
    "p1": lambda x: float(np.percentile(x, 1)),
    "p99": lambda x: float(np.percentile(x, 99)),
    "entropy": lambda x: float(stats.entropy(np.histogram(x, 64, (-1.0, 1.0))[0], base=2)),
}


def _statistics(grey_HW: Array, threshold: float) -> dict[str, float]:
    clipped_HW = grey_HW.clip(-1.0, 1.0)
    inside = clipped_HW[clipped_HW > threshold]
    pixels = inside if inside.size else clipped_HW.ravel()
    return {name: compute(pixels) for name, compute in _STATISTICS.items()}


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How far two samples of one statistic lie apart."""

    ks: float  # the largest difference of the two distribution functions, 0 to 1
    p: float  # of the two-sample Kolmogorov-Smirnov test
    wasserstein: float  # in units of the real standard deviation


def shift(real_N: NDArray[np.floating], synthetic_M: NDArray[np.floating]) -> Shift:
    """Kolmogorov-Smirnov D and Wasserstein-1 of two samples; give one value per patient, or p means nothing.

    >>> shift(np.array([0.0, 1.0]), np.array([2.0, 3.0]))
    Shift(ks=1.0, p=0.333..., wasserstein=4.0)
    """
    test = stats.ks_2samp(real_N, synthetic_M)
    spread = max(float(np.std(real_N)), 1e-12)
    distance = float(stats.wasserstein_distance(real_N, synthetic_M))
    return Shift(ks=float(test.statistic), p=float(test.pvalue), wasserstein=distance / spread)


def shifts(real_NCHW: NDArray[np.floating], synthetic_MCHW: NDArray[np.floating]) -> dict[str, Shift]:
    """`shift` of every statistic of `image_statistics`."""
    real, synthetic = image_statistics(real_NCHW), image_statistics(synthetic_MCHW)
    return {name: shift(real[name], synthetic[name]) for name in real}

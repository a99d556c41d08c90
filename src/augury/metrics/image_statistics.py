"""Statistics of single images (brightness, texture), and how far two samples of them lie apart.

Pure functions on arrays. N, M images, C channels, H height, W width, R radial frequencies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
_CHUNK = 256  # images worked on at once
_FIRST = 2  # lowest radial frequency, in cycles per side: below it the window itself is seen


def image_statistics(image_NCHW: NDArray[np.floating], *, background: float = -1.0) -> dict[str, Array]:
    """Statistics of each image's foreground (pixels above `background` by 2 % of the range [-1, 1]), value_N each.

    mean, sd, skew, p1, p99, entropy (bits, 64 bins); of all pixels gradient (mean absolute difference of neighbours)
    and slope (`spectrum_slope`). An image without foreground counts whole.
    """
    if image_NCHW.ndim != 4 or min(image_NCHW.shape) < 1 or min(image_NCHW.shape[2:]) < 2 * _FIRST + 2:
        raise ValueError(
            f"got an array of shape {image_NCHW.shape}, expected N x C x H x W, {2 * _FIRST + 2} px a side at least"
        )
    parts = []
    for start in range(0, len(image_NCHW), _CHUNK):
        grey_nHW = image_NCHW[start : start + _CHUNK].mean(1, dtype=np.float64)
        rows = [_statistics(grey_HW, background + 0.04) for grey_HW in grey_nHW]
        parts.append({name: np.array([row[name] for row in rows]) for name in _STATISTICS}
                     | {"gradient": _gradient(grey_nHW), "slope": spectrum_slope(grey_nHW)})  # fmt: skip
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _gradient(grey_NHW: Array) -> Array:
    down_N = np.abs(np.diff(grey_NHW, axis=1)).mean((1, 2))
    across_N = np.abs(np.diff(grey_NHW, axis=2)).mean((1, 2))
    gradient_N: Array = (down_N + across_N) / 2
    return gradient_N


def spectrum_slope(grey_NHW: NDArray[np.floating]) -> Array:
    """Slope of log power against log frequency, least squares over radial means: slope_N (van der Schaaf 1996).

    About -2 for natural images, 0 for white noise, lower for blurred ones; 0 for an image of one value. Frequencies
    from 2 cycles a side to the highest that both axes have; a Hann window keeps the image's edges out.
    """
    height, width = grey_NHW.shape[1:]
    window_HW = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    mean_N11 = (grey_NHW * window_HW).sum((1, 2), keepdims=True) / window_HW.sum()
    power_NHW = np.abs(np.fft.rfft2((grey_NHW - mean_N11) * window_HW)) ** 2
    side = min(height, width)
    radius_HW = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]) * side
    bin_HW = radius_HW.round().astype(np.int64)
    bin_R = np.arange(_FIRST, side // 2 + 1)
    mean_NR = np.stack([power_NHW[:, bin_HW == r].mean(1) for r in bin_R], axis=1)
    log_R = np.log(bin_R) - np.log(bin_R).mean()
    flat_N = power_NHW.max((1, 2)) <= 1e-20 * window_HW.sum() ** 2
    log_NR = np.log(np.maximum(mean_NR, 1e-300))
    slope_N: Array = np.where(flat_N, 0.0, log_NR @ log_R / (log_R @ log_R))
    return slope_N


_STATISTICS: Mapping[str, Callable[[Array], float]] = {
    "mean": lambda x: float(x.mean()),
    "sd": lambda x: float(x.std()),
    "skew": lambda x: float(((x - x.mean()) ** 3).mean() / max(x.std() ** 3, 1e-12)),
    "p1": lambda x: float(np.percentile(x, 1)),
    "p99": lambda x: float(np.percentile(x, 99)),
    "entropy": lambda x: float(stats.entropy(np.histogram(x, 64, (-1.0, 1.0))[0], base=2)),
}


STATISTICS = (*_STATISTICS, "gradient", "slope")  # the names that `image_statistics` gives


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
    # SciPy gives up on exact p-values of larger samples, with a warning.
    exact = max(len(real_N), len(synthetic_M)) <= 100
    test = stats.ks_2samp(real_N, synthetic_M, method="exact" if exact else "asymp")
    spread = max(float(np.std(real_N)), 1e-12)
    distance = float(stats.wasserstein_distance(real_N, synthetic_M))
    return Shift(ks=float(test.statistic), p=float(test.pvalue), wasserstein=distance / spread)


def shifts(real_NCHW: NDArray[np.floating], synthetic_MCHW: NDArray[np.floating]) -> dict[str, Shift]:
    """`shift` of every statistic of `image_statistics`."""
    real, synthetic = image_statistics(real_NCHW), image_statistics(synthetic_MCHW)
    return {name: shift(real[name], synthetic[name]) for name in real}

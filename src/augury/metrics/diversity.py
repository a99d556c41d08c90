"""How much a synthetic set varies.

N, M images or pairs, D features, C channels, H height, W width, P pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigvalsh
from torch import Tensor
from torch.nn import functional

from augury.metrics.estimate import Estimate
from augury.metrics.neighbours import check_features, nearest, slices
from augury.metrics.parts import Figure, by_parts

Floats = NDArray[np.floating]
IntArray = NDArray[np.int64]
# Exponents of the five scales, finest first (Wang et al. 2003, section 3.2).
_BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_SIGMA, _RADIUS = 1.5, 5  # of the Gaussian window: 11 px wide
_RANGE = 2.0  # images lie in [-1, 1]
_BATCH = 1 << 22  # pixels of one batch


def vendi(z_ND: Floats) -> float:
    """Effective number of different items: exp of the entropy of the eigenvalues of K / N, K the cosine similarity.

    Friedman and Dieng 2023, definition 3.1. 1 for a set of one image, at most N; it grows with N, so compare at equal
    numbers. ValueError where a row is all zeros or not finite.
    """
    check_features(z_ND)
    z_ND = z_ND.astype(np.float64)
    norm_N1 = np.linalg.norm(z_ND, axis=1, keepdims=True)
    if not norm_N1.all():
        raise ValueError("a row of features is all zeros and has no direction; repair the encoder")
    z_ND = z_ND / norm_N1
    gram = z_ND @ z_ND.T if len(z_ND) <= z_ND.shape[1] else z_ND.T @ z_ND  # both have the same eigenvalues but zeros
    share = eigvalsh(gram / len(z_ND))
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


@dataclass(frozen=True, kw_only=True)
class Unique:
    """Which synthetic items have no near twin in their own set, and the distance that counts as near."""

    unique_M: NDArray[np.bool_]
    threshold: float

    @property
    def share(self) -> float:
        """The share of items without a twin; near 0.99 where S is as varied as the real set, 0 where all are one."""
        return float(self.unique_M.mean())


def unique_fraction(synthetic_MD: Floats, real_ND: Floats, *, percentile: float = 1.0, device: str = "cpu") -> Unique:
    """Items whose nearest other synthetic item is farther than the 1st percentile of real-to-real nearest distances.

    Compare only at equal numbers: distances shrink as sets grow.
    """
    check_features(synthetic_MD, real_ND)
    real_N1, _ = nearest(real_ND, real_ND, own=True, device=device)
    own_M1, _ = nearest(synthetic_MD, synthetic_MD, own=True, device=device)
    threshold = float(np.percentile(real_N1, percentile))
    return Unique(unique_M=own_M1[:, 0] > threshold, threshold=threshold)


def unique_estimate(
    synthetic_MD: Floats,
    real_ND: Floats,
    *,
    group_synthetic_M: NDArray[np.generic],
    group_real_N: NDArray[np.generic],
    seed: int,
    device: str = "cpu",
) -> Estimate:
    """The share of `unique_fraction` with its interval (`by_parts`), n the groups of the smaller set.

    Five degrees of freedom, whatever the repeats: the threshold hangs on the few smallest real distances.
    """

    def compute(real_nD: Floats, synthetic_mD: Floats) -> list[float]:
        return [unique_fraction(synthetic_mD, real_nD, device=device).share]

    groups = min(len(np.unique(group_synthetic_M)), len(np.unique(group_real_N)))
    figure = Figure(n=groups, unit="group", low=0.0, high=1.0)
    return by_parts(
        compute, real_ND, synthetic_MD, group_real_N=group_real_N, group_synthetic_M=group_synthetic_M,
        figures=[figure], seed=seed, freedom=5,
    )[0]  # fmt: skip


def scales_for(side: int) -> int:
    """As many scales as leave the coarsest image wider than the window's 10 px margin: 2 from 21 px, 5 from 161 px.

    >>> [scales_for(side) for side in (28, 32, 64, 128, 224)]
    [2, 2, 3, 4, 5]
    """
    if side <= 2 * _RADIUS:
        raise ValueError(f"got images of {side} px, expected at least {2 * _RADIUS + 1} px a side for MS-SSIM")
    return max(s for s in range(1, 6) if side > 2 * _RADIUS * 2 ** (s - 1))


def ms_ssim(a_NCHW: Floats, b_NCHW: Floats, *, scales: int | None = None, device: str = "cpu") -> NDArray[np.float64]:
    """Multi-scale structural similarity of pairs of images in [-1, 1], value_N in [0, 1] (Wang et al. 2003, eq. 7).

    None takes `scales_for` the shorter side. Fewer than five scales take the first of the published exponents,
    divided by their sum. Negative structure counts as 0.

    Raises:
        ValueError: images of different shapes, or too small for the scales.
    """
    if a_NCHW.shape != b_NCHW.shape or a_NCHW.ndim != 4:
        raise ValueError(f"got arrays of shapes {a_NCHW.shape} and {b_NCHW.shape}, expected the same N x C x H x W")
    most = scales_for(min(a_NCHW.shape[2:]))
    scales = most if scales is None else scales
    if not 1 <= scales <= most:
        raise ValueError(f"got {scales} scales, expected 1 to {most} for images of {a_NCHW.shape[2:]} px")
    power_S = torch.tensor(_BETAS[:scales], device=device) / sum(_BETAS[:scales])
    parts = []
    for part in slices(len(a_NCHW), max(1, _BATCH // int(np.prod(a_NCHW.shape[1:])))):
        a_BCHW, b_BCHW = (torch.tensor(x[part], dtype=torch.float32, device=device) for x in (a_NCHW, b_NCHW))
        term_SB = torch.stack(_terms(a_BCHW, b_BCHW, scales=scales)).relu()
        parts.append((term_SB ** power_S[:, None]).prod(0).double().cpu().numpy())
    return np.concatenate(parts)


def _terms(a_BCHW: Tensor, b_BCHW: Tensor, *, scales: int) -> list[Tensor]:
    """Contrast times structure of every scale, at the coarsest times luminance too."""
    terms: list[Tensor] = []
    for scale in range(scales):
        similarity_B, contrast_B = _ssim(a_BCHW, b_BCHW)
        terms.append(similarity_B if scale == scales - 1 else contrast_B)
        a_BCHW, b_BCHW = functional.avg_pool2d(a_BCHW, 2), functional.avg_pool2d(b_BCHW, 2)
    return terms


def _ssim(a_BCHW: Tensor, b_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Mean similarity, and mean contrast-structure term where the window fits (Wang et al. 2004, equations 13, 6)."""
    mean_a, mean_b = _blur(a_BCHW), _blur(b_BCHW)
    variance_a = (_blur(a_BCHW * a_BCHW) - mean_a**2).clamp(min=0)
    variance_b = (_blur(b_BCHW * b_BCHW) - mean_b**2).clamp(min=0)
    covariance = _blur(a_BCHW * b_BCHW) - mean_a * mean_b
    c1, c2 = (0.01 * _RANGE) ** 2, (0.03 * _RANGE) ** 2
    contrast = (2 * covariance + c2) / (variance_a + variance_b + c2)
    similarity = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1) * contrast
    inner = contrast[..., _RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
    return similarity.flatten(1).mean(1), inner.flatten(1).mean(1)


def _blur(x_BCHW: Tensor) -> Tensor:
    """A Gaussian window, edges mirrored: one axis, then the other."""
    channels = x_BCHW.shape[1]
    at = torch.arange(-_RADIUS, _RADIUS + 1, device=x_BCHW.device, dtype=x_BCHW.dtype)
    window = torch.exp(-((at / _SIGMA) ** 2) / 2)
    window = (window / window.sum()).expand(channels, 1, 1, -1)
    padded = functional.pad(x_BCHW, (_RADIUS,) * 4, mode="reflect")
    down = functional.conv2d(padded, window.transpose(2, 3), groups=channels)
    return functional.conv2d(down, window, groups=channels)


def random_pairs(label_N: NDArray[np.generic], *, count: int = 1000, seed: int) -> tuple[IntArray, IntArray]:
    """At most `count` different pairs of images of one label, first_P and second_P, drawn evenly from all such pairs.

    ValueError where no label has two images.
    """
    _, code_N, size_K = np.unique(label_N, return_inverse=True, return_counts=True)
    pairs_K = size_K * (size_K - 1) // 2
    if not pairs_K.any():
        raise ValueError("no class has two images, so there is no pair to compare; give images with fewer classes")
    rng = np.random.default_rng(seed)
    total = int(pairs_K.sum())
    picked = np.sort(rng.choice(total, size=min(count, total), replace=False))
    start_K = np.concatenate([[0], np.cumsum(pairs_K)[:-1]])
    class_P = np.searchsorted(np.cumsum(pairs_K), picked, side="right")
    rank_P = picked - start_K[class_P]
    # The rank-th pair (i, j), i > j, of one class: i is the largest number with i (i - 1) / 2 <= rank.
    larger_P = np.floor((1 + np.sqrt(1 + 8 * rank_P.astype(np.float64))) / 2).astype(np.int64)
    larger_P -= larger_P * (larger_P - 1) // 2 > rank_P
    smaller_P = rank_P - larger_P * (larger_P - 1) // 2
    order_N, first_K = np.argsort(code_N, kind="stable"), np.concatenate([[0], np.cumsum(size_K)[:-1]])
    return order_N[first_K[class_P] + larger_P], order_N[first_K[class_P] + smaller_P]

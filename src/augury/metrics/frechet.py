"""The distance of two normal distributions fitted to features.

N, M images, D features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from augury.metrics.neighbours import check_features

LEAST = 5  # items per feature: with fewer the covariance's error is what one would measure


def frechet(real_ND: NDArray[np.floating], synthetic_MD: NDArray[np.floating]) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) (Dowson and Landau 1982; Heusel et al. 2017, equation 6).

    0 for identical sets. Its bias falls with the number of items, so compare only equal numbers.

    Raises:
        ValueError: features that do not fit, or fewer than 5 D items in a set.
    """
    check_features(real_ND, synthetic_MD)
    needed = LEAST * real_ND.shape[1]
    if min(len(real_ND), len(synthetic_MD)) < needed:
        raise ValueError(
            f"got {len(real_ND)} and {len(synthetic_MD)} items of {real_ND.shape[1]} features, expected at least "
            f"{needed} of each for a Frechet distance; use KID, which small sets leave unbiased"
        )
    (mean_1, cov_1), (mean_2, cov_2) = _moments(real_ND), _moments(synthetic_MD)
    value_D, vector_DD = eigh(cov_1)
    root_DD = vector_DD * np.sqrt(np.maximum(value_D, 0))  # S1 = root root^T, so S1 S2 has the eigenvalues below
    cross_D = np.maximum(eigh(root_DD.T @ cov_2 @ root_DD, eigvals_only=True), 0)
    gap = mean_1 - mean_2
    return max(0.0, float(gap @ gap + np.trace(cov_1) + np.trace(cov_2) - 2 * np.sqrt(cross_D).sum()))


def _moments(table_ND: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    table = table_ND.astype(np.float64)
    return table.mean(0), np.atleast_2d(np.cov(table, rowvar=False))

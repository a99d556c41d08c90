"""Two classical paired tests, shown beside the verdict and never deciding it: both take items for independent.

N items, P positives, Q negatives.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import binom, rankdata

Floats = NDArray[np.floating]


def delong_p(positive_N: NDArray[np.bool_], score_a_N: Floats, score_b_N: Floats) -> float:
    """Two-sided p for equal AUROCs of two scores on the same items (DeLong et al. 1988).

    By mid-ranks (Sun and Xu 2014). ValueError without two positives and two negatives.
    """
    positives, negatives = int(positive_N.sum()), int((~positive_N).sum())
    if min(positives, negatives) < 2:
        raise ValueError(f"expected two positives and two negatives, got {positives} and {negatives}")
    won_a_P, lost_a_Q = _placements(positive_N, score_a_N)
    won_b_P, lost_b_Q = _placements(positive_N, score_b_N)
    variance = np.var(won_a_P - won_b_P, ddof=1) / positives + np.var(lost_a_Q - lost_b_Q, ddof=1) / negatives
    gap = float(np.mean(won_a_P - won_b_P))
    if variance == 0:
        return 1.0 if gap == 0 else 0.0
    return float(2 * ndtr(-abs(gap) / math.sqrt(variance)))


def _placements(positive_N: NDArray[np.bool_], score_N: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each positive the share of negatives below it, for each negative the share of positives above it."""
    positives, negatives = int(positive_N.sum()), int((~positive_N).sum())
    rank_N = rankdata(score_N)
    won_P = (rank_N[positive_N] - rankdata(score_N[positive_N])) / negatives
    lost_Q = 1 - (rank_N[~positive_N] - rankdata(score_N[~positive_N])) / positives
    return won_P, lost_Q


def mcnemar_p(right_a_N: NDArray[np.bool_], right_b_N: NDArray[np.bool_]) -> float:
    """Two-sided exact p for equal accuracy, from the items that only one got right (McNemar 1947).

    >>> round(mcnemar_p(np.array([True] * 6 + [False]), np.array([False] * 6 + [True])), 3)
    0.125
    """
    only_a, only_b = int((right_a_N & ~right_b_N).sum()), int((right_b_N & ~right_a_N).sum())
    return min(1.0, 2 * float(binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)))

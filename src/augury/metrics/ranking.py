"""Areas under curves, for many weightings of the same items at once.

N items, P positive and Q negative ones, G groups, B weightings. The items are sorted once; after that a weighting costs
two gathers and a running sum, so that thousands of resamples are cheap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augury.metrics.estimate import Scorer

Floats = NDArray[np.floating]
IntArray = NDArray[np.int64]


def auroc_scorer(positive_N: NDArray[np.bool_], score_N: Floats, group_N: IntArray) -> Scorer:
    """P(score of a positive > score of a negative) + half P(equal): Mann-Whitney (Hanley and McNeil 1982).

    NaN for a weighting without positives or without negatives.
    """
    negative_Q = np.flatnonzero(~positive_N)
    negative_Q = negative_Q[np.argsort(score_N[negative_Q], kind="stable")]
    positive_P = np.flatnonzero(positive_N)
    below_P = np.searchsorted(score_N[negative_Q], score_N[positive_P], side="left")
    upto_P = np.searchsorted(score_N[negative_Q], score_N[positive_P], side="right")
    tied = bool((below_P != upto_P).any())

    def score(weight_GB: Floats) -> NDArray[np.float64]:
        sum_QB = _running_sum(weight_GB, group_N[negative_Q])
        weight_PB = weight_GB[group_N[positive_P]]
        beaten_PB = sum_QB[below_P]
        if tied:
            beaten_PB = (beaten_PB + sum_QB[upto_P]) * beaten_PB.dtype.type(0.5)
        won_B = np.einsum("pb,pb->b", weight_PB, beaten_PB).astype(np.float64)
        return _ratio(won_B, weight_PB.sum(axis=0, dtype=np.float64) * sum_QB[-1])

    return score


def auprc_scorer(positive_N: NDArray[np.bool_], score_N: Floats, group_N: IntArray) -> Scorer:
    """Average precision: the precision at each positive's score, averaged over positives (no interpolation).

    Davis and Goadrich 2006 on why not to interpolate. NaN for a weighting without positives.
    """
    order_N = np.argsort(-score_N, kind="stable")
    sorted_N = -score_N[order_N]
    hit_P = np.flatnonzero(positive_N[order_N])
    reach_P = np.searchsorted(sorted_N, sorted_N[hit_P], side="right")  # items at or above the score of each positive
    hits_P = np.searchsorted(hit_P, reach_P, side="left")  # positives at or above it
    group_N, group_P = group_N[order_N], group_N[order_N[hit_P]]

    def score(weight_GB: Floats) -> NDArray[np.float64]:
        every_PB = _running_sum(weight_GB, group_N)[reach_P]
        weight_PB = weight_GB[group_P]
        true_PB = _running_sum(weight_GB, group_P)[hits_P]
        precision_PB = np.divide(true_PB, every_PB, out=np.zeros_like(true_PB), where=every_PB > 0)
        won_B = np.einsum("pb,pb->b", weight_PB, precision_PB).astype(np.float64)
        return _ratio(won_B, weight_PB.sum(axis=0, dtype=np.float64))

    return score


def _running_sum(weight_GB: Floats, group_n: IntArray) -> Floats:
    """Row i is the sum of the weights of the first i items; one row more than items."""
    sum_nB = np.empty((len(group_n) + 1, weight_GB.shape[1]), dtype=weight_GB.dtype)
    sum_nB[0] = 0
    np.take(weight_GB, group_n, axis=0, out=sum_nB[1:])
    for row in range(2, len(sum_nB)):  # rows are contiguous: far faster than cumsum along the first axis
        sum_nB[row] += sum_nB[row - 1]
    return sum_nB


def _ratio(above_B: NDArray[np.float64], below_B: Floats) -> NDArray[np.float64]:
    value_B: NDArray[np.float64] = np.divide(above_B, below_B, out=np.full(len(above_B), np.nan), where=below_B > 0)
    return value_B

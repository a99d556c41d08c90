"""Do the highest scores of two sets belong to one of them more often than chance would have it?

S audited scores, C control scores, R relabellings, M the highest scores that are looked at.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

Floats = NDArray[np.floating]
LOOKED_AT = 0.05  # share of all scores, from the top


def tail_excess(score_S: Floats, score_C: Floats, *, relabellings: int = 1999, seed: int) -> float:
    """One-sided p that high scores are no commoner in S than in C, by relabelling: exact for exchangeable scores.

    The statistic is the smallest hypergeometric tail over "of the m highest, so many are of S", m up to 5 % of all
    (Berk and Jones 1979; Donoho and Jin 2004): a few copies at the very top count as well as many further down. Where
    scores tie, those of C come first, which never lowers p.

    Raises:
        ValueError: an empty set or a score that is not a number.

    >>> tail_excess(np.r_[np.zeros(95), np.full(5, 9.0)], np.zeros(100), seed=0) < 0.1
    True
    """
    if not (len(score_S) and len(score_C)) or not np.isfinite(np.concatenate([score_S, score_C])).all():
        raise ValueError(f"got {len(score_S)} and {len(score_C)} scores, expected at least one finite score each")
    ours = np.repeat([True, False], [len(score_S), len(score_C)])
    order = np.lexsort((ours, -np.concatenate([score_S, score_C])))
    looked_at = max(1, math.ceil(LOOKED_AT * len(ours)))
    table_MK = _tails(looked_at, audited=len(score_S), everything=len(ours))
    seen = _smallest(ours[order[:looked_at]][None], table_MK)[0]
    drawn_RM = _relabelled(looked_at, len(score_S), len(ours), times=relabellings, seed=seed)
    # Equal in exact arithmetic counts as equal.
    as_small = int((_smallest(drawn_RM, table_MK) <= seen + 1e-12).sum())
    return (1 + as_small) / (1 + relabellings)


def _tails(looked_at: int, *, audited: int, everything: int) -> NDArray[np.float64]:
    """Chance of k or more audited ones among the m highest, for m = 1 ... M and k = 0 ... M."""
    m_M, k_K = np.arange(1, looked_at + 1), np.arange(looked_at + 1)
    tail_MK: NDArray[np.float64] = hypergeom.sf(k_K[None] - 1, everything, audited, m_M[:, None])
    return tail_MK


def _smallest(ours_RM: NDArray[np.bool_], table_MK: NDArray[np.float64]) -> NDArray[np.float64]:
    count_RM = ours_RM.cumsum(axis=1)
    smallest_R: NDArray[np.float64] = table_MK[np.arange(count_RM.shape[1]), count_RM].min(axis=1)
    return smallest_R


def _relabelled(looked_at: int, audited: int, everything: int, *, times: int, seed: int) -> NDArray[np.bool_]:
    """Which of the M highest are audited ones in so many random relabellings: draws from an urn, without return."""
    rng, left_R = np.random.default_rng(seed), np.full(times, audited)
    ours_RM = np.empty((times, looked_at), dtype=bool)
    for place in range(looked_at):
        ours_RM[:, place] = rng.random(times) * (everything - place) < left_R
        left_R = left_R - ours_RM[:, place]
    return ours_RM

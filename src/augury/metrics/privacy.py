"""Does a synthetic set lie nearer to the images that its generator saw than to others of the same source?

S synthetic items, T training items, H held-out items, D features, G groups (patients) of training and held-out items
together, K nearest groups, P relabellings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, gammaln
from scipy.stats import hypergeom, rankdata

from augury.metrics.cells import Cell
from augury.metrics.classification import METRICS
from augury.metrics.estimate import Estimate, Unit
from augury.metrics.intervals import estimate
from augury.metrics.jackknife import blocks, several
from augury.metrics.neighbours import nearest, nearest_groups

Floats = NDArray[np.floating]
IntArray = NDArray[np.int64]
_MISSED = 1e-6  # chance that none of the K nearest groups is held out


@dataclass(frozen=True, kw_only=True)
class NearestShare:
    """How often a synthetic item is nearer to the training set than to as many held-out groups; 0.5 is ideal."""

    share: float
    value_S: NDArray[np.float64]  # the mean of an item's 0, 1/2 or 1 over all subsamples of the larger side
    p: float  # one-sided, against patients held out at random
    distance_SK: NDArray[np.float32]
    group_SK: IntArray
    trained_G: NDArray[np.bool_]

    def estimate(self, group_S: NDArray[np.generic] | None = None, *, unit: Unit = "group", seed: int = 0) -> Estimate:
        """The share with its interval, from blocks of synthetic items, of training and of held-out groups."""
        items_S = np.arange(len(self.value_S)) if group_S is None else group_S
        block_S = blocks(items_S, seed=seed)
        without_S = [float(self.value_S[block_S != b].mean()) for b in np.unique(block_S)]
        rows = [without_S, self._without("train", seed=seed), self._without("holdout", seed=seed)]
        n = int(min(self.trained_G.sum(), (~self.trained_G).sum()))
        return several(self.share, rows, n=n, unit=unit, low=0.0, high=1.0)

    def _without(self, side: Literal["train", "holdout"], *, seed: int) -> list[float]:
        """The share without each block of one side's groups."""
        group_g = np.flatnonzero(self.trained_G == (side == "train"))
        block_g, values = blocks(group_g, seed=seed), []
        for block in np.unique(block_g):
            kept_G = np.ones(len(self.trained_G), dtype=bool)
            kept_G[group_g[block_g == block]] = False
            distance_SK = np.where(kept_G[self.group_SK], self.distance_SK, np.inf)
            value_S = _values(distance_SK, self.trained_G[self.group_SK], *_sizes(self.trained_G[kept_G]))
            values.append(float(value_S.mean()))
        return values


def nearest_share(
    synthetic_SD: Floats,
    train_TD: Floats,
    holdout_HD: Floats,
    *,
    group_train_T: NDArray[np.generic] | None = None,
    group_holdout_H: NDArray[np.generic] | None = None,
    relabellings: int = 1999,
    seed: int = 0,
    device: str = "cpu",
) -> NearestShare:
    """P[d(s, T) < d(s, H)] with as many groups of T as of H; ties count half (after Meehan et al. 2020).

    The larger side is subsampled to the number of groups of the smaller, and the mean over all subsamples is taken in
    closed form (hypergeometric). None takes every item for a group of its own. The p-value relabels groups at random,
    since a generator that learned nothing of single patients cannot tell who was held out; it counts the items whose
    nearest group of all was trained on, which needs no subsample and so finds copies that a subsample leaves out.

    Raises:
        ValueError: features that do not fit, a group on both sides, fewer than two groups on a side.
    """
    group_T, group_H = _codes(train_TD, group_train_T), _codes(holdout_HD, group_holdout_H)
    if group_train_T is not None and group_holdout_H is not None and np.isin(group_train_T, group_holdout_H).any():
        raise ValueError("a group has items in both training and held-out set; split by group before the audit")
    trained_G = np.arange(group_T.max() + group_H.max() + 2) <= group_T.max()
    large, small = _sizes(trained_G)
    if min(large, small) < 2:
        raise ValueError(f"got {large} training and {small} held-out groups, expected two of each at least")
    distance_SK, group_SK = nearest_groups(
        synthetic_SD, np.concatenate([train_TD, holdout_HD]), device=device,
        group_M=np.concatenate([group_T, group_T.max() + 1 + group_H]), k=_groups_needed(large, small),
    )  # fmt: skip
    value_S = _values(distance_SK, trained_G[group_SK], large, small)
    return NearestShare(
        share=float(value_S.mean()), value_S=value_S, distance_SK=distance_SK, group_SK=group_SK, trained_G=trained_G,
        p=_relabelled_p(distance_SK, group_SK, trained_G, relabellings=relabellings, seed=seed),
    )  # fmt: skip


def _relabelled_p(
    distance_SK: Floats, group_SK: IntArray, trained_G: NDArray[np.bool_], *, relabellings: int, seed: int
) -> float:
    """Chance, where patients are held out at random, that so many items are nearest to a training group."""
    first_SK = (distance_SK == distance_SK[:, :1]) / (distance_SK == distance_SK[:, :1]).sum(axis=1, keepdims=True)
    items_G = np.bincount(group_SK.ravel(), weights=first_SK.ravel(), minlength=len(trained_G))
    rng, seen = np.random.default_rng(seed), items_G @ trained_G
    least = seen - 1e-9 * len(group_SK)  # sums in another order are equal too
    as_many = sum(items_G @ rng.permutation(trained_G) >= least for _ in range(relabellings))
    return float((1 + as_many) / (1 + relabellings))


def _codes(table_ND: Floats, group_N: NDArray[np.generic] | None) -> IntArray:
    code_N = np.arange(len(table_ND)) if group_N is None else np.unique(group_N, return_inverse=True)[1]
    if len(code_N) != len(table_ND):
        raise ValueError(f"got {len(code_N)} groups for {len(table_ND)} items, expected one each")
    return code_N.astype(np.int64)


def _sizes(trained_G: NDArray[np.bool_]) -> tuple[int, int]:
    """Training groups, held-out groups."""
    return int(trained_G.sum()), int((~trained_G).sum())


def _groups_needed(trained: int, held: int) -> int:
    """So many nearest groups that one of the rarer side is among them, but for a chance of `_MISSED`."""
    both, rarer = trained + held, min(trained, held)
    return min(both, math.ceil(math.log(_MISSED) / math.log1p(-rarer / both)))


def _values(distance_SK: Floats, trained_SK: NDArray[np.bool_], trained: int, held: int) -> NDArray[np.float64]:
    """Per item the chance that a subsample of the larger side comes nearer than the smaller side; 1 - that if held."""
    larger_SK = trained_SK if trained >= held else ~trained_SK
    large, small = max(trained, held), min(trained, held)
    first_S = np.where(larger_SK, np.inf, distance_SK).min(axis=1)
    nearer_S = (larger_SK & (distance_SK < first_S[:, None])).sum(axis=1)
    upto_S = (larger_SK & (distance_SK <= first_S[:, None]) & np.isfinite(distance_SK)).sum(axis=1)
    hit_J = 1 - _none_drawn(np.arange(large + 1), large, small)
    value_S: NDArray[np.float64] = (hit_J[np.minimum(nearer_S, large)] + hit_J[np.minimum(upto_S, large)]) / 2
    return value_S if trained >= held else 1 - value_S


def _none_drawn(j_J: IntArray, large: int, small: int) -> NDArray[np.float64]:
    """C(large - j, small) / C(large, small): none of j given groups is among `small` drawn from `large`."""
    left_J = large - small - j_J
    logs_J = (
        gammaln(large - j_J + 1.0) - gammaln(np.maximum(left_J, 0) + 1.0)
        - gammaln(large + 1.0) + gammaln(large - small + 1.0)
    )  # fmt: skip
    return np.where(left_J >= 0, np.exp(logs_J), 0.0)


def distance_ratio(
    synthetic_SD: Floats, train_TD: Floats, *, group_train_T: NDArray[np.generic] | None = None, device: str = "cpu"
) -> NDArray[np.float64]:
    """d1 / d2 of the nearest training item and the nearest of another group, ratio_S in [0, 1].

    After Lowe 2004, section 7.1. Near 0 where an item sits on one training image alone. 0 where d1 is 0.
    """
    if group_train_T is None:
        distance_S2, _ = nearest(synthetic_SD, train_TD, k=2, device=device)
    else:
        distance_S2, _ = nearest_groups(
            synthetic_SD, train_TD, group_M=_codes(train_TD, group_train_T), k=2, device=device
        )
    first_S, second_S = distance_S2.astype(np.float64).T
    ratio_S: NDArray[np.float64] = np.divide(first_S, second_S, out=np.zeros_like(first_S), where=first_S > 0)
    return ratio_S


def authenticity(synthetic_SD: Floats, train_TD: Floats, *, device: str = "cpu") -> NDArray[np.float64]:
    """1 where an item is farther from its nearest training item than that one from its own nearest, else 0.

    Alaa et al. 2022: the mean is the authenticity, about one half for fresh draws of the same source.
    """
    distance_S1, index_S1 = nearest(synthetic_SD, train_TD, device=device)
    other_T1, _ = nearest(train_TD, train_TD, own=True, device=device)
    authentic_S: NDArray[np.float64] = (distance_S1[:, 0] > other_T1[index_S1[:, 0], 0]).astype(np.float64)
    return authentic_S


def c_t(
    distance_holdout_H: Floats,
    distance_synthetic_S: Floats,
    *,
    cell_holdout_H: IntArray | None = None,
    cell_synthetic_S: IntArray | None = None,
    least: int = 20,
) -> float:
    """Data-copying statistic from distances to the nearest training item (Meehan et al. 2020, section 3).

    The Mann-Whitney z of synthetic against held-out distances; with cells (of a clustering of the training set) its
    mean over cells weighted by the held-out items in them, cells with fewer than `least` synthetic or two held-out
    items left out. A standard normal draw for fresh items; below -3 says copying, above 3 underfitting.

    Raises:
        ValueError: cells for one side only, or no cell that counts.
    """
    if (cell_holdout_H is None) != (cell_synthetic_S is None):
        raise ValueError("got cells for one side only, expected cells for both or neither")
    if cell_holdout_H is None or cell_synthetic_S is None:
        return _rank_z(distance_holdout_H, distance_synthetic_S)
    rows = []
    for cell in np.unique(cell_holdout_H):
        held, drawn = distance_holdout_H[cell_holdout_H == cell], distance_synthetic_S[cell_synthetic_S == cell]
        if len(held) >= 2 and len(drawn) >= least:
            rows.append((len(held), _rank_z(held, drawn)))
    if not rows:
        raise ValueError(f"no cell holds two held-out and {least} synthetic items; take fewer cells or more items")
    return float(np.average([z for _, z in rows], weights=[count for count, _ in rows]))


def _rank_z(held_H: Floats, drawn_S: Floats) -> float:
    """(U - mn/2) / sqrt(mn (m + n + 1) / 12), U the pairs in which the synthetic distance is the larger."""
    h, s = len(held_H), len(drawn_S)
    rank_N = rankdata(np.concatenate([drawn_S, held_H]))
    u = rank_N[:s].sum() - s * (s + 1) / 2
    return float((u - h * s / 2) / math.sqrt(h * s * (h + s + 1) / 12))


def membership_auroc(
    score_member_N: Floats,
    score_other_M: Floats,
    *,
    group_member_N: NDArray[np.generic] | None = None,
    group_other_M: NDArray[np.generic] | None = None,
    unit: Unit = "group",
    seed: int = 0,
) -> Estimate:
    """How well a score tells members of the training set from others: its AUROC, 0.5 ideal, with its BCa interval.

    Higher scores claim membership (Yeom et al. 2018). None takes every item for a group of its own.
    """
    score = np.concatenate([score_member_N, score_other_M]).astype(np.float64)
    if not np.isfinite(score).all() or min(len(score_member_N), len(score_other_M)) < 2:
        raise ValueError("expected at least two finite scores of members and two of others")
    first, second = _codes(score_member_N[:, None], group_member_N), _codes(score_other_M[:, None], group_other_M)
    rank_N = rankdata(score).astype(np.float32)  # only the order counts, and float32 keeps that of ranks
    cell = Cell(
        fold=0, repeat=0, label_N=np.repeat([1, 0], [len(first), len(second)]),
        group_N=np.concatenate([first, first.max() + 1 + second]),
        value_ASNK=np.stack([-rank_N, rank_N], axis=1)[None, None],
    )  # fmt: skip
    return estimate([cell], 0, METRICS["auroc_macro"], unit=unit, seed=seed)


def more_often(flagged_s: int, n_s: int, flagged_h: int, n_h: int) -> float:
    """One-sided exact p that S is flagged no more often than H (Fisher 1935): chance of as many or more in S.

    >>> round(more_often(3, 10, 0, 10), 4)
    0.1053
    """
    if not (0 <= flagged_s <= n_s and 0 <= flagged_h <= n_h and n_s and n_h):
        raise ValueError(f"expected counts within their numbers, got {flagged_s} of {n_s} and {flagged_h} of {n_h}")
    return float(hypergeom.sf(flagged_s - 1, n_s + n_h, flagged_s + flagged_h, n_s))


def share_of(hits: int, trials: int, *, level: float = 0.95, unit: Unit = "image") -> Estimate:
    """A share of independent trials with its exact interval (Clopper and Pearson 1934).

    >>> round(share_of(0, 300).high, 4)
    0.0122
    """
    if not (0 <= hits <= trials and trials):
        raise ValueError(f"expected hits within trials, got {hits} of {trials}")
    tail = (1 - level) / 2
    low = float(betaincinv(hits, trials - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 1 - tail)) if hits < trials else 1.0
    return Estimate(value=hits / trials, low=low, high=high, n=trials, unit=unit)

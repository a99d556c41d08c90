"""Resamples of a cross-validated score: groups within classes, seeds within folds; the same ones for every arm.

A arms, S seeds, C cells (folds x repeats), G groups, B columns (resamples, then deletions), J deletions.

A fold is a stratum, not a draw: every group is tested in exactly one fold of a repeat, so resampling folds too would
count the patients' variance twice. What training sets add between folds is the corrected t's business (tails.py).
Of n groups n - 1 are drawn, which makes the resampling variance of a mean unbiased (Rao and Wu 1988); likewise seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augury.metrics.cells import Cell, stratum_of_groups
from augury.metrics.estimate import Metric

Floats = NDArray[np.float64]
IntArray = NDArray[np.int64]
BLOCKS = 64  # deletions per class for the acceleration; more groups than that are deleted in blocks
_CHUNK = 1 << 20  # weights worked on at once, so that they stay in the cache


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """One figure: its value, its resamples, and its values without one block of groups (with the block's class)."""

    value: float
    draw_B: Floats
    deleted_J: Floats
    stratum_J: IntArray
    groups: int

    def minus(self, other: Replicates) -> Replicates:
        """The paired difference; both must come of the same resamples."""
        return Replicates(
            value=self.value - other.value,
            draw_B=self.draw_B - other.draw_B,
            deleted_J=self.deleted_J - other.deleted_J,
            stratum_J=self.stratum_J,
            groups=self.groups,
        )


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """Every arm's replicates, its score in each cell (mean over seeds; NaN where undefined), the folds of a repeat."""

    arms: tuple[Replicates, ...]
    value_AC: Floats
    folds: int


def resample(cells: Sequence[Cell], metric: Metric, *, draws: int = 2000, seed: int = 0) -> Resampled:
    """Resample the mean over cells and seeds of a metric; ValueError if it is undefined in every cell."""
    rng = np.random.default_rng(seed)
    code_G, stratum_G = stratum_of_groups(cells)
    drawn_GB = draw_weights(stratum_G, draws=draws, rng=rng)
    deleted_GJ, stratum_J = deletion_weights(stratum_G)
    weight_GB = np.concatenate([drawn_GB, deleted_GJ], axis=1)
    scored = [_score_cell(cell, metric, code_G, weight_GB=weight_GB, draws=draws, rng=rng) for cell in cells]
    value_AC = np.stack([value_A for value_A, _ in scored], axis=1)
    if np.isnan(value_AC).all(axis=1).any():
        raise ValueError(f"{metric.name} is undefined: no fold's test items hold the classes that it needs")
    value_A = np.nanmean(value_AC, axis=1)
    mean_AB = _mean_of_known([score_AB for _, score_AB in scored], otherwise_A=value_A)
    replicates = [
        Replicates(
            value=float(value), draw_B=row_B[:draws], deleted_J=row_B[draws:], stratum_J=stratum_J, groups=len(code_G)
        )
        for value, row_B in zip(value_A, mean_AB, strict=True)
    ]
    folds = len({cell.fold for cell in cells})
    return Resampled(arms=tuple(replicates), value_AC=value_AC, folds=folds)


def draw_weights(stratum_G: IntArray, *, draws: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How often each group is drawn, one column a resample: n - 1 of the n groups of a stratum, with replacement."""
    weight_GB = np.empty((len(stratum_G), draws), dtype=np.float32)
    for stratum in np.unique(stratum_G):
        rows = np.flatnonzero(stratum_G == stratum)
        weight_GB[rows] = _counts(len(rows), draws=draws, rng=rng)
    return weight_GB


def deletion_weights(stratum_G: IntArray) -> tuple[NDArray[np.float32], IntArray]:
    """Ones but for one block of groups a column, and the stratum of that block; strata of one group are left whole."""
    columns, strata = [], []
    for stratum in np.unique(stratum_G):
        rows = np.flatnonzero(stratum_G == stratum)
        blocks = min(len(rows), BLOCKS)
        for block in range(blocks if blocks > 1 else 0):
            column_G = np.ones(len(stratum_G), dtype=np.float32)
            column_G[rows[block::blocks]] = 0
            columns.append(column_G)
            strata.append(stratum)
    weight_JG = np.array(columns, dtype=np.float32).reshape(len(columns), len(stratum_G))
    return np.ascontiguousarray(weight_JG.T), np.array(strata, dtype=np.int64)


def _counts(n: int, *, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Of n things, max(1, n - 1) drawn with replacement: counts, n x draws."""
    picked = rng.integers(0, n, size=(max(1, n - 1), draws), dtype=np.int32)
    return np.bincount((picked * np.int64(draws) + np.arange(draws)).ravel(), minlength=n * draws).reshape(n, draws)


def _score_cell(
    cell: Cell,
    metric: Metric,
    code_G: IntArray,
    *,
    weight_GB: NDArray[np.float32],
    draws: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """The arms' scores in a cell: as they are (A), and under every column of weights with seeds resampled (A x B)."""
    if metric.prepare is None:
        raise ValueError(f"{metric.name} cannot be resampled: it has no prepare()")
    here, group_N = np.unique(cell.group_N, return_inverse=True)
    rows = np.searchsorted(code_G, here)
    arms, seeds, items, _ = cell.value_ASNK.shape
    scorers = [metric.prepare(cell.label_N, v_NK, group_N) for v_SNK in cell.value_ASNK for v_NK in v_SNK]
    one_G1 = np.ones((len(here), 1))
    value_AS = np.array([scorer(one_G1)[0] for scorer in scorers]).reshape(arms, seeds)
    seed_SB = np.full((seeds, weight_GB.shape[1]), 1 / seeds)
    seed_SB[:, :draws] = _counts(seeds, draws=draws, rng=rng) / max(1, seeds - 1)
    score_AB, width = np.empty((arms, weight_GB.shape[1])), max(64, _CHUNK // items)
    for at in range(0, weight_GB.shape[1], width):
        part = slice(at, at + width)
        weight_gb = weight_GB[rows, part]
        score_ASB = np.array([scorer(weight_gb) for scorer in scorers]).reshape(arms, seeds, -1)
        score_AB[:, part] = np.einsum("asb,sb->ab", score_ASB, seed_SB[:, part])
    return value_AS.mean(axis=1), score_AB


def _mean_of_known(scores: Sequence[Floats], *, otherwise_A: Floats) -> Floats:
    """Mean over cells of what is not NaN; the unresampled value where every cell is."""
    score_CAB = np.stack(scores)
    known_CAB = ~np.isnan(score_CAB)
    mean_AB = np.repeat(otherwise_A[:, None], score_CAB.shape[2], axis=1)
    total_AB = np.where(known_CAB, score_CAB, 0.0).sum(axis=0)
    np.divide(total_AB, known_CAB.sum(axis=0), out=mean_AB, where=known_CAB.any(axis=0))
    return mean_AB

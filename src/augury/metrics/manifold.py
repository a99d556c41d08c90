"""Precision, recall, density and coverage of two sets, by balls around every item that reach its k-th neighbour.

N real items, M synthetic items, D features, P pairs. The same values as the package prdc gives on float32 features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from augury.metrics.estimate import Estimate
from augury.metrics.neighbours import Centred, Floats, IntArray, check_features, nearest, pair_distances
from augury.metrics.parts import Figure, by_parts

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Manifold:
    """The four shares, and what each item adds to them: a share is the mean of its column."""

    balls_M: Values  # how many real balls hold the synthetic item
    recall_N: Values  # 1 where a real item lies inside a synthetic ball
    coverage_N: Values  # 1 where a real item's own ball holds a synthetic item
    k: int

    @property
    def precision_M(self) -> Values:
        """1 where a synthetic item lies inside a real ball, else 0."""
        return (self.balls_M > 0).astype(np.float64)

    @property
    def density_M(self) -> Values:
        """Real balls around a synthetic item, divided by k."""
        return self.balls_M / self.k

    @property
    def precision(self) -> float:
        """Share of synthetic items inside the real manifold (Kynkaanniemi et al. 2019, equation 2), 0 to 1."""
        return float(self.precision_M.mean())

    @property
    def recall(self) -> float:
        """Share of real items inside the synthetic manifold (Kynkaanniemi et al. 2019, equation 2), 0 to 1."""
        return float(self.recall_N.mean())

    @property
    def density(self) -> float:
        """Mean number of real balls around a synthetic item over k (Naeem et al. 2020), 1 if alike."""
        return float(self.balls_M.mean() * (1.0 / self.k))

    @property
    def coverage(self) -> float:
        """Share of real items with a synthetic item in their ball (Naeem et al. 2020), 0 to 1."""
        return float(self.coverage_N.mean())


def manifold(
    real_ND: Floats, synthetic_MD: Floats, *, k: int = 5, device: str = "cpu", block: int | None = None
) -> Manifold:
    """Precision, recall, density and coverage; a ball is open and reaches the k-th nearest other item of its set.

    All four depend on N and M: compare them only at equal numbers, with real against real beside.

    Raises:
        ValueError: tables of different width, something not finite, or no more than k items in a set.
    """
    check_features(real_ND, synthetic_MD)
    radius_N = nearest(real_ND, real_ND, k=k, own=True, device=device, block=block)[0][:, -1]
    radius_M = nearest(synthetic_MD, synthetic_MD, k=k, own=True, device=device, block=block)[0][:, -1]
    balls_M, held_N, caught_N = np.zeros(len(synthetic_MD)), np.zeros(len(real_ND)), np.zeros(len(real_ND))
    tables = Centred.of(real_ND, synthetic_MD, device=device, block=block)
    reach_N, reach_M = _Reach.of(radius_N, tables.slack_N, tables), _Reach.of(radius_M, tables.slack_M, tables)
    for square_P, row_P, column_P in _near_pairs(tables, reach_N, reach_M):
        in_real_P, unsure_real_P = reach_N.judge(square_P, row_P)
        in_synthetic_P, unsure_synthetic_P = reach_M.judge(square_P, column_P)
        again = np.flatnonzero(unsure_real_P | unsure_synthetic_P)
        exact_p = pair_distances(real_ND, synthetic_MD, row_P=row_P[again], column_P=column_P[again])
        in_real_P[again] = exact_p < radius_N[row_P[again]]
        in_synthetic_P[again] = exact_p < radius_M[column_P[again]]
        balls_M += np.bincount(column_P[in_real_P], minlength=len(balls_M))
        held_N[row_P[in_real_P]] = 1
        caught_N[row_P[in_synthetic_P]] = 1
    return Manifold(balls_M=balls_M, recall_N=caught_N, coverage_N=held_N, k=k)


def manifold_estimates(
    real_ND: Floats,
    synthetic_MD: Floats,
    *,
    group_real_N: NDArray[np.generic],
    group_synthetic_M: NDArray[np.generic],
    seed: int,
    k: int = 5,
    device: str = "cpu",
) -> dict[str, Estimate]:
    """The four by name with their intervals (`by_parts`); recall and coverage count real groups, the others synthetic.

    ValueError as `manifold`, and where the parts of a set hold no more than k items.
    """

    def compute(real_nD: Floats, synthetic_mD: Floats) -> list[float]:
        found = manifold(real_nD, synthetic_mD, k=k, device=device)
        return [found.precision, found.recall, found.density, found.coverage]

    real = Figure(n=len(np.unique(group_real_N)), unit="group", low=0.0, high=1.0)
    made = Figure(n=len(np.unique(group_synthetic_M)), unit="image", low=0.0, high=1.0)
    found = by_parts(
        compute, real_ND, synthetic_MD, group_real_N=group_real_N, group_synthetic_M=group_synthetic_M,
        figures=[made, real, replace(made, high=math.inf), real], seed=seed,
    )  # fmt: skip
    return dict(zip(("manifold_precision", "manifold_recall", "density", "coverage"), found, strict=True))


def _near_pairs(tables: Centred, reach_N: _Reach, reach_M: _Reach) -> Iterator[tuple[Floats, IntArray, IntArray]]:
    """The pairs that may lie inside a ball of either, block by block: squared distance, row and column."""
    high_N, high_M = (tables.x_N.new_tensor(reach.high) for reach in (reach_N, reach_M))
    for row, column, square_nm in tables.squares():
        place_P2 = ((square_nm < high_N[row, None]) | (square_nm < high_M[column])).nonzero()
        square_P = square_nm[place_P2[:, 0], place_P2[:, 1]].cpu().numpy()
        row_P, column_P = (place_P2.cpu().numpy() + np.array([row.start, column.start])).T
        yield square_P, row_P, column_P


@dataclass(frozen=True, kw_only=True)
class _Reach:
    """Squared radii in the scaled space, less and plus the error that a squared distance may have."""

    low: Values
    high: Values

    @classmethod
    def of(cls, radius_N: NDArray[np.float32], slack_N: Values, tables: Centred) -> _Reach:
        square_N = (radius_N.astype(np.float64) * tables.scale) ** 2
        wide_N = slack_N + 1e-6 * square_N  # the radius itself was rounded
        return cls(low=square_N - wide_N, high=square_N + wide_N)

    def judge(self, square_P: Floats, item_P: IntArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which pairs certainly lie within the ball of their item, and which might."""
        inside_P = square_P < self.low[item_P]
        return inside_P, ~inside_P & (square_P < self.high[item_P])

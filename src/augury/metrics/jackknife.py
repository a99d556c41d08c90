"""Intervals of figures that a set gives as a whole, by leaving out one block of its groups at a time.

N real items, M synthetic items, D features, B blocks.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from augury.metrics.estimate import Estimate, Unit

Floats = NDArray[np.floating]
IntArray = NDArray[np.int64]


def blocks(group_N: NDArray[np.generic], *, count: int = 20, seed: int) -> IntArray:
    """The block (0, 1, ...) of every item: whole groups, about as many items in each; fewer blocks of fewer groups.

    The largest group goes first into the block that holds least; groups of one size come in an order of the seed.
    """
    _, group_N, size_G = np.unique(group_N, return_inverse=True, return_counts=True)
    rng = np.random.default_rng(seed)
    order_G = np.lexsort((rng.permutation(len(size_G)), -size_G))
    filled = [(0, block) for block in range(min(count, len(size_G)))]
    block_G = np.empty(len(size_G), dtype=np.int64)
    for group in order_G:
        held, block = filled[0]
        block_G[group] = block
        heapq.heapreplace(filled, (held + int(size_G[group]), block))
    block_N: IntArray = block_G[group_N]
    return block_N


def jackknife(
    whole: float,
    without_B: Sequence[float] | Floats,
    *,
    n: int,
    unit: Unit,
    low: float = -math.inf,
    high: float = math.inf,
    level: float = 0.95,
) -> Estimate:
    """The value of a whole set with a t interval from its values without each block (Shao and Tu 1995).

    n is the number of units behind it. The interval is cut at `low` and `high`, the ends of the figure's range.
    """
    return several(whole, [without_B], n=n, unit=unit, low=low, high=high, level=level)


def several(
    whole: float,
    without: Sequence[Sequence[float] | Floats],
    *,
    n: int,
    unit: Unit,
    low: float = -math.inf,
    high: float = math.inf,
    level: float = 0.95,
) -> Estimate:
    """The same where several independent sets lose a block in turn: one row of values a set.

    Their variances add, with the degrees of freedom of Satterthwaite 1946. A share of exactly 0 or 1 that no block
    moves has the far end of n equal draws (Clopper and Pearson 1934).

    Raises:
        ValueError: a set of a single block.
    """
    if any(len(row) < 2 for row in without):
        raise ValueError("got a single block, expected two at least: an interval needs two groups")
    variances = [(len(row) - 1) / len(row) * float(((np.asarray(row) - np.mean(row)) ** 2).sum()) for row in without]
    total = sum(variances)
    if total == 0:
        far = 1 - ((1 - level) / 2) ** (1 / n) if (low, high) == (0.0, 1.0) and whole in (0.0, 1.0) else 0.0
        return Estimate(value=whole, low=max(low, whole - far), high=min(high, whole + far), n=n, unit=unit)
    freedom = total**2 / sum(v**2 / (len(row) - 1) for v, row in zip(variances, without, strict=True))
    half = float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(total)
    return Estimate(value=whole, low=min(whole, max(low, whole - half)), high=max(whole, min(high, whole + half)),
                    n=n, unit=unit)  # fmt: skip


def two_samples(
    compute: Callable[[Floats, Floats], float],
    real_ND: Floats,
    synthetic_MD: Floats,
    *,
    block_real_N: IntArray,
    block_synthetic_M: IntArray,
    n: int,
    unit: Unit = "group",
    low: float = -math.inf,
    high: float = math.inf,
    level: float = 0.95,
) -> Estimate:
    """A figure of two sets, with an interval that knows both: `compute(real, synthetic)` without each block of either.

    It is computed once for every block. The estimand is the figure's expectation at these numbers of items: what
    looks for neighbours depends on them.
    """
    whole = compute(real_ND, synthetic_MD)
    without_real = [compute(real_ND[block_real_N != b], synthetic_MD) for b in np.unique(block_real_N)]
    without_synthetic = [compute(real_ND, synthetic_MD[block_synthetic_M != b]) for b in np.unique(block_synthetic_M)]
    return several(whole, [without_real, without_synthetic], n=n, unit=unit, low=low, high=high, level=level)

"""Estimates of arms and of their paired differences.

A arms, C cells, B resamples. An arm's own score has the BCa interval of its resamples. A difference has the wider of
that and the corrected resampled t: the first knows the patients, the second what training sets add between folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from augury.metrics.cells import Cell
from augury.metrics.estimate import Better, Estimate, Metric, Unit
from augury.metrics.resampling import Replicates, Resampled, resample
from augury.metrics.tails import bca_interval, bca_p, corrected_t_interval, corrected_t_p

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A paired difference: all that is needed for its interval at any level and for its p-value."""

    replicates: Replicates
    value_C: Floats  # the difference in each cell
    test_to_train: float  # test items per training item of a fold

    @property
    def value(self) -> float:
        """The mean over cells."""
        return self.replicates.value

    @property
    def identical(self) -> bool:
        """Whether the arms scored the same in every cell and resample, so that nothing is left to estimate."""
        return not np.any(self.value_C) and not np.any(self.replicates.draw_B)

    @cached_property
    def decider(self) -> Literal["bca", "corrected_t"]:
        """Which of the two 95 % intervals is the wider: it decides at every level."""
        bca, corrected = (
            bca_interval(self.replicates),
            corrected_t_interval(self.value_C, test_to_train=self.test_to_train),
        )
        return "bca" if len(self.value_C) < 2 or np.ptp(bca) >= np.ptp(corrected) else "corrected_t"

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The deciding interval at this confidence level; it holds the value."""
        if self.decider == "bca":
            low, high = bca_interval(self.replicates, level=level)
        else:
            low, high = corrected_t_interval(self.value_C, test_to_train=self.test_to_train, level=level)
        return min(low, self.value), max(high, self.value)

    def p_value(self) -> float:
        """Two-sided, against no difference: the level at which the deciding interval ends at 0."""
        if self.identical:
            return 1.0
        if self.decider == "bca":
            return bca_p(self.replicates)
        return corrected_t_p(self.value_C, test_to_train=self.test_to_train)

    def estimate(self, *, level: float = 0.95, unit: Unit = "group") -> Estimate:
        """The difference with its interval."""
        low, high = self.interval(level)
        return Estimate(value=self.value, low=low, high=high, n=self.replicates.groups, unit=unit)


def contrast(
    resampled: Resampled, arm: int, *, reference: int, better: Better = "higher", test_to_train: float | None = None
) -> Contrast:
    """Arm minus reference; where lower is better the reverse, so that up is good.

    `test_to_train` None: of the K folds seen one tests and one validates, so 1 / (K - 2), at most 1.
    """
    first, second = (arm, reference) if better == "higher" else (reference, arm)
    value_C = resampled.value_AC[first] - resampled.value_AC[second]
    return Contrast(
        replicates=resampled.arms[first].minus(resampled.arms[second]),
        value_C=value_C[~np.isnan(value_C)],
        test_to_train=1.0 / max(1, resampled.folds - 2) if test_to_train is None else test_to_train,
    )


def difference(
    cells: Sequence[Cell],
    arm: int,
    *,
    reference: int,
    metric: Metric,
    test_to_train: float | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    unit: Unit = "group",
) -> Estimate:
    """The paired difference of two arms (positions on the first axis of the cells), with the deciding interval."""
    resampled = resample(cells, metric, draws=draws, seed=seed)
    return contrast(resampled, arm, reference=reference, test_to_train=test_to_train).estimate(level=level, unit=unit)


def estimates(
    cells: Sequence[Cell],
    metric: Metric,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    unit: Unit = "group",
) -> list[Estimate]:
    """Every arm's score (mean over folds and seeds) with its interval, in the order of the arms."""
    return [estimate_of(arm, level=level, unit=unit) for arm in resample(cells, metric, draws=draws, seed=seed).arms]


def estimate(
    cells: Sequence[Cell],
    arm: int,
    metric: Metric,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    unit: Unit = "group",
) -> Estimate:
    """One arm's score with its interval: what `estimates` says of it."""
    alone = [replace(cell, value_ASNK=cell.value_ASNK[arm : arm + 1]) for cell in cells]
    return estimates(alone, metric, level=level, draws=draws, seed=seed, unit=unit)[0]


def estimate_of(replicates: Replicates, *, level: float = 0.95, unit: Unit = "group") -> Estimate:
    """The value of some replicates with its interval.

    Where all resamples agree with a value of 0 or 1, nothing varied: the far end is then that of n equal successes,
    (1 - level) / 2 to the power 1 / n (Clopper and Pearson 1934), lest a perfect score on few groups look certain.
    """
    low, high = bca_interval(replicates, level=level)
    if np.ptp(replicates.draw_B) == 0 and replicates.value in (0.0, 1.0):
        far = ((1 - level) / 2) ** (1 / replicates.groups)
        low, high = (far, 1.0) if replicates.value == 1.0 else (0.0, 1 - far)
    value = replicates.value
    return Estimate(value=value, low=min(low, value), high=max(high, value), n=replicates.groups, unit=unit)


def over_runs(values: Sequence[float], *, level: float = 0.95) -> Estimate:
    """The mean of shares over runs (folds) with a t interval; one alone says nothing of its spread: all of [0, 1]."""
    mean, low, high = float(np.mean(values)), 0.0, 1.0
    if len(values) > 1:
        half = float(stdtrit(len(values) - 1, 0.5 + level / 2) * np.std(values, ddof=1) / np.sqrt(len(values)))
        low, high = max(0.0, mean - half), min(1.0, mean + half)
    return Estimate(value=mean, low=low, high=high, n=len(values), unit="run")


def ratio(
    resampled: Resampled, arm: int, *, reference: int, test_to_train: float, level: float = 0.95, unit: Unit = "group"
) -> Estimate:
    """How many times as much an arm scores as the reference, less 1 (0.1: a tenth more), with the wider interval.

    ValueError where the reference's score is not above 0.
    """
    above, below = resampled.arms[arm], resampled.arms[reference]
    if below.value <= 0:
        raise ValueError(f"the reference scores {below.value}; a ratio needs a score above 0")
    share = Replicates(
        value=above.value / below.value - 1, draw_B=above.draw_B / np.maximum(below.draw_B, 1e-9) - 1,
        deleted_J=above.deleted_J / np.maximum(below.deleted_J, 1e-9) - 1, stratum_J=above.stratum_J,
        groups=above.groups,
    )  # fmt: skip
    value_C = (resampled.value_AC[arm] - resampled.value_AC[reference]) / below.value
    found = Contrast(replicates=share, value_C=value_C[~np.isnan(value_C)], test_to_train=test_to_train)
    return found.estimate(level=level, unit=unit)


def max_t_bounds(contrasts: Sequence[Contrast], *, error: float) -> Floats:
    """Simultaneous lower bounds of all contrasts, one of which errs with probability `error`: value - c * deviation.

    c is the (1 - error) quantile of the resampled maximum of (draw - value) / deviation (Westfall and Young 1993,
    single step). A contrast without any spread has its value for a bound.
    """
    value_A = np.array([c.value for c in contrasts])
    draw_AB = np.stack([c.replicates.draw_B for c in contrasts])
    deviation_A = draw_AB.std(axis=1, ddof=1)
    safe_A = np.where(deviation_A > 0, deviation_A, 1.0)
    # Centred on the resamples' own mean: their bias belongs to the resampling, not to the arms.
    largest_B = ((draw_AB - draw_AB.mean(axis=1, keepdims=True)) / safe_A[:, None]).max(axis=0)
    critical = float(np.quantile(largest_B, 1 - error))
    bound_A: Floats = value_A - critical * deviation_A
    return bound_A

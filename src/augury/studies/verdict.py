"""From predictions to words: does an arm help, hurt, make no meaningful difference?

The rules are EVALUATION.md's. A claim is adjusted for the number of arms by Holm's steps; the interval shown for an arm
is the one at its step, so that a word and its interval never disagree. HELPS needs both comparisons to reject, so its p
is the larger of the two (intersection-union), and that p enters Holm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from augury.errors import UserError
from augury.metrics.estimate import Estimate
from augury.metrics.intervals import Contrast, contrast, max_t_bounds
from augury.metrics.resampling import resample
from augury.studies.predictions import Predictions, cells

Word = Literal["HELPS", "HURTS", "NO MEANINGFUL DIFFERENCE", "NOT WORSE", "INCONCLUSIVE"]
Leaning = Literal["up", "down", "neither"]
ERROR = 0.05


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An arm against the reference and against its control (None: it has none), oriented so that up is better."""

    arm: str
    difference: Contrast
    versus_control: Contrast | None

    @property
    def p(self) -> float:
        """Of the claim in the direction that the difference points to: HELPS must also beat the control."""
        p = self.difference.p_value()
        if self.versus_control is None or self.difference.value <= 0:
            return p
        return max(p, self.versus_control.p_value()) if self.versus_control.value > 0 else 1.0


def judge(
    predictions: Predictions,
    *,
    reference: str,
    controls: Mapping[str, str | None],
    metric: str,
    smallest_effect: float = 0.02,
    seed: int = 0,
    draws: int = 2000,
    test_to_train: float | None = None,
) -> dict[str, dict[str, Any]]:
    """What may be said of every arm in `controls` (the family that Holm adjusts for), ready for results.json.

    `controls` names each arm's control or None. `test_to_train` None: of the folds seen one tests, one validates and
    the others train. Of a single fold nothing but INCONCLUSIVE is said, with its leaning. UserError where the metric
    or an arm is unknown, or the table is not paired.
    """
    arms = list(dict.fromkeys([reference, *controls, *(c for c in controls.values() if c is not None)]))
    try:
        figure = predictions.metric(metric)
    except ValueError as error:
        raise UserError(str(error)) from error
    resampled = resample(cells(predictions, arms), figure, draws=draws, seed=seed)

    def against(arm: str, other: str) -> Contrast:
        return contrast(
            resampled, arms.index(arm), reference=arms.index(other), better=figure.better, test_to_train=test_to_train
        )

    comparisons = [
        Comparison(
            arm=arm,
            difference=against(arm, reference),
            versus_control=None if control is None else against(arm, control),
        )
        for arm, control in controls.items()
        if arm != reference
    ]
    sign = -1 if figure.better == "lower" else 1
    return _verdicts(comparisons, controls, smallest_effect=smallest_effect, sign=sign)


def _verdicts(
    comparisons: Sequence[Comparison], controls: Mapping[str, str | None], *, smallest_effect: float, sign: int
) -> dict[str, dict[str, Any]]:
    if not comparisons:
        return {}
    adjusted, errors = holm([comparison.p for comparison in comparisons])
    bounds = max_t_bounds([comparison.difference for comparison in comparisons], error=ERROR)
    return {
        comparison.arm: _facts(comparison, error=error, smallest_effect=smallest_effect, sign=sign)
        | {"control": controls[comparison.arm], "p_adjusted": p, "simultaneous_low": float(bound)}
        for comparison, p, error, bound in zip(comparisons, adjusted, errors, bounds, strict=True)
    }


def _facts(comparison: Comparison, *, error: float, smallest_effect: float, sign: int) -> dict[str, Any]:
    word = verdict(comparison, error=error, smallest_effect=smallest_effect)
    control = comparison.versus_control
    return {
        "difference": _shown(comparison.difference, level=1 - error, sign=sign),
        "versus_control": None if control is None else _shown(control, level=1 - error, sign=sign),
        "level": 1 - error,
        "decided_by": comparison.difference.decider,
        "p": comparison.p,
        "verdict": word,
        "leaning": leaning(comparison.difference),
        "patients_needed": None
        if word != "INCONCLUSIVE"
        else patients_needed(comparison, error=error, smallest_effect=smallest_effect),
    }


def _shown(found: Contrast, *, level: float, sign: int) -> dict[str, float | int | str]:
    estimate: Estimate = found.estimate(level=level)
    if sign < 0:
        estimate = replace(estimate, value=-estimate.value, low=-estimate.high, high=-estimate.low)
    return estimate.as_json()


def verdict(comparison: Comparison, *, error: float, smallest_effect: float) -> Word:
    """The first word that holds, in the order HURTS, HELPS, NO MEANINGFUL DIFFERENCE, NOT WORSE, INCONCLUSIVE."""
    difference, control = comparison.difference, comparison.versus_control
    if len(difference.value_C) < 2:  # one split: what another would say is unknown
        return "INCONCLUSIVE"
    low, high = difference.interval(1 - error)
    low_90, high_90 = difference.interval(0.90)
    if high < 0:
        return "HURTS"
    if low > 0 and (control is None or control.interval(1 - error)[0] > 0):
        return "HELPS"
    if -smallest_effect < low_90 and high_90 < smallest_effect:
        return "NO MEANINGFUL DIFFERENCE"
    return "NOT WORSE" if low > -smallest_effect else "INCONCLUSIVE"


def leaning(difference: Contrast) -> Leaning:
    """Where the unadjusted 80 % interval lies."""
    low, high = difference.interval(0.80)
    return "up" if low > 0 else "down" if high < 0 else "neither"


def holm(p_values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Adjusted p-values (Holm 1979), and each arm's error level: 0.05 over the hypotheses left at its step.

    From the first p that is not rejected on, the level stays that of this step, so an interval at its level excludes 0
    exactly where Holm rejects.

    >>> holm([0.01, 0.04, 0.03])[0]
    [0.03, 0.06, 0.06]
    """
    count = len(p_values)
    adjusted, errors = [1.0] * count, [ERROR] * count
    running, error = 0.0, ERROR / max(1, count)
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        if running <= ERROR:  # every one so far was rejected
            error = ERROR / (count - step)
        running = max(running, min(1.0, p_values[index] * (count - step)))
        adjusted[index], errors[index] = running, error
    return adjusted, errors


def patients_needed(comparison: Comparison, *, error: float, smallest_effect: float) -> int | None:
    """How many groups would decide, if the estimates stayed and the intervals shrank with the root of their number.

    The smaller of what HELPS or HURTS needs and what NO MEANINGFUL DIFFERENCE needs; where neither can come, what NOT
    WORSE needs. None where no number would do.
    """
    difference, control = comparison.difference, comparison.versus_control
    value, groups = difference.value, difference.replicates.groups
    claims = [_shrink(difference, error=error, target=abs(value))]
    if control is not None and value > 0:
        claims.append(_shrink(control, error=error, target=control.value))
    alike = _shrink(difference, error=0.10, target=smallest_effect - abs(value))
    factor = min(max(claims), alike)
    if not math.isfinite(factor):
        factor = _shrink(difference, error=error, target=value + smallest_effect)
    return max(groups + 1, math.ceil(groups * factor)) if math.isfinite(factor) else None


def _shrink(found: Contrast, *, error: float, target: float) -> float:
    """How many times the groups until the interval's longer side meets a target; infinite if that is not positive."""
    low, high = found.interval(1 - error)
    return (max(high - found.value, found.value - low) / target) ** 2 if target > 0 else math.inf

"""The gate: hand over another arm than the reference only where images that no fold was tested on bear it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from augury.errors import UserError
from augury.metrics.cells import stratum_of_groups
from augury.metrics.intervals import contrast, max_t_bounds
from augury.metrics.resampling import resample
from augury.studies.predictions import Predictions, cells

LEAST = 5  # groups of a class; below it a resample hardly varies and equal arms would pass
FEW = 200  # groups; below it the gate nearly always returns the reference (EVALUATION.md)


def gate(
    gate_predictions: Predictions,
    *,
    reference: str,
    metric: str,
    level: float = 0.20,
    candidates: Sequence[str] | None = None,
    seed: int = 0,
    draws: int = 2000,
) -> dict[str, Any]:
    """The arm to hand over: `chosen`, `level`, `lower_bound` (of the best candidate) and the `reason` in a sentence.

    A candidate (None: every other arm) is chosen where its simultaneous (max-T) lower bound against the reference, in
    error with probability `level`, is above 0. `gate_predictions` are those on the gate's halves of the validation
    folds, every group once. UserError if the level is no probability or the table is not paired.
    """
    if not 0 < level < 1:
        raise UserError(f"got a gate level of {level}; expected a probability such as 0.20 or, strict, 0.05")
    others = [arm for arm in (gate_predictions.arms if candidates is None else candidates) if arm != reference]
    if not others:
        return _outcome(reference, level, None, reason="there was no other arm to choose")
    figure = gate_predictions.metric(metric)
    paired = cells(gate_predictions, [reference, *others])
    least = int(np.bincount(stratum_of_groups(paired)[1]).min())
    if least < LEAST:
        reason = f"a class has {least} validation groups, of which no interval can be made: too few labels to tell"
        return _outcome(reference, level, None, reason=reason)
    resampled = resample(paired, figure, draws=draws, seed=seed)
    contrasts = [contrast(resampled, 1 + k, reference=0, better=figure.better) for k in range(len(others))]
    bounds = max_t_bounds(contrasts, error=level)
    best = int(np.argmax(bounds))
    bound, groups = float(bounds[best]), resampled.arms[0].groups
    if bound > 0:
        return _outcome(others[best], level, bound, reason=_passed(others[best], bound, groups))
    return _outcome(reference, level, bound, reason=_failed(others[best], bound, groups))


def _outcome(chosen: str, level: float, bound: float | None, *, reason: str) -> dict[str, Any]:
    return {"chosen": chosen, "level": level, "lower_bound": bound, "reason": reason}


def _passed(arm: str, bound: float, groups: int) -> str:
    return f"{arm} was better by at least {bound:.4f} on {groups} validation groups that nothing was chosen on"


def _failed(arm: str, bound: float, groups: int) -> str:
    best = f"the best candidate, {arm}, has a lower bound of {bound:+.4f}"
    if groups < FEW:
        return f"with {groups} validation groups there were too few labels to tell: {best}"
    return f"no arm was surely better on {groups} validation groups: {best}"

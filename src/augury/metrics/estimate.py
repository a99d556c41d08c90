"""The only thing an evaluation may report, and what it is an estimate of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["group", "patient", "eye", "image", "run"]
Better = Literal["higher", "lower"]

# G groups, N items, K classes, B weightings.
Scorer = Callable[[NDArray[np.floating]], NDArray[np.float64]]  # weight_GB -> value_B
Prepare = Callable[[NDArray[np.int64], NDArray[np.floating], NDArray[np.int64]], Scorer]  # label_N, p_NK, group_N


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of merit.

    `compute` gives one number. Where `prepare` is present, the metric can be resampled quickly: it sorts or counts
    once and returns a function of a matrix of group weights, one column a resample.
    """

    name: str
    better: Better
    source: str
    compute: Callable[..., float]
    prepare: Prepare | None = None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with its interval, the number of units behind it, and what such a unit is.

    >>> Estimate(value=0.81, low=0.77, high=0.85, n=120, unit="group").as_json()
    {'value': 0.81, 'low': 0.77, 'high': 0.85, 'n': 120, 'unit': 'group'}
    """

    value: float
    low: float
    high: float
    n: int
    unit: Unit

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"an estimate needs low <= value <= high, got {self.low}, {self.value}, {self.high}")

    def as_json(self) -> dict[str, float | int | str]:
        """The five facts, for results.json."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "unit": self.unit}

"""Means over cases of measures that every case has for itself: Dice and the others of a drawn and a true mask.

N cases, M measures, B weightings. Where classification counts over a whole set, these are means of one number a case;
both are a `Metric`, so intervals, verdicts and the gate are the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from augury.metrics.classification import mean_scorer
from augury.metrics.estimate import Better, Metric, Scorer

Floats = NDArray[np.floating]
IntArray = NDArray[np.int64]

# In the order of the columns of predictions.csv; distances are in pixels of the image as it was scored.
MEASURES: dict[str, tuple[Better, str]] = {
    "dice": ("higher", "2 |A and B| / (|A| + |B|) (Dice 1945), mean over cases"),
    "jaccard": ("higher", "|A and B| / |A or B| (Jaccard 1912), mean over cases"),
    "hd95": ("lower", "95th percentile of the distances between the two contours, mean over cases"),
    "assd": ("lower", "average symmetric distance between the two contours, mean over cases"),
    "pixel_precision": ("higher", "share of the drawn pixels that are true, mean over cases"),
    "pixel_recall": ("higher", "share of the true pixels that were drawn, mean over cases"),
    "pixel_accuracy": ("higher", "share of all pixels that were told rightly, mean over cases"),
}


def case_metric(name: str, measures: Sequence[str]) -> Metric:
    """The mean over cases of the column `name` of value_NM, whose columns are `measures`; ValueError if it is none.

    >>> metric = case_metric("hd95", ["dice", "hd95"])
    >>> metric.better, metric.compute(np.zeros(2, dtype=np.int64), np.array([[0.5, 3.0], [1.0, 5.0]]))
    ('lower', 4.0)
    """
    if name not in measures or name not in MEASURES:
        raise ValueError(f"there is no metric {name!r}; expected one of {', '.join(measures)}")
    column, (better, source) = list(measures).index(name), MEASURES[name]

    def prepare(_: IntArray, value_NM: Floats, group_N: IntArray) -> Scorer:
        return mean_scorer(value_NM[:, column], group_N)

    def compute(_: IntArray, value_NM: Floats, weight_N: Floats | None = None) -> float:
        return float(np.average(value_NM[:, column], weights=weight_N))

    return Metric(name=name, better=better, source=source, compute=compute, prepare=prepare)

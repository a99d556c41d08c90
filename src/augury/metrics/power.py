"""What could be detected at all, before anything is trained."""

from __future__ import annotations

import math

from scipy.special import ndtri


def smallest_detectable_difference(
    auroc: float, correlation: float, *, n: int, level: float = 0.95, power: float = 0.8
) -> float:
    """The smallest paired difference of two AUROCs that a two-sided test finds with this power.

    `n` independent test patients of each of two classes; `correlation` of the two models' AUROCs.

    >>> [round(smallest_detectable_difference(0.80, 0.7, n=n), 3) for n in (50, 100, 500)]
    [0.097, 0.068, 0.03]
    """
    if not (0.5 <= auroc < 1 and -1 <= correlation < 1 and n >= 2):
        raise ValueError(
            f"expected an AUROC in [0.5, 1), a correlation in [-1, 1) and at least 2 patients a class, "
            f"got {auroc}, {correlation}, {n}"
        )
    deviation = auroc_deviation(auroc, positives=n, negatives=n) * math.sqrt(2 * (1 - correlation))
    return float(ndtri(0.5 + level / 2) + ndtri(power)) * deviation


def auroc_deviation(auroc: float, *, positives: int, negatives: int) -> float:
    """Standard error of an AUROC (Hanley and McNeil 1982, eq. 1, with Q1 and Q2 of exponential scores)."""
    both_positive = auroc / (2 - auroc)
    both_negative = 2 * auroc**2 / (1 + auroc)
    variance = (
        auroc * (1 - auroc)
        + (positives - 1) * (both_positive - auroc**2)
        + (negatives - 1) * (both_negative - auroc**2)
    ) / (positives * negatives)
    return math.sqrt(variance)

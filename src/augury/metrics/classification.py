"""Figures of merit of probabilities over K classes, for one or many weightings of the items.

N items, K classes, G groups, B weightings. What only needs counts is counted once per group and then weighed by a
matrix product; what needs ranks is sorted once (metrics/ranking.py). Macro means run over the classes that occur among
the labels; a class never predicted has precision 0. The most probable class is predicted, the lower one on a tie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from augury.metrics.estimate import Better, Metric, Prepare, Scorer
from augury.metrics.ranking import auprc_scorer, auroc_scorer

Floats = NDArray[np.floating]
Values = NDArray[np.float64]
IntArray = NDArray[np.int64]
BINS = 15  # of the calibration error, as in Guo et al. 2017


def compute(name: str, label_N: IntArray, probability_NK: Floats, *, weight_N: Floats | None = None) -> float:
    """One metric by name, as in `METRICS[name].compute`."""
    if name not in METRICS:
        raise ValueError(f"there is no metric {name!r}; expected one of {', '.join(METRICS)}")
    return METRICS[name].compute(label_N, probability_NK, weight_N)


def metric(name: str, classes: Sequence[str]) -> Metric:
    """A metric by name, also `sensitivity_<class>` and `specificity_<class>`; ValueError if there is none."""
    if name in METRICS:
        return METRICS[name]
    kind, _, class_name = name.partition("_")
    if kind in _ONE_CLASS and class_name in classes:
        return _counted(name, _of_class(list(classes).index(class_name), kind), "Altman and Bland 1994")
    raise ValueError(
        f"there is no metric {name!r}; expected one of {', '.join(METRICS)}, or sensitivity_<class>, "
        f"specificity_<class> for a class among {', '.join(classes)}"
    )


def _recall_BK(count_BTP: Values) -> Values:
    return _share(_hits(count_BTP), count_BTP.sum(axis=2), empty=0.0)


def _precision_BK(count_BTP: Values) -> Values:
    return _share(_hits(count_BTP), count_BTP.sum(axis=1), empty=0.0)


def _specificity_BK(count_BTP: Values) -> Values:
    others_BK = count_BTP.sum(axis=(1, 2))[:, None] - count_BTP.sum(axis=2)
    false_alarm_BK = count_BTP.sum(axis=1) - _hits(count_BTP)
    return _share(others_BK - false_alarm_BK, others_BK, empty=0.0)


def _harmonic(a_BK: Values, b_BK: Values) -> Values:
    return _share(2 * a_BK * b_BK, a_BK + b_BK, empty=0.0)


def _accuracy(count_BTP: Values) -> Values:
    return _share(_hits(count_BTP).sum(axis=1), count_BTP.sum(axis=(1, 2)), empty=np.nan)


def _recall_macro(count_BTP: Values) -> Values:
    return _macro(_recall_BK(count_BTP), count_BTP)


def _precision_macro(count_BTP: Values) -> Values:
    return _macro(_precision_BK(count_BTP), count_BTP)


def _f1_macro(count_BTP: Values) -> Values:
    return _macro(_harmonic(_recall_BK(count_BTP), _precision_BK(count_BTP)), count_BTP)


def _f1_sensitivity_specificity(count_BTP: Values) -> Values:
    return _macro(_harmonic(_recall_BK(count_BTP), _specificity_BK(count_BTP)), count_BTP)


def _kappa_quadratic(count_BTP: Values) -> Values:
    """1 - sum(w o) / sum(w e) with w = (i - j)^2 and e of independent margins (Cohen 1968)."""
    classes = np.arange(count_BTP.shape[1])
    penalty_TP = (classes[:, None] - classes[None, :]) ** 2.0
    seen_B = (count_BTP * penalty_TP).sum(axis=(1, 2))
    total_B = count_BTP.sum(axis=(1, 2))
    chance_B = np.einsum("bt,tp,bp->b", count_BTP.sum(axis=2), penalty_TP, count_BTP.sum(axis=1))
    return 1.0 - _share(seen_B * total_B, chance_B, empty=np.nan)


def _mcc(count_BTP: Values) -> Values:
    """Covariance of truth and prediction over their deviations (Gorodkin 2004, R_K); 0 if one is constant."""
    total_B = count_BTP.sum(axis=(1, 2))
    true_BK, said_BK = count_BTP.sum(axis=2), count_BTP.sum(axis=1)
    covariance_B = _hits(count_BTP).sum(axis=1) * total_B - (true_BK * said_BK).sum(axis=1)
    variance_B = (total_B**2 - (true_BK**2).sum(axis=1)) * (total_B**2 - (said_BK**2).sum(axis=1))
    return _share(covariance_B, np.sqrt(variance_B), empty=0.0)


def _hits(count_BTP: Values) -> Values:
    return count_BTP.diagonal(axis1=1, axis2=2)


def _macro(value_BK: Values, count_BTP: Values) -> Values:
    present_BK = count_BTP.sum(axis=2) > 0
    return _share((value_BK * present_BK).sum(axis=1), present_BK.sum(axis=1).astype(np.float64), empty=np.nan)


def _share(above: Values, below: Values, *, empty: float) -> Values:
    value: Values = np.divide(above, below, out=np.full(above.shape, empty), where=below > 0)
    return value


def _of_class(index: int, kind: str) -> Callable[[Values], Values]:
    """One class's value; NaN where that class (for specificity: every other class) does not occur."""

    def value(count_BTP: Values) -> Values:
        of_class_B = count_BTP[:, index].sum(axis=1)
        needed_B = of_class_B if kind == "sensitivity" else count_BTP.sum(axis=(1, 2)) - of_class_B
        return np.where(needed_B > 0, _ONE_CLASS[kind](count_BTP)[:, index], np.nan)

    return value


_ONE_CLASS = {"sensitivity": _recall_BK, "specificity": _specificity_BK}


def _prepare_counts(value: Callable[[Values], Values]) -> Prepare:
    """Confusion counts per group, [true, predicted]; a weighting is a matrix product."""

    def prepare(label_N: IntArray, probability_NK: Floats, group_N: IntArray) -> Scorer:
        classes = probability_NK.shape[1]
        cell_N = label_N * classes + probability_NK.argmax(axis=1)
        groups = int(group_N.max()) + 1
        count_GX = np.bincount(group_N * classes**2 + cell_N, minlength=groups * classes**2).reshape(groups, -1)

        def score(weight_GB: Floats) -> Values:
            count_XB = count_GX.T.astype(weight_GB.dtype) @ weight_GB[:groups]
            return value(count_XB.T.astype(np.float64).reshape(-1, classes, classes))

        return score

    return prepare


def _prepare_auroc(label_N: IntArray, probability_NK: Floats, group_N: IntArray) -> Scorer:
    return _one_against_rest(auroc_scorer, label_N, probability_NK, group_N=group_N)


def _prepare_auprc(label_N: IntArray, probability_NK: Floats, group_N: IntArray) -> Scorer:
    return _one_against_rest(auprc_scorer, label_N, probability_NK, group_N=group_N)


def _one_against_rest(
    scorer: Callable[[NDArray[np.bool_], Floats, IntArray], Scorer],
    label_N: IntArray,
    probability_NK: Floats,
    *,
    group_N: IntArray,
) -> Scorer:
    """Mean over the classes that occur, each against the rest; of two classes only the second (as usual for tests)."""
    classes = [1] if probability_NK.shape[1] == 2 else [int(k) for k in np.unique(label_N)]
    scorers = [scorer(label_N == k, np.ascontiguousarray(probability_NK[:, k]), group_N) for k in classes]

    def score(weight_GB: Floats) -> Values:
        value_KB = np.stack([one(weight_GB) for one in scorers])
        known_KB = ~np.isnan(value_KB)
        return _share(np.where(known_KB, value_KB, 0.0).sum(axis=0), known_KB.sum(axis=0) + 0.0, empty=np.nan)

    return score


def _prepare_brier(label_N: IntArray, probability_NK: Floats, group_N: IntArray) -> Scorer:
    """Mean squared distance of the probabilities to the truth, summed over classes (Brier 1950)."""
    truth_NK = np.eye(probability_NK.shape[1])[label_N]
    return mean_scorer(((probability_NK - truth_NK) ** 2).sum(axis=1), group_N)


def mean_scorer(score_N: Floats, group_N: IntArray) -> Scorer:
    """The weighted mean over items of a score that each item has for itself (Dice, Brier, a correct/wrong flag)."""
    sum_2G = np.stack([np.bincount(group_N, weights=score_N), np.bincount(group_N).astype(np.float64)])

    def score(weight_GB: Floats) -> Values:
        above_B, below_B = (sum_2G @ weight_GB[: sum_2G.shape[1]]).astype(np.float64)
        return _share(above_B, below_B, empty=np.nan)

    return score


def _prepare_ece(label_N: IntArray, probability_NK: Floats, group_N: IntArray) -> Scorer:
    """Weighted mean over bins (lower, upper] of |accuracy - confidence| (Guo et al. 2017, eq. 3)."""
    sure_N = probability_NK.max(axis=1).astype(np.float64)
    bin_N = np.clip(np.ceil(sure_N * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gap_N = (probability_NK.argmax(axis=1) == label_N) - sure_N
    groups = int(group_N.max()) + 1
    gap_GX = np.bincount(group_N * BINS + bin_N, weights=gap_N, minlength=groups * BINS).reshape(groups, BINS)
    size_G = np.bincount(group_N, minlength=groups)

    def score(weight_GB: Floats) -> Values:
        gap_B = np.abs(gap_GX.T @ weight_GB[:groups]).sum(axis=0)
        return _share(gap_B, (size_G @ weight_GB[:groups]).astype(np.float64), empty=np.nan)

    return score


def _metric(name: str, prepare: Prepare, source: str, *, better: Better = "higher") -> Metric:
    def compute_one(label_N: IntArray, probability_NK: Floats, weight_N: Floats | None = None) -> float:
        _check(label_N, probability_NK)
        weight_NB = np.ones((len(label_N), 1)) if weight_N is None else np.asarray(weight_N, dtype=np.float64)[:, None]
        return float(prepare(label_N, probability_NK, np.arange(len(label_N)))(weight_NB)[0])

    return Metric(name=name, better=better, source=source, compute=compute_one, prepare=prepare)


def _counted(name: str, value: Callable[[Values], Values], source: str) -> Metric:
    return _metric(name, _prepare_counts(value), source)


def _check(label_N: IntArray, probability_NK: Floats) -> None:
    if probability_NK.ndim != 2 or len(label_N) != len(probability_NK) or len(label_N) == 0:
        raise ValueError(f"expected N labels and N x K probabilities, got {label_N.shape} and {probability_NK.shape}")
    if not 0 <= label_N.min() <= label_N.max() < probability_NK.shape[1]:
        raise ValueError(f"labels must lie in 0..{probability_NK.shape[1] - 1}, got {label_N.min()}..{label_N.max()}")
    if not np.isfinite(probability_NK).all():
        raise ValueError("a probability is not finite; repair the predictor before scoring it")


METRICS: dict[str, Metric] = {
    "accuracy": _counted("accuracy", _accuracy, "share of correct items"),
    "balanced_accuracy": _counted("balanced_accuracy", _recall_macro, "Brodersen et al. 2010"),
    "recall_micro": _counted("recall_micro", _accuracy, "equals accuracy where an item has one class"),
    "recall_macro": _counted("recall_macro", _recall_macro, "Sokolova and Lapalme 2009"),
    "precision_micro": _counted("precision_micro", _accuracy, "equals accuracy where an item has one class"),
    "precision_macro": _counted("precision_macro", _precision_macro, "Sokolova and Lapalme 2009"),
    "f1_micro": _counted("f1_micro", _accuracy, "equals accuracy where an item has one class"),
    "f1_macro": _counted("f1_macro", _f1_macro, "mean of the classes' F1 (Opitz and Burst 2019)"),
    "f1_sensitivity_specificity": _counted(
        "f1_sensitivity_specificity",
        _f1_sensitivity_specificity,
        "harmonic mean 2 se sp / (se + sp), mean over classes",
    ),
    "auroc_macro": _metric("auroc_macro", _prepare_auroc, "Hanley and McNeil 1982, one against rest"),
    "auprc_macro": _metric("auprc_macro", _prepare_auprc, "average precision, one against rest"),
    "kappa_quadratic": _counted("kappa_quadratic", _kappa_quadratic, "Cohen 1968"),
    "mcc": _counted("mcc", _mcc, "Gorodkin 2004"),
    "ece": _metric("ece", _prepare_ece, "Guo et al. 2017", better="lower"),
    "brier": _metric("brier", _prepare_brier, "Brier 1950", better="lower"),
}

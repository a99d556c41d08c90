"""Every metric against an independent reference, its closed forms and its properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from augury.metrics.classification import BINS, METRICS, compute, metric

Table = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


def drawn(*, seed: int, n: int = 60, classes: int = 4, ties: bool = False) -> Table:
    """Labels (every class occurs), probabilities (coarse ones tie) and integer weights."""
    rng = np.random.default_rng(seed)
    label_N = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    p_NK = rng.dirichlet(np.ones(classes), n) + 0.6 * np.eye(classes)[label_N] * rng.random((n, 1))
    p_NK = p_NK / p_NK.sum(axis=1, keepdims=True)
    return label_N, np.round(p_NK, 1) if ties else p_NK, rng.integers(1, 4, n).astype(float)


def sensitivity_specificity(label_N, p_NK, weight_N) -> float:
    said_N, found = p_NK.argmax(1), []
    for k in range(p_NK.shape[1]):
        se = weight_N[(label_N == k) & (said_N == k)].sum() / weight_N[label_N == k].sum()
        sp = weight_N[(label_N != k) & (said_N != k)].sum() / weight_N[label_N != k].sum()
        found.append(2 * se * sp / (se + sp) if se + sp else 0.0)
    return float(np.mean(found))


def calibration_error(label_N, p_NK, weight_N) -> float:
    sure_N, right_N, total = p_NK.max(1), p_NK.argmax(1) == label_N, 0.0
    for b in range(BINS):
        inside = (sure_N > b / BINS) & (sure_N <= (b + 1) / BINS)
        if inside.any():
            w = weight_N[inside]
            total += w.sum() * abs(np.average(right_N[inside], weights=w) - np.average(sure_N[inside], weights=w))
    return total / weight_N.sum()


def one_against_rest(score):
    def reference(label_N, p_NK, weight_N) -> float:
        classes = [1] if p_NK.shape[1] == 2 else range(p_NK.shape[1])
        return float(np.mean([score(label_N == k, p_NK[:, k], sample_weight=weight_N) for k in classes]))

    return reference


def of_prediction(score, **options):
    return lambda y, p, w: score(y, p.argmax(1), sample_weight=w, **options)


REFERENCES = {
    "accuracy": of_prediction(sk.accuracy_score),
    "balanced_accuracy": of_prediction(sk.balanced_accuracy_score),
    **{f"{kind}_{mean}": of_prediction(score, average=mean, zero_division=0)
       for kind, score in (("recall", sk.recall_score), ("precision", sk.precision_score), ("f1", sk.f1_score))
       for mean in ("micro", "macro")},
    "f1_sensitivity_specificity": sensitivity_specificity,
    "auroc_macro": one_against_rest(sk.roc_auc_score),
    "auprc_macro": one_against_rest(sk.average_precision_score),
    "kappa_quadratic": of_prediction(sk.cohen_kappa_score, weights="quadratic"),
    "mcc": of_prediction(sk.matthews_corrcoef),
    "ece": calibration_error,
    "brier": lambda y, p, w: np.average(((p - np.eye(p.shape[1])[y]) ** 2).sum(1), weights=w),
}  # fmt: skip


def test_every_metric_has_a_reference() -> None:
    assert set(REFERENCES) == set(METRICS)
    assert all(name == found.name for name, found in METRICS.items())


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("ties", [False, True])
def test_equals_its_reference_with_and_without_weights(name: str, classes: int, ties: bool) -> None:
    for seed in range(5):
        label_N, p_NK, weight_N = drawn(seed=seed, classes=classes, ties=ties)
        expected = REFERENCES[name](label_N, p_NK, np.ones(len(label_N)))
        assert compute(name, label_N, p_NK) == pytest.approx(expected, abs=1e-12)
        weighed = compute(name, label_N, p_NK, weight_N=weight_N)
        assert weighed == pytest.approx(REFERENCES[name](label_N, p_NK, weight_N), abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_a_weight_is_a_repetition_also_by_group(name: str) -> None:
    label_N, p_NK, _ = drawn(seed=3, n=40)
    group_N = np.random.default_rng(0).permutation(np.arange(40) % 15)
    weight_GB = np.random.default_rng(1).integers(0, 4, (15, 6)).astype(np.float32)
    prepare = METRICS[name].prepare
    assert prepare is not None
    value_B = prepare(label_N, p_NK, group_N)(weight_GB)
    for b in range(6):
        rows = np.repeat(np.arange(40), weight_GB[group_N, b].astype(int))
        assert value_B[b] == pytest.approx(compute(name, label_N[rows], p_NK[rows]), abs=2e-6)


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_prediction_scores_the_best_value(name: str) -> None:
    label_N = np.array([0, 1, 2, 0, 1, 2])
    assert compute(name, label_N, np.eye(3)[label_N]) == (1.0 if METRICS[name].better == "higher" else 0.0)


def test_closed_forms() -> None:
    label_N, even_NK = np.array([0, 0, 1, 1]), np.full((4, 2), 0.5)
    assert compute("auroc_macro", label_N, even_NK) == 0.5
    assert compute("auprc_macro", label_N, even_NK) == 0.5  # prevalence
    assert compute("brier", label_N, even_NK) == 0.5
    assert compute("ece", label_N, even_NK) == 0.0
    assert compute("kappa_quadratic", label_N, even_NK) == 0.0
    assert compute("mcc", label_N, even_NK) == 0.0
    worst_NK = np.eye(2)[1 - label_N]
    assert compute("kappa_quadratic", label_N, worst_NK) == -1.0
    assert compute("auroc_macro", label_N, worst_NK) == 0.0


def test_one_class_metrics_by_name() -> None:
    label_N, p_NK = np.array([0, 0, 1, 2]), np.eye(3)[[0, 1, 1, 1]]
    classes = ("no_tumor", "glioma", "x y")
    assert metric("sensitivity_no_tumor", classes).compute(label_N, p_NK) == 0.5
    assert metric("specificity_glioma", classes).compute(label_N, p_NK) == pytest.approx(1 / 3)
    assert metric("sensitivity_x y", classes).compute(label_N, p_NK) == 0.0
    with pytest.raises(ValueError, match="sensitivity_<class>"):
        metric("sensitivity_melanoma", classes)


def test_what_cannot_be_scored_is_refused_or_nan() -> None:
    p_NK = np.full((3, 2), 0.5)
    with pytest.raises(ValueError, match="no metric"):
        compute("auc", np.array([0, 1, 1]), p_NK)
    with pytest.raises(ValueError, match="labels"):
        compute("accuracy", np.array([0, 1]), p_NK)
    with pytest.raises(ValueError, match=r"lie in 0\.\.1"):
        compute("accuracy", np.array([0, 1, 2]), p_NK)
    with pytest.raises(ValueError, match="not finite"):
        compute("accuracy", np.array([0, 1, 1]), p_NK * np.nan)
    assert np.isnan(compute("auroc_macro", np.array([1, 1, 1]), p_NK))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(6, 40))
def test_auroc_cares_for_ranks_alone_and_mirrors(seed: int, n: int) -> None:
    label_N, p_NK, _ = drawn(seed=seed, n=n, classes=2, ties=True)
    value = compute("auroc_macro", label_N, p_NK)
    assert compute("auroc_macro", label_N, p_NK**3) == pytest.approx(value)
    assert compute("auroc_macro", 1 - label_N, p_NK) == pytest.approx(1 - value)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(6, 40), name=st.sampled_from(sorted(METRICS)))
def test_range_and_order_of_items(seed: int, n: int, name: str) -> None:
    label_N, p_NK, weight_N = drawn(seed=seed, n=n, ties=True)
    p_NK = p_NK / p_NK.sum(axis=1, keepdims=True)
    value = compute(name, label_N, p_NK, weight_N=weight_N)
    low, high = {"mcc": (-1, 1), "kappa_quadratic": (-1, 1), "brier": (0, 2)}.get(name, (0, 1))
    assert low - 1e-9 <= value <= high + 1e-9
    order = np.random.default_rng(seed).permutation(n)
    assert compute(name, label_N[order], p_NK[order], weight_N=weight_N[order]) == pytest.approx(value, abs=1e-12)

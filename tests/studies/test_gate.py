"""The gate hands over a better arm, otherwise the reference, and says why."""

from __future__ import annotations

import numpy as np
import pytest

from augury.errors import UserError
from augury.studies.gate import gate
from augury.studies.predictions import Predictions, concatenate, table


def halves(gains: dict[str, float], *, groups: int = 300) -> Predictions:
    rng = np.random.default_rng(0)
    label_N, noise_N, tables = np.arange(groups) % 2, rng.standard_normal(groups), []
    for arm, gain in gains.items():
        for seed in range(3):
            p_N = 1 / (1 + np.exp(-(noise_N + 0.2 * rng.standard_normal(groups) + (1 + gain) * label_N)))
            for fold in range(5):
                rows = np.flatnonzero(np.arange(groups) // 2 % 5 == fold)
                names = [f"i{k}" for k in rows]
                tables.append(
                    table(classes=("no", "yes"), item=names, patient=names, group=names, label=label_N[rows], arm=arm,
                          fold=fold, seed=seed, value_NK=np.stack([1 - p_N, p_N], axis=1)[rows])
                )  # fmt: skip
    return concatenate(tables)


def test_a_better_arm_passes_and_the_best_of_them_is_chosen() -> None:
    found = gate(halves({"augmented": 0, "a": 0.6, "b": 1.5}), reference="augmented", metric="auroc_macro", draws=500)
    assert found["chosen"] == "b"
    assert found["lower_bound"] > 0
    assert "300 validation groups" in found["reason"]


def test_equal_and_worse_arms_leave_the_reference() -> None:
    found = gate(halves({"augmented": 0, "a": 0.0, "b": -0.5}), reference="augmented", metric="auroc_macro", draws=500)
    assert found["chosen"] == "augmented"
    assert found["lower_bound"] <= 0
    assert "no arm was surely better" in found["reason"]


def test_few_labels_are_named_as_the_reason() -> None:
    found = gate(halves({"augmented": 0, "a": 0.0}, groups=80), reference="augmented", metric="auroc_macro", draws=500)
    assert found["chosen"] == "augmented"
    assert "too few labels to tell" in found["reason"]


def test_a_stricter_level_never_passes_what_a_laxer_one_holds_back() -> None:
    predictions = halves({"augmented": 0, "a": 0.1, "b": 0.05})
    bounds = [
        gate(predictions, reference="augmented", metric="auroc_macro", level=level, draws=500)["lower_bound"]
        for level in (0.01, 0.05, 0.20)
    ]
    assert bounds == sorted(bounds)


def test_only_candidates_are_handed_over_and_less_is_better_where_it_is() -> None:
    predictions = halves({"augmented": 0, "a": 0.6, "b": 1.5})
    found = gate(predictions, reference="augmented", metric="brier", candidates=["a"], draws=500)
    assert found["chosen"] == "a"
    assert gate(predictions, reference="augmented", metric="brier", candidates=[], draws=9)["chosen"] == "augmented"


def test_a_level_that_is_no_probability_is_refused() -> None:
    with pytest.raises(UserError, match="expected a probability"):
        gate(halves({"augmented": 0}), reference="augmented", metric="accuracy", level=20)

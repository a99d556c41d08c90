"""Words, their order, Holm's steps, and what a single split may say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augury.errors import UserError
from augury.metrics.intervals import Contrast
from augury.metrics.resampling import Replicates
from augury.studies.predictions import Predictions, concatenate, read, table
from augury.studies.verdict import Comparison, holm, judge, leaning, patients_needed, verdict


def made(value: float, *, deviation: float = 0.01, cells: int = 5) -> Contrast:
    """A difference whose resamples are normal; its 95 % interval is value +- 2 deviations."""
    rng = np.random.default_rng(0)
    noise_B = rng.standard_normal(4000)
    noise_B = (noise_B - noise_B.mean()) / noise_B.std() * deviation
    influence_G = rng.standard_normal(200) * deviation / math.sqrt(200)
    return Contrast(
        replicates=Replicates(value=value, draw_B=value + noise_B, deleted_J=value + influence_G, groups=200,
                              stratum_J=np.zeros(200, dtype=np.int64)),
        value_C=np.full(cells, value), test_to_train=1 / 3,
    )  # fmt: skip


def word(value: float, *, deviation: float = 0.01, control: float | None = None, cells: int = 5) -> str:
    against = None if control is None else made(control, deviation=deviation)
    comparison = Comparison(arm="x", difference=made(value, deviation=deviation, cells=cells), versus_control=against)
    return verdict(comparison, error=0.05, smallest_effect=0.02)


def test_each_word_and_their_order() -> None:
    assert word(0.05) == "HELPS"
    assert word(0.05, control=0.04) == "HELPS"
    assert word(0.05, control=0.01) == "NOT WORSE"  # better than the reference, not surely than the control
    assert word(0.05, control=-0.05) == "NOT WORSE"
    assert word(-0.05) == "HURTS"
    assert word(0.0, deviation=0.008) == "NO MEANINGFUL DIFFERENCE"
    assert word(0.01, deviation=0.012) == "NOT WORSE"
    assert word(0.0, deviation=0.02) == "INCONCLUSIVE"
    assert word(-0.01, deviation=0.002) == "HURTS"  # small but sure: hurting comes first
    assert word(0.01, deviation=0.002) == "HELPS"
    assert word(0.01, deviation=0.002, control=0.0) == "NO MEANINGFUL DIFFERENCE"


def test_one_split_is_inconclusive_whatever_it_shows() -> None:
    assert word(0.2, cells=1) == "INCONCLUSIVE"
    assert [leaning(made(value)) for value in (0.2, -0.2, 0.001)] == ["up", "down", "neither"]


def test_patients_needed_would_decide() -> None:
    for value, control in ((0.015, None), (0.015, 0.008), (-0.015, None), (0.0, None), (0.019, 0.012)):

        def comparison(deviation: float, value: float = value, control: float | None = control) -> Comparison:
            against = None if control is None else made(control, deviation=deviation)
            return Comparison(arm="x", difference=made(value, deviation=deviation), versus_control=against)

        before = comparison(0.05)
        assert verdict(before, error=0.05, smallest_effect=0.02) == "INCONCLUSIVE"
        needed = patients_needed(before, error=0.05, smallest_effect=0.02)
        assert needed is not None
        enough = comparison(0.05 * math.sqrt(200 / (1.1 * needed)))
        assert verdict(enough, error=0.05, smallest_effect=0.02) not in ("INCONCLUSIVE", "NOT WORSE")
        few = comparison(0.05 * math.sqrt(200 / (0.7 * needed)))
        assert verdict(few, error=0.05, smallest_effect=0.02) in ("INCONCLUSIVE", "NOT WORSE")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.0001, 1.0), min_size=1, max_size=12))
def test_holm_equals_its_slow_definition(p_values: list[float]) -> None:
    adjusted, errors = holm(p_values)
    order, rejected = sorted(range(len(p_values)), key=lambda k: p_values[k]), set()
    for step, k in enumerate(order):
        if p_values[k] > 0.05 / (len(p_values) - step):
            break
        rejected.add(k)
    for k, p in enumerate(p_values):
        assert (p <= errors[k]) == (k in rejected)
        if abs(adjusted[k] - 0.05) > 1e-9:
            assert (adjusted[k] < 0.05) == (k in rejected)
        assert p <= adjusted[k] <= 1
        assert 0.05 / len(p_values) <= errors[k] <= 0.05


def study(
    *, folds: int = 5, gain: float = 0.0, arms: tuple[str, ...] = ("duplicated:1", "mixed:cgan:1")
) -> Predictions:
    """Three classes, 240 patients; the last arm's scores are better by `gain` deviations."""
    rng = np.random.default_rng(1)
    label_N = np.arange(240) % 3
    common_NK, tables = rng.standard_normal((240, 3)), []
    for arm in ("augmented", *arms):
        for seed in range(3):
            size = 1.0 + (gain if arm == arms[-1] else 0.0)
            z_NK = common_NK + 0.3 * rng.standard_normal((240, 3)) + size * np.eye(3)[label_N]
            p_NK = np.exp(z_NK) / np.exp(z_NK).sum(1, keepdims=True)
            for fold in range(5):
                rows = np.flatnonzero(np.arange(240) // 3 % 5 == fold)
                names = [f"i{k}" for k in rows]
                tables.append(
                    table(classes=("a", "b", "c"), item=names, patient=names, group=names, label=label_N[rows], arm=arm,
                          fold=fold, seed=seed, value_NK=p_NK[rows])
                )  # fmt: skip
    return concatenate(tables)


CONTROLS: dict[str, str | None] = {"duplicated:1": None, "mixed:cgan:1": "duplicated:1"}


def judged(predictions: Predictions, *, metric: str = "auroc_macro") -> dict:
    return judge(predictions, reference="augmented", controls=CONTROLS, metric=metric, smallest_effect=0.02, draws=500)


def test_judge_tells_a_clear_gain_with_its_facts() -> None:
    found = judged(study(gain=1.0))
    assert list(found) == list(CONTROLS)
    best = found["mixed:cgan:1"]
    assert best["verdict"] == "HELPS"
    assert best["leaning"] == "up"
    assert best["control"] == "duplicated:1"
    assert best["p_adjusted"] <= 0.05
    assert best["difference"]["low"] > 0
    assert best["versus_control"]["low"] > 0
    assert best["simultaneous_low"] > 0
    assert best["patients_needed"] is None
    assert best["difference"]["n"] == 240
    assert found["duplicated:1"]["versus_control"] is None
    assert found["duplicated:1"]["verdict"] != "HELPS"


def test_a_metric_of_which_less_is_better_gains_by_falling() -> None:
    best = judged(study(gain=1.0), metric="brier")["mixed:cgan:1"]
    assert best["verdict"] == "HELPS"
    assert best["difference"]["high"] < 0
    assert best["difference"]["value"] < 0


def test_a_quick_study_leans_and_nothing_more() -> None:
    quick = study(gain=1.0)
    found = judged(quick.take(quick.fold_R == 0))["mixed:cgan:1"]
    assert found["verdict"] == "INCONCLUSIVE"
    assert found["leaning"] == "up"


def test_an_arm_equal_to_the_reference_makes_no_difference() -> None:
    predictions = study()
    twin = predictions.take(predictions.arm_R == "augmented")
    copy = concatenate([predictions, table_of(twin, "copy")])
    found = judge(copy, reference="augmented", controls={"copy": None}, metric="accuracy", draws=200)["copy"]
    assert found["verdict"] == "NO MEANINGFUL DIFFERENCE"
    assert found["p_adjusted"] == 1.0
    assert (found["difference"]["low"], found["difference"]["high"]) == (0.0, 0.0)


def table_of(predictions: Predictions, arm: str) -> Predictions:
    parts = [
        table(classes=predictions.classes, item=list(p.item_R), patient=list(p.patient_R), group=list(p.group_R),
              label=p.label_R, arm=arm, fold=fold, seed=seed, value_NK=p.value_RK)
        for fold in range(5) for seed in range(3)
        for p in [predictions.take((predictions.fold_R == fold) & (predictions.seed_R == seed))]
    ]  # fmt: skip
    return concatenate(parts)


def test_the_same_table_gives_the_same_words_and_a_csv_too(tmp_path: Path) -> None:
    predictions = study(gain=0.2)
    predictions.write(tmp_path / "predictions.csv")
    assert judged(predictions) == judged(read(tmp_path / "predictions.csv"))


def test_more_arms_make_claims_dearer() -> None:
    arms = tuple(f"mixed:cgan:{k}" for k in range(6))
    predictions = study(gain=1.0, arms=arms)
    alone = judge(predictions, reference="augmented", controls={arms[-1]: None}, metric="accuracy", draws=500)[arms[-1]]
    among = judge(predictions, reference="augmented", controls=dict.fromkeys(arms), metric="accuracy", draws=500)[
        arms[-1]
    ]
    assert among["p_adjusted"] >= 5.9 * alone["p_adjusted"]
    assert among["difference"]["low"] < alone["difference"]["low"]
    assert among["level"] == pytest.approx(1 - 0.05 / 6)


def test_an_unknown_metric_or_arm_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="no metric"):
        judged(study(), metric="auc")
    with pytest.raises(UserError, match="no predictions of"):
        judge(study(), reference="real", controls=CONTROLS, metric="accuracy", draws=10)

"""The laws of EVALUATION.md about verdicts, on studies that are simulated down to the training.

Every study trains linear discriminants on overlapping folds of drawn patients. Arms share half of their features; the
other half is an arm's own and of the same law for every arm; every seed drops features at random. So two arms of equal
signal are equal in expectation, exactly, while their scores differ through the training set, the seeds, the patients
and the images. The tables go through `judge`, as predictions.csv does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

from augury.metrics.classification import METRICS
from augury.metrics.intervals import estimate
from augury.studies.gate import gate
from augury.studies.predictions import Predictions, cells, concatenate, table
from augury.studies.verdict import judge

REFERENCE, CONTROL, ARM = "augmented", "duplicated:1", "mixed:cvae:1"
FEATURES, FOLDS, SEEDS = 6, 5, 3
NULLS = {
    "all equal": {REFERENCE: 1.0, CONTROL: 1.0, ARM: 1.0},
    "control worse": {REFERENCE: 1.0, CONTROL: 0.3, ARM: 1.0},
    "reference worse, control equal": {REFERENCE: 0.3, CONTROL: 1.0, ARM: 1.0},
}


def study(
    rng: np.random.Generator, signal: Mapping[str, float], *, groups: int, part: str = "test", shared: float = 1.0
) -> Predictions:
    """The table of one study: patients with one to three images each, half of them of the second class."""
    label_G = np.arange(groups) % 2
    fold_G = np.concatenate([rng.permutation(np.arange((groups + 1 - k) // 2) % FOLDS) for k in (0, 1)])
    fold_G = fold_G[np.argsort(np.r_[np.flatnonzero(label_G == 0), np.flatnonzero(label_G == 1)])]
    group_N = np.repeat(np.arange(groups), rng.integers(1, 4, groups))
    label_N, fold_N = label_G[group_N], fold_G[group_N]
    names = np.char.add("image", np.arange(len(group_N)).astype(str))
    owners = np.char.add("patient", group_N.astype(str))
    tables = []
    shared_ND = _features(rng, label_N, group_N, strength=shared)[:, : FEATURES // 2]
    for arm, strength in signal.items():
        own_ND = _features(rng, label_N, group_N, strength=strength)[:, FEATURES // 2 :]
        x_ND = np.concatenate([shared_ND, own_ND], axis=1)
        for fold in range(FOLDS):
            scored = fold_N == (fold if part == "test" else (fold + 1) % FOLDS)
            trained = (fold_N != fold) & (fold_N != (fold + 1) % FOLDS)
            for seed in range(SEEDS):
                p_NK = _discriminant(rng, x_ND[trained], label_N[trained], x_ND[scored])
                tables.append(
                    table(
                        classes=("no", "yes"), item=names[scored], patient=owners[scored], group=owners[scored],
                        label=label_N[scored], arm=arm, fold=fold, seed=seed, value_NK=p_NK,
                    )
                )  # fmt: skip
    return concatenate(tables)


def _features(rng: np.random.Generator, label_N: np.ndarray, group_N: np.ndarray, *, strength: float) -> np.ndarray:
    patient_ND = rng.standard_normal((group_N.max() + 1, FEATURES))[group_N]
    image_ND = rng.standard_normal((len(group_N), FEATURES))
    return np.sqrt(0.6) * patient_ND + np.sqrt(0.4) * image_ND + 0.55 * strength * label_N[:, None]


def _discriminant(rng: np.random.Generator, x_ND: np.ndarray, label_N: np.ndarray, test_ND: np.ndarray) -> np.ndarray:
    kept = rng.permutation(FEATURES)[:4]
    x_ND, test_ND = x_ND[:, kept], test_ND[:, kept]
    low_D, high_D = x_ND[label_N == 0].mean(axis=0), x_ND[label_N == 1].mean(axis=0)
    direction_D = np.linalg.solve(np.cov(x_ND.T) + 0.1 * np.eye(len(kept)), high_D - low_D)
    p_N = 1 / (1 + np.exp(-(test_ND - (low_D + high_D) / 2) @ direction_D))
    return np.stack([1 - p_N, p_N], axis=1)


def clopper_pearson_high(hits: int, trials: int) -> float:
    """Upper end of the two-sided 95 % interval of a rate (Clopper and Pearson 1934)."""
    return float(beta.ppf(0.975, hits + 1, trials - hits)) if hits < trials else 1.0


def judged(rng: np.random.Generator, signal: Mapping[str, float], *, groups: int, draws: int) -> dict[str, Any]:
    """The verdict on ARM in one drawn study."""
    return judge(
        study(rng, signal, groups=groups), reference=REFERENCE, controls={ARM: CONTROL}, metric="auroc_macro",
        smallest_effect=0.02, seed=0, draws=draws,
    )[ARM]  # fmt: skip


def rates(null: str, *, studies: int, groups: int, draws: int) -> tuple[Counter[str], float]:
    """The words over many studies of equal arms, and how often the interval of the difference that is 0 holds it."""
    rng, words, held = np.random.default_rng(20261121), Counter[str](), 0
    equal = "versus_control" if NULLS[null][REFERENCE] != NULLS[null][ARM] else "difference"
    for _ in range(studies):
        found = judged(rng, NULLS[null], groups=groups, draws=draws)
        words[found["verdict"]] += 1
        held += found[equal]["low"] <= 0 <= found[equal]["high"]
    print(f"{null}, {groups} groups, {studies} studies: {dict(words)}; covered {held / studies:.4f}; "
          f"HELPS at most {clopper_pearson_high(words['HELPS'], studies):.4f}")  # fmt: skip
    return words, held / studies


def test_equal_arms_are_not_said_to_help() -> None:
    words, covered = rates("control worse", studies=2000, groups=50, draws=200)
    assert words.total() == 2000
    assert clopper_pearson_high(words["HELPS"], 2000) < 0.05
    assert clopper_pearson_high(words["HURTS"], 2000) < 0.05
    assert covered >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("null", NULLS)
def test_equal_arms_are_not_said_to_help_in_full(null: str) -> None:
    words, covered = rates(null, studies=2000, groups=150, draws=2000)
    assert clopper_pearson_high(words["HELPS"], 2000) < 0.05
    assert covered >= 0.93


def test_an_arm_that_is_better_is_said_to_help_and_a_worse_one_to_hurt() -> None:
    rng = np.random.default_rng(3)
    better = {REFERENCE: 0.5, CONTROL: 0.5, ARM: 2.5}
    worse = {REFERENCE: 2.5, CONTROL: 2.5, ARM: 0.5}
    assert sum(judged(rng, better, groups=200, draws=300)["verdict"] == "HELPS" for _ in range(12)) >= 10
    assert sum(judged(rng, worse, groups=200, draws=300)["verdict"] == "HURTS" for _ in range(12)) >= 10
    assert judged(rng, {**better, CONTROL: 2.5}, groups=200, draws=300)["verdict"] != "HELPS"


def test_shuffled_labels_are_at_chance() -> None:
    rng, held, studies = np.random.default_rng(4), 0, 150
    for _ in range(studies):
        none = {REFERENCE: 0.0}
        table_ = study(rng, none, groups=60, shared=0.0)
        found = estimate(cells(table_, [REFERENCE]), 0, METRICS["auroc_macro"], draws=200)
        held += found.low <= 0.5 <= found.high
    assert held / studies >= 0.93


def test_the_gate_seldom_hands_over_an_equal_arm_and_more_seldom_a_worse_one() -> None:
    equal = handed_over(1.0, studies=100, groups=100)
    worse = handed_over(0.4, studies=100, groups=100)
    print(f"gate at 0.20, 100 groups: equal arms handed over {equal:.3f}, worse ones {worse:.3f}")
    assert equal <= 0.20 + 2 * np.sqrt(0.2 * 0.8 / 100)
    assert worse <= 0.05
    assert handed_over(3.0, studies=20, groups=200) >= 0.9


def handed_over(signal: float, *, studies: int, groups: int) -> float:
    """How often the gate chooses one of three arms of this signal over a reference of signal 1."""
    rng = np.random.default_rng(5)
    arms = {REFERENCE: 1.0} | {f"mixed:cvae:{ratio}": signal for ratio in (0.5, 1, 2)}
    tables = (study(rng, arms, groups=groups, part="gate") for _ in range(studies))
    chosen = [gate(drawn, reference=REFERENCE, metric="auroc_macro", draws=300)["chosen"] for drawn in tables]
    return 1 - chosen.count(REFERENCE) / studies

"""Scores of cases pass through the same intervals, verdicts and gate as probabilities do.

Every simulated study has three folds, three seeds, patients of one to three images. A case's score has a part of its
image and one of its patient that all arms share, a part of the arm's own, and every fold and seed has luck of its own
per arm (what a training set and a start add), so that equal arms are equal in expectation only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from augury.errors import UserError
from augury.metrics.case_measures import MEASURES, case_metric
from augury.metrics.intervals import estimate
from augury.studies.gate import gate
from augury.studies.predictions import Predictions, cells, concatenate, read, table
from augury.studies.verdict import judge

REFERENCE, CONTROL, ARM = "augmented", "duplicated:1", "mixed:flow:1"
NAMES = ("dice", "hd95")


def study(rng: np.random.Generator, gain: Mapping[str, float], *, groups: int, folds: int = 3) -> Predictions:
    """Dice, and a distance that falls as it rises, of every arm; `gain` is added to the Dice of an arm."""
    group_N = np.repeat(np.arange(groups), rng.integers(1, 4, groups))
    fold_N = rng.permutation(np.arange(groups) % folds)[group_N]
    shared_N = 0.7 + 0.12 * rng.standard_normal(groups)[group_N] + 0.08 * rng.standard_normal(len(group_N))
    names = np.array([f"i{n}" for n in range(len(group_N))])
    owners = np.array([f"p{g}" for g in group_N])
    tables = []
    for arm, more in gain.items():
        own_N = 0.03 * rng.standard_normal(groups)[group_N]
        for fold in range(folds):
            here = fold_N == fold
            luck = 0.01 * rng.standard_normal()
            for seed in range(3):
                noise_n = 0.05 * rng.standard_normal(int(here.sum())) + 0.01 * rng.standard_normal() + luck
                dice_n = np.clip(shared_N[here] + own_N[here] + noise_n + more, 0, 1)
                tables.append(
                    table(
                        classes=("",), item=names[here], patient=owners[here], group=owners[here],
                        label=np.zeros(len(dice_n), dtype=np.int64), arm=arm, fold=fold, seed=seed,
                        value_NK=np.stack([dice_n, 20 * (1 - dice_n)], axis=1), measures=NAMES,
                    )
                )  # fmt: skip
    return concatenate(tables)


def test_a_table_of_cases_read_back_equals_the_table_written(tmp_path: Path) -> None:
    first = study(np.random.default_rng(0), {REFERENCE: 0.0, ARM: 0.0}, groups=9).sorted()
    first.write(tmp_path / "predictions.csv")
    header = (tmp_path / "predictions.csv").read_text().splitlines()[0]
    assert header == "item,unit,patient,group,label,arm,fold,repeat,seed,dice,hd95"
    second = read(tmp_path / "predictions.csv")
    assert (second.measures, second.classes) == (NAMES, ("",))
    np.testing.assert_array_equal(first.value_RK, second.value_RK)
    assert second.to_csv() == first.to_csv()


def test_the_mean_over_cases_is_the_plain_mean() -> None:
    found = study(np.random.default_rng(1), {REFERENCE: 0.0}, groups=40)
    by_fold = [found.value_RK[found.fold_R == fold, 0].mean() for fold in range(3)]
    value = estimate(cells(found, [REFERENCE]), 0, found.metric("dice"), draws=50).value
    assert value == pytest.approx(np.mean(by_fold), rel=1e-6)


def test_every_measure_says_which_way_is_better() -> None:
    lower = {name for name in MEASURES if case_metric(name, tuple(MEASURES)).better == "lower"}
    assert lower == {"hd95", "assd"}
    with pytest.raises(UserError, match="no metric 'auroc_macro'"):
        judge(study(np.random.default_rng(1), {REFERENCE: 0.0, ARM: 0.0}, groups=9), reference=REFERENCE,
              controls={ARM: None}, metric="auroc_macro", draws=10)  # fmt: skip


def test_equal_arms_seldom_help_and_their_interval_covers() -> None:
    rng, words, held, studies = np.random.default_rng(20261122), Counter[str](), 0, 300
    for _ in range(studies):
        drawn = study(rng, dict.fromkeys((REFERENCE, CONTROL, ARM), 0.0), groups=60)
        found = judge(drawn, reference=REFERENCE, controls={ARM: CONTROL}, metric="dice", draws=200)[ARM]
        words[found["verdict"]] += 1
        held += found["difference"]["low"] <= 0 <= found["difference"]["high"]
    print(f"{studies} studies of equal arms: {dict(words)}; covered {held / studies:.3f}")
    assert words["HELPS"] <= 0.025 * studies + 2 * np.sqrt(0.025 * 0.975 * studies)
    assert words["HURTS"] <= 0.025 * studies + 2 * np.sqrt(0.025 * 0.975 * studies)
    assert held / studies >= 0.93


@pytest.mark.parametrize("metric", NAMES)
def test_a_clear_gain_helps_whichever_way_the_measure_points(metric: str) -> None:
    drawn = study(np.random.default_rng(2), {REFERENCE: 0.0, CONTROL: 0.0, ARM: 0.1}, groups=150)
    found = judge(drawn, reference=REFERENCE, controls={ARM: CONTROL}, metric=metric, draws=300)[ARM]
    assert found["verdict"] == "HELPS"
    assert (found["difference"]["value"] > 0) == (metric == "dice")


def test_the_gate_takes_scores_of_cases() -> None:
    drawn = study(np.random.default_rng(3), {REFERENCE: 0.0, ARM: 0.1, "real": -0.1}, groups=90)
    assert gate(drawn, reference=REFERENCE, metric="dice", draws=300)["chosen"] == ARM
    assert gate(drawn, reference=REFERENCE, metric="dice", candidates=["real"], draws=300)["chosen"] == REFERENCE

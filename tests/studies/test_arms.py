"""Arm ids: every one of EVALUATION.md is understood, costs what the budget rule says, and has its control."""

from __future__ import annotations

import pytest

from augury.errors import UserError
from augury.studies.arms import complete, default, parse, primary

GENERATORS = ("cvae", "wgan_gp")


@pytest.mark.parametrize(
    ("text", "cost", "control"),
    [
        ("real", 1.0, None),
        ("augmented", 1.0, None),
        ("probe", 0.0, None),
        ("labels:0.25", 1.0, None),
        ("duplicated:2", 3.0, None),
        ("generated:cvae", 1.0, None),
        ("mixed:wgan_gp:0.25", 1.25, "duplicated:0.25"),
        ("mixed:cvae:1:0.3", 2.0, "duplicated:1"),
        ("sequential:cvae", 2.0, "duplicated:1"),
        ("shuffled:cvae:0.5", 1.5, "duplicated:0.5"),
    ],
)
def test_an_arm_costs_what_the_budget_rule_says(text: str, cost: float, control: str | None) -> None:
    arm = parse(text, generators=GENERATORS)
    assert (arm.id, arm.cost, arm.control) == (text, cost, control)


@pytest.mark.parametrize(
    "text",
    ["", "Real", "mixed", "mixed:dcgan", "mixed:cvae:x", "mixed:cvae:-1", "mixed:cvae:nan", "labels:1", "labels:2",
     "generated:cvae:2", "sequential:cvae:1:1", "real:1", "mixed:cvae:1:2:3", "a b"],
)  # fmt: skip
def test_what_names_no_arm_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match="expected") as caught:
        parse(text, generators=GENERATORS)
    assert "\n" not in str(caught.value)


def test_every_synthetic_arm_brings_its_control_and_the_reference_leads() -> None:
    arms = complete([parse("mixed:cvae:0.5", generators=GENERATORS)], generators=GENERATORS)
    assert [arm.id for arm in arms] == ["augmented", "mixed:cvae:0.5", "duplicated:0.5"]


def test_the_primary_contrast_is_pretraining_on_synthetic_images_where_there_is_one() -> None:
    arms = default(generators=GENERATORS, ratios=(0.5, 1.0), weights=True)
    assert primary(arms).id == "sequential:cvae:1"
    assert primary(complete([parse("balanced", generators=())], generators=())).id == "balanced"


def test_controls_are_no_candidates_for_the_handed_over_model() -> None:
    arms = default(generators=GENERATORS, ratios=(0.5,), weights=True)
    rejected = {arm.id for arm in arms if not arm.candidate}
    assert rejected == {"augmented", "duplicated:0.5", "shuffled:cvae:0.5", "labels:0.25", "labels:0.5"}

"""Arms of segmentation: each costs what the budget rule says, is controlled by its like, or is refused if unknown."""

from __future__ import annotations

import pytest

from augury.data.segment_augmentation import SEGMENT_AUGMENTATIONS
from augury.errors import UserError
from augury.studies.arms import complete, primary
from augury.studies.segment.arms import SIMPLE, default, parse


@pytest.mark.parametrize(
    ("text", "cost", "control"),
    [
        ("real", 1.0, None),
        ("augmented", 1.0, None),
        ("cutmix", 1.0, None),
        ("nnunet", 1.0, None),
        ("labels:0.5", 1.0, None),
        ("duplicated:1", 2.0, None),
        ("generated:flow", 1.0, None),
        ("mixed:flow:0.5", 1.5, "duplicated:0.5"),
        ("mixed:flow", 2.0, "duplicated:1"),
        ("merged:flow", 2.0, "duplicated:1"),
    ],
)
def test_an_arm_costs_what_the_budget_rule_says(text: str, cost: float, control: str | None) -> None:
    arm = parse(text, generators=["flow"])
    assert (arm.id, arm.cost, arm.control) == (text, cost, control)


@pytest.mark.parametrize(
    "text",
    ["", "Real", "mixed", "mixed:cvae", "mixed:flow:x", "mixed:flow:1:2", "merged:flow:1", "merged", "labels:1",
     "sequential:flow:1", "shuffled:flow:1", "balanced", "probe", "contrast:1", "a b"],
)  # fmt: skip
def test_what_names_no_arm_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match="expected") as caught:
        parse(text, generators=["flow"])
    assert "\n" not in str(caught.value)


def test_every_named_augmentation_exists() -> None:
    assert {arm.augmentation for arm in SIMPLE.values() if arm.augmentation} <= set(SEGMENT_AUGMENTATIONS)


def test_the_quick_study_has_four_arms_and_the_whole_one_the_papers_baselines() -> None:
    quick = default(generators=["flow"], quick=True)
    assert {arm.id for arm in quick} == {"augmented", "real", "mixed:flow:1", "duplicated:1"}
    assert primary(quick).id == "mixed:flow:1"
    whole = default(generators=["flow"], quick=False)
    assert {"real", "contrast", "noise", "rotate", "scale", "cutmix", "deepstack", "nnunet", "generated:flow",
            "mixed:flow:1", "merged:flow", "duplicated:1", "augmented"} == {arm.id for arm in whole}  # fmt: skip
    assert primary(whole).id == "merged:flow"
    assert not {"augmented", "duplicated:1"} & {arm.id for arm in whole if arm.candidate}


def test_a_merged_arm_brings_its_control_once() -> None:
    arms = [parse(text, generators=["flow"]) for text in ("merged:flow", "mixed:flow:1")]
    found = complete(arms, generators=["flow"], read=parse)
    assert [arm.id for arm in found] == ["augmented", "merged:flow", "mixed:flow:1", "duplicated:1"]

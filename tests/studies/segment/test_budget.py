"""What a study of masks gives up for time: in the stated order, never the comparison itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from augury.data.sample import Manifest, Sample
from augury.studies import budget
from augury.studies.graph import Costs, build
from augury.studies.plan import GeneratorPlan, Plan
from augury.studies.segment.arms import default
from augury.studies.segment.planner import PRESETS

ORDER = [
    "arms of a single augmentation", "resolution above 48 px", "resolution above 32 px", "tuning of the augmentation",
    "stacked augmentations", "synthetic images alone", "the arm without augmentation",
]  # fmt: skip
MANIFEST = Manifest(
    name="made", classes=("a", "b"), patients_known=True,
    samples=tuple(
        Sample(row=f"{i}", id=f"{i}", patient=f"{i}", group=f"{i}", image=Path("x"), label=i % 2,
               masks={"mask": Path("m")})
        for i in range(300)
    ),
)  # fmt: skip


def whole() -> Plan:
    arms = default(generators=("flow",), quick=False)
    return Plan(
        task="segment", request={}, data="", preset="standard", question="", size=(64, 64), channels=1,
        split="grouped", drop_leaks=False, extent=PRESETS["standard"], seed=0, classifier={}, segmenter={}, steps=400,
        batch=16, candidates=("standard", "deepstack", "nnunet"), reference="augmented", primary="merged:flow",
        generators={"flow": GeneratorPlan(config={"conditions": ["label", "mask"]}, steps=2000, batch=64)},
        arms=tuple(arm.id for arm in arms), metric="dice", smallest_effect=0.02, gate_level=0.2, workers=2,
        siblings=4, moved=True, maps=("mask",), masks="x",
    )  # fmt: skip


def measured(plan: Plan) -> Costs:
    area = plan.size[0] * plan.size[1]
    return Costs(train=area * 2e-5, score=area * 1e-6, fit={"flow": area * 7e-5}, draw={"flow": area * 2e-6}, start=0.3)


def fitted(minutes: float) -> Plan:
    return budget.fit_to(whole(), MANIFEST, seconds=60 * minutes, measured=measured, fixed=frozenset())


@pytest.mark.parametrize("minutes", [8, 12, 18, 25, 35, 60])
def test_a_study_fits_its_budget_and_gives_up_in_order(minutes: int) -> None:
    plan = fitted(minutes)
    assert plan.estimate_seconds <= 60 * minutes
    cuts = [words for words in plan.dropped if words in ORDER]
    assert cuts == ORDER[: len(cuts)]
    assert {"augmented", "duplicated:1", "merged:flow"} <= set(plan.arms)
    assert build(plan, MANIFEST).fits


def test_a_long_budget_gives_nothing_up() -> None:
    assert fitted(1000).dropped == ()


def test_siblings_that_keep_their_masks_are_drawn_for_merging_arms_alone() -> None:
    graph = build(whole(), MANIFEST)
    kept, moved = (
        [s for s in graph.steps.values() if s.recipe.kind == "draw" and bool(s.recipe.facts.get("moved")) == way]
        for way in (False, True)
    )
    assert len(kept) == len(moved) == 3
    assert {step.recipe.facts["ratio"] for step in kept} == {4.0}
    merged = graph.steps[graph.fits["merged:flow", 0, 0, 0]].recipe.parents["synthetic"]
    mixed = graph.steps[graph.fits["mixed:flow:1", 0, 0, 0]].recipe.parents["synthetic"]
    assert merged in {step.digest for step in kept}
    assert mixed in {step.digest for step in moved}

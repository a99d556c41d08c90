"""What a study gives up for time: in the stated order, saying so, and never the comparison itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from augury.data.sample import Manifest, Sample
from augury.errors import UserError
from augury.studies import budget
from augury.studies.arms import default
from augury.studies.graph import Costs, build
from augury.studies.plan import GeneratorPlan, Plan
from augury.studies.study import PRESETS

GENERATORS = ("cvae", "wgan_gp")
ORDER = [
    "ratios other than the smallest", "arms with a share of the labels", "the second generator", "the balanced arm",
    "resolution above 32 px", "resolution above 28 px", "tuning of the augmentation",
    "the arm without augmentation", "the negative control",
]  # fmt: skip


def manifest() -> Manifest:
    samples = tuple(
        Sample(row=f"{i}", id=f"{i}", patient=f"{i}", group=f"{i}", image=Path(f"{i}.png"), label=i % 2)
        for i in range(500)
    )
    return Manifest(name="made", samples=samples, classes=("a", "b"), patients_known=True)


def whole() -> Plan:
    arms = default(generators=GENERATORS, ratios=(0.5, 1.0), weights=False)
    return Plan(
        request={}, data="", preset="standard", question="", size=(48, 48), channels=1, split="grouped",
        drop_leaks=False, extent=PRESETS["standard"], seed=0, classifier={}, steps=600, batch=64,
        candidates=("light", "standard", "strong"),
        generators={name: GeneratorPlan(config={}, steps=1000, batch=64) for name in GENERATORS},
        arms=tuple(arm.id for arm in arms), reference="augmented", primary="sequential:cvae:1", metric="auroc_macro",
        smallest_effect=0.02, gate_level=0.2, workers=2,
    )  # fmt: skip


def measured(plan: Plan) -> Costs:
    """A step costs as many seconds as there are pixels, times a constant."""
    area = plan.size[0] * plan.size[1]
    rates = dict.fromkeys(plan.generators, area * 0.0001)
    return Costs(
        train=area * 4e-5, score=area * 1e-7, fit=rates, draw={n: r / 100 for n, r in rates.items()}, start=0.3
    )


def fitted(seconds: float, *, fixed: frozenset[str] = frozenset()) -> Plan:
    return budget.fit_to(whole(), manifest(), seconds=seconds, measured=measured, fixed=fixed)


@pytest.mark.parametrize("minutes", [15, 20, 30, 45, 60, 90, 120, 200])
def test_a_study_fits_its_budget_and_gives_up_in_order(minutes: int) -> None:
    plan = fitted(60.0 * minutes)
    assert plan.estimate_seconds <= 60 * minutes
    cuts = [words for words in plan.dropped if words in ORDER]
    assert cuts == ORDER[: len(cuts)]


def test_more_time_never_gives_up_more() -> None:
    counts = [len(fitted(60.0 * minutes).dropped) for minutes in (15, 30, 60, 120, 400)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 0


@pytest.mark.parametrize("minutes", [3, 6, 15, 30])
def test_the_comparison_itself_survives(minutes: int) -> None:
    plan = fitted(60.0 * minutes)
    ids = set(plan.arms)
    assert {"augmented", "duplicated:0.5"} <= ids
    assert any(arm.mode in ("mixed", "sequential") and not arm.shuffled for arm in plan.parsed())
    assert plan.extent.seeds == 3
    assert plan.steps >= budget.LEAST_STEPS * 600 - 1
    assert {arm.control for arm in plan.parsed() if arm.control} <= ids
    assert build(plan, manifest()).fits  # and it is a study that can be run


def test_folds_are_the_last_to_go_and_it_is_said() -> None:
    plan = fitted(300.0)
    assert (plan.preset, plan.extent.used) == ("quick", 1)
    assert any("can only lean" in words for words in plan.dropped)


def test_what_the_user_said_stays() -> None:
    plan = fitted(60.0 * 30, fixed=frozenset({"arms", "size"}))
    assert (plan.arms, plan.size) == (whole().arms, (48, 48))


def test_a_budget_that_cannot_hold_says_what_would_be_needed() -> None:
    with pytest.raises(UserError, match="smallest honest study of these images needs about"):
        fitted(20.0)


def test_equal_work_is_done_once() -> None:
    graph = build(whole(), manifest())
    assert len({step.digest for step in graph.steps.values()}) == len(graph.steps)
    generators = [step for step in graph.steps.values() if step.recipe.kind == "generator"]
    assert len(generators) == 5 * len(GENERATORS)  # a generator a fold serves all its arms and seeds


def test_a_changed_setting_changes_every_digest_that_depends_on_it() -> None:
    plan = whole()
    longer = replace(plan, generators={**plan.generators, "cvae": GeneratorPlan(config={}, steps=999, batch=64)})
    before, after = build(plan, manifest()), build(longer, manifest())
    changed = {key[0] for key in before.fits if before.fits[key] != after.fits[key]}
    assert changed == {arm.id for arm in plan.parsed() if arm.generator == "cvae"}

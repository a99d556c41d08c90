"""From a question to a plan: arms, size, steps and folds, within the budget if there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from augury.conditions.shape import Shape
from augury.data.augmentation import PRESETS as AUGMENTATIONS
from augury.data.augmentation import Augmentation
from augury.data.cache import cache_folder
from augury.data.preparation.allowed import allowed
from augury.data.preparation.choice import Choice
from augury.data.preparation.modalities import bounds_in_words
from augury.data.sample import Manifest
from augury.data.weights import read_weights
from augury.errors import UserError
from augury.generators import GENERATORS
from augury.metrics.classification import METRICS
from augury.predictors.backbones import build, load_given
from augury.predictors.classifier import Classifier, ClassifierConfig
from augury.predictors.probe import Probe
from augury.studies import budget, planning, preparing
from augury.studies.arms import REFERENCE, Arm, complete, default, parse, primary, question
from augury.studies.graph import Costs, partitions_of
from augury.studies.plan import GeneratorPlan, Plan
from augury.studies.planning import (
    Length,
    expect_two,
    extent_of,
    generator_plan,
    own_of,
    prefixed,
    weights_digest,
    workers_of,
)
from augury.studies.segment import costs as segment_costs
from augury.studies.segment import planner as segment
from augury.studies.settings import configured
from augury.studies.steps import REVISION, backbone_of
from augury.studies.study import PRESETS, STEPS, TASKS, Study

SIZE = {"cpu": 48, "cuda": 64}
RATIOS = {"quick": (0.5, 1.0), "standard": (0.5, 1.0), "rigorous": (0.25, 0.5, 1.0, 2.0)}
CANDIDATES = ("light", "standard", "strong")
# Steps of a generator's own training, by what its step costs and how soon it settles (docs/log.md).
GENERATOR_STEPS = {"cgan": 1500, "wgan_gp": 1500, "cvae": 1500, "flow": 3600}


@dataclass(frozen=True, kw_only=True)
class Settings(Length):
    """Overrides that are the plan's own fields."""

    folds: int
    seeds: int
    candidates: tuple[str, ...] = CANDIDATES

    def __post_init__(self) -> None:
        Length.__post_init__(self)
        if self.folds < 3 or self.seeds < 1:
            raise UserError(
                f"got folds={self.folds}, seeds={self.seeds}; expected at least 3 folds (one tests, one validates, the "
                "others train) and 1 seed"
            )
        unknown = [name for name in self.candidates if name not in AUGMENTATIONS]
        if unknown or not self.candidates:
            raise UserError(f"got candidates={list(self.candidates)}; expected some of {', '.join(AUGMENTATIONS)}")


OWN = own_of(Settings)


def plan_for(study: Study, manifest: Manifest, *, channels: Literal[1, 3], spent: float = 0.0) -> Plan:
    """A plan for the study's question, not yet written; `spent` seconds of its budget are gone already.

    Raises UserError for an unknown arm, generator, metric or setting, and where the budget cannot hold.
    """
    task = PLANNERS[study.task]
    plan = task.whole(study, manifest, channels)
    partitions_of(plan, manifest)  # refused before anybody waits for a measurement
    if plan.weights is not None:
        task.expect_loadable(Path(plan.weights), plan, manifest)
    if study.budget is None:
        costs = task.measure(plan, manifest, device=study.device)
        needed = budget.estimate(plan, manifest, costs)
        return replace(plan, estimate_seconds=round(needed, 1), costs=asdict(costs))

    def measured(candidate: Plan) -> Costs:
        return task.measure(candidate, manifest, device=study.device)

    fixed = _fixed(study, own=task.own)
    return budget.fit_to(plan, manifest, seconds=study.budget, spent=spent, measured=measured, fixed=fixed)


def costs_of(plan: Plan) -> Costs:
    """Relative costs for a progress bar: the shares matter, not the seconds."""
    return Costs(**plan.costs) if plan.costs else Costs(train=1.0)


def _expect_known(study: Study) -> None:
    planning.expect_known(study, own=OWN, predictor="classifier", generators=GENERATORS)
    if study.metric not in METRICS or METRICS[study.metric].prepare is None:
        said = ", ".join(name for name, metric in METRICS.items() if metric.prepare is not None)
        raise UserError(f"got --metric {study.metric!r}; expected one of {said}")


def _expect_loadable(weights: Path, plan: Plan, manifest: Manifest) -> None:
    """Weights that are damaged, or of another network than their name says, are refused before anything is trained."""
    read_weights(weights)
    (height, width), classes = plan.size, len(manifest.classes)
    shape, name = Shape(channels=plan.channels, height=height, width=width, classes=classes), backbone_of(weights)
    backbone = build(name, shape, width=ClassifierConfig.width, side=ClassifierConfig.side)
    load_given(backbone, name, shape, weights=weights)


def _whole(study: Study, manifest: Manifest, channels: Literal[1, 3]) -> Plan:
    """What a classification study does if it may take its time."""
    _expect_known(study)
    own, weights = _own(study), _weights(study)
    arms, notes = _arms(study, weights)
    choice, bounds = _handling(study, manifest, channels, own)
    asked = preparing.section("augmentation", study.overrides)
    extent = extent_of(PRESETS[study.preset], study, folds=own.folds, seeds=own.seeds)
    used = {arm.generator for arm in arms if arm.generator}
    return Plan(
        request=study.request(), data=manifest.digest, preset=study.preset, question=question(arms, study.metric),
        size=study.size or (SIZE["cpu" if study.device == "cpu" else "cuda"],) * 2, channels=channels,
        split=study.split, drop_leaks=study.drop_leaks, extent=extent, seed=study.seed,
        classifier=_classifier(study.overrides), steps=own.steps, batch=own.batch, candidates=own.candidates,
        generators={name: _generator(name, study) for name in study.generators if name in used},
        arms=tuple(arm.id for arm in arms), reference=REFERENCE, primary=primary(arms).id, metric=study.metric,
        smallest_effect=study.smallest_effect, gate_level=study.gate_level, weights=str(weights) if weights else None,
        weights_digest=weights_digest(weights) if weights else None, workers=workers_of(study), notes=notes,
        revisions=_revisions(name for name in study.generators if name in used),
        modality=choice.modality, preparation=dict(choice.preparation), augmentations=bounds,
        handling=(*choice.words(), *bounds_in_words(choice.kind, asked=asked)),
    )  # fmt: skip


def _handling(
    study: Study, manifest: Manifest, channels: int, own: Settings
) -> tuple[Choice, dict[str, dict[str, Any]]]:
    """How the images are prepared, and every preset that may be tuned over within the bounds of their modality."""
    section = preparing.section
    choice = preparing.chosen(manifest, named=study.modality, asked=section("preparation", study.overrides))
    names = sorted({*own.candidates, budget.PLAIN})
    asked = section("augmentation", study.overrides)
    return choice, _bounded(names, choice, channels=channels, asked=asked)


def revisions(plan: Plan) -> dict[str, int]:
    """Of every piece of code whose change changes results: a plan and its artefacts hold for these alone."""
    return PLANNERS[plan.task or "classify"].revisions(plan.generators)


def _revisions(generators: Iterable[str]) -> dict[str, int]:
    own = {"classifier": Classifier.revision, "probe": Probe.revision, "steps": REVISION}
    return own | planning.generator_revisions(generators)


def _bounded(
    names: Iterable[str], choice: Choice, *, channels: int, asked: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Each preset within the bounds of the modality, with the user's values above; UserError for a wrong one."""
    whole = configured(Augmentation, asked, at="augmentation.")
    given = {field: getattr(whole, field) for field in asked}
    return {name: asdict(allowed(name, choice.kind, channels=channels, asked=given)) for name in names}


def _own(study: Study) -> Settings:
    extent = PRESETS[study.preset]
    usual = {"steps": STEPS[study.preset], "folds": extent.folds, "seeds": extent.seeds}
    return configured(Settings, usual, {name: value for name, value in study.overrides.items() if name in OWN})


def _arms(study: Study, weights: Path | None) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
    names = study.generators
    if study.arms is not None:
        arms = complete([parse(text, generators=names) for text in study.arms], generators=names)
        expect_two(arms)
        if weights is None and any(arm.given_weights for arm in arms):
            raise UserError(
                "the arms probe and pretrained need --weights FILE, a .safetensors file named by a timm model"
            )
        return arms, ()
    notes = () if weights else ("no --weights given: the arms probe and pretrained were not run",)
    return default(generators=names, ratios=RATIOS[study.preset], weights=weights is not None), notes


def _classifier(overrides: Mapping[str, Any]) -> dict[str, Any]:
    config = configured(ClassifierConfig, prefixed("classifier", overrides), at="classifier.")
    return {name: value for name, value in asdict(config).items() if name not in ("augmentation", "balanced")}


def _generator(name: str, study: Study) -> GeneratorPlan:
    return generator_plan(name, study.overrides, usual={"steps": GENERATOR_STEPS.get(name, 1500)})


def _weights(study: Study) -> Path | None:
    """The file that the user named, else the only one in the weights folder, else none."""
    if study.weights is not None:
        return study.weights
    found = sorted((cache_folder() / "weights").glob("*.safetensors"))
    return found[0] if len(found) == 1 else None


def _fixed(study: Study, *, own: Iterable[str]) -> frozenset[str]:
    """What the user said and the planner must leave alone."""
    said = {
        "arms": study.arms is not None, "size": study.size is not None,
        "generators": study.generators != TASKS[study.task].generators,
    }  # fmt: skip
    return frozenset([name for name, given in said.items() if given] + [n for n in own if n in study.overrides])


@dataclass(frozen=True, kw_only=True)
class Planner:
    """How the studies of one task are planned."""

    whole: Callable[[Study, Manifest, Literal[1, 3]], Plan]
    expect_loadable: Callable[[Path, Plan, Manifest], None]  # of the weights file
    measure: budget.Measure
    revisions: Callable[[Iterable[str]], dict[str, int]]
    own: tuple[str, ...]  # overrides that are the plan's own fields


PLANNERS = {
    "classify": Planner(
        whole=_whole, expect_loadable=_expect_loadable, measure=budget.measure, revisions=_revisions, own=OWN
    ),
    "segment": Planner(
        whole=segment.whole, expect_loadable=segment.expect_loadable, measure=segment_costs.measure,
        revisions=segment.revisions, own=segment.OWN,
    ),
}  # fmt: skip

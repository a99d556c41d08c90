"""From a question to a plan: arms, size, steps and folds, within the budget if there is one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from augury.conditions.shape import Shape
from augury.data.cache import cache_folder
from augury.data.sample import Manifest
from augury.data.weights import read_weights
from augury.errors import UserError
from augury.generators import GENERATORS
from augury.metrics.classification import METRICS
from augury.predictors.backbones import build, load_given
from augury.predictors.classifier import Classifier, ClassifierConfig
from augury.studies import budget
from augury.studies.arms import REFERENCE, Arm, complete, default, parse, primary
from augury.studies.graph import Costs, partitions_of
from augury.studies.plan import GeneratorPlan, Plan
from augury.studies.settings import configured, nested
from augury.studies.steps import backbone_of
from augury.studies.study import PRESETS, STEPS, Study

BATCH = 64
SIZE = {"cpu": 48, "cuda": 64}
RATIOS = {"quick": (0.5, 1.0), "standard": (0.5, 1.0), "rigorous": (0.25, 0.5, 1.0, 2.0)}
CANDIDATES = ("light", "standard", "strong")
# Steps of a generator's own training, by what its step costs and how soon it settles (docs/log.md).
GENERATOR_STEPS = {"cgan": 1500, "wgan_gp": 700, "cvae": 2000}
OWN = ("steps", "batch", "candidates", "folds", "seeds")  # overrides that are the plan's own fields


def plan_for(study: Study, manifest: Manifest, *, channels: Literal[1, 3]) -> Plan:
    """A plan for the study's question, not yet written.

    Raises UserError for an unknown arm, generator, metric or setting, and where the budget cannot hold.
    """
    _expect_known(study)
    weights = _weights(study)
    plan = _whole(study, manifest, weights, channels)
    partitions_of(plan, manifest)  # refused before anybody waits for a measurement
    if weights is not None:
        _expect_loadable(weights, plan, classes=len(manifest.classes))
    if study.budget is None:
        costs = budget.measure(plan, manifest, device=study.device)
        needed = budget.estimate(plan, manifest, costs)
        return replace(plan, estimate_seconds=round(needed, 1), costs=asdict(costs))
    seconds = study.budget - budget.PLANNING

    def measured(candidate: Plan) -> Costs:
        return budget.measure(candidate, manifest, device=study.device)

    return budget.fit_to(plan, manifest, seconds=seconds, measured=measured, fixed=_fixed(study))


def costs_of(plan: Plan) -> Costs:
    """Relative costs for a progress bar: the shares matter, not the seconds."""
    return Costs(**plan.costs) if plan.costs else Costs(train=1.0)


def _expect_known(study: Study) -> None:
    unknown = [name for name in study.generators if name not in GENERATORS]
    if unknown or not study.generators:
        raise UserError(f"got the generators {unknown}; expected some of {', '.join(GENERATORS)}; correct --generators")
    prefixes = ("classifier", *study.generators)
    strange = [n for n in study.overrides if n not in OWN and n.split(".")[0] not in prefixes]
    if strange:
        wanted = ", ".join([*OWN, *(f"{prefix}.FIELD" for prefix in prefixes)])
        raise UserError(f"got the setting {strange[0]!r}; expected one of {wanted}; correct --set or the file")
    if study.metric not in METRICS or METRICS[study.metric].prepare is None:
        known = ", ".join(name for name, metric in METRICS.items() if metric.prepare is not None)
        raise UserError(f"got --metric {study.metric!r}; expected one of {known}")
    if study.weights is not None and not study.weights.is_file():
        raise UserError(f"got --weights {study.weights}, which is no file; expected a .safetensors file")


def _expect_loadable(weights: Path, plan: Plan, *, classes: int) -> None:
    """Weights that are damaged, or of another network than their name says, are refused before anything is trained."""
    read_weights(weights)
    height, width = plan.size
    shape, name = Shape(channels=plan.channels, height=height, width=width, classes=classes), backbone_of(weights)
    backbone = build(name, shape, width=ClassifierConfig.width, side=ClassifierConfig.side)
    load_given(backbone, name, shape, weights=weights)


def _whole(study: Study, manifest: Manifest, weights: Path | None, channels: Literal[1, 3]) -> Plan:
    own = {name: value for name, value in study.overrides.items() if name in OWN}
    arms, notes = _arms(study, weights)
    extent = replace(PRESETS[study.preset], **{n: int(own[n]) for n in ("folds", "seeds") if n in own})
    if study.split == "given":
        extent = replace(extent, folds=1, used=1, repeats=1)
    else:
        extent = replace(extent, used=min(extent.used, extent.folds))
    used = {arm.generator for arm in arms if arm.generator}
    return Plan(
        request=study.request(), data=manifest.digest, preset=study.preset, question=_question(arms, study),
        size=study.size or (SIZE["cpu" if study.device == "cpu" else "cuda"],) * 2, channels=channels,
        split=study.split, drop_leaks=study.drop_leaks, extent=extent, seed=study.seed,
        classifier=_classifier(study.overrides), steps=int(own.get("steps", STEPS[study.preset])),
        batch=int(own.get("batch", BATCH)), candidates=tuple(own.get("candidates", CANDIDATES)),
        generators={name: _generator(name, study.overrides) for name in study.generators if name in used},
        arms=tuple(arm.id for arm in arms), reference=REFERENCE, primary=primary(arms).id, metric=study.metric,
        smallest_effect=study.smallest_effect, gate_level=study.gate_level, weights=str(weights) if weights else None,
        weights_digest=_digest(weights) if weights else None, workers=_workers(study), notes=notes,
        revisions={"classifier": Classifier.revision, **{n: GENERATORS[n][0].revision for n in study.generators}},
    )  # fmt: skip


def _arms(study: Study, weights: Path | None) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
    names = study.generators
    if study.arms is not None:
        arms = complete([parse(text, generators=names) for text in study.arms], generators=names)
        if len(arms) < 2:
            raise UserError("got the reference alone; a study compares it with something; add an arm such as real")
        if weights is None and any(arm.given_weights for arm in arms):
            raise UserError(
                "the arms probe and pretrained need --weights FILE, a .safetensors file named by a timm model"
            )
        return arms, ()
    notes = () if weights else ("no --weights given: the arms probe and pretrained were not run",)
    return default(generators=names, ratios=RATIOS[study.preset], weights=weights is not None), notes


def _question(arms: tuple[Arm, ...], study: Study) -> str:
    arm = primary(arms)
    return f"Does the arm {arm.id} ({arm.description}) change {study.metric} on new patients, against {REFERENCE}?"


def _classifier(overrides: Mapping[str, Any]) -> dict[str, Any]:
    config = configured(ClassifierConfig, _prefixed("classifier", overrides), at="classifier.")
    return {name: value for name, value in asdict(config).items() if name not in ("augmentation", "balanced")}


def _generator(name: str, overrides: Mapping[str, Any]) -> GeneratorPlan:
    given = _prefixed(name, overrides)
    steps, batch = int(given.pop("steps", GENERATOR_STEPS[name])), int(given.pop("batch", BATCH))
    return GeneratorPlan(config=asdict(configured(GENERATORS[name][1], given, at=f"{name}.")), steps=steps, batch=batch)


def _prefixed(prefix: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    return nested({n.removeprefix(f"{prefix}."): v for n, v in overrides.items() if n.startswith(f"{prefix}.")})


def _workers(study: Study) -> int:
    if study.workers is not None:
        return study.workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if study.device == "cpu" else 1


def _weights(study: Study) -> Path | None:
    """The file that the user named, else the only one in the weights folder, else none."""
    if study.weights is not None:
        return study.weights
    found = sorted((cache_folder() / "weights").glob("*.safetensors"))
    return found[0] if len(found) == 1 else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _fixed(study: Study) -> frozenset[str]:
    """What the user said and the planner must leave alone."""
    said = {"arms": study.arms is not None, "size": study.size is not None}
    return frozenset(
        [name for name, given in said.items() if given] + [name for name in OWN if name in study.overrides]
    )

"""What each kind of step does. A step reads its parents' folders and the store, and leaves one complete folder.

N images, K classes. Here are the steps of classification; those of segmentation are in segment/steps.py.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs, to_uint8
from augury.data import provenance
from augury.data.provenance import Artefact
from augury.data.sample import IntArray
from augury.errors import UserError
from augury.generators import load as load_generator
from augury.metrics.classification import METRICS
from augury.predictors import load as load_predictor
from augury.predictors.classifier import Classifier, ClassifierConfig
from augury.predictors.phases import Phase, Source
from augury.predictors.probe import Probe, ProbeConfig
from augury.studies.doing import (
    KINDS,
    Doer,
    Report,
    augmentation_of,
    fit_generator,
    judges,
    phases_of,
    refuse_seen,
    run_of,
    share_of,
    tune,
    work_folder,
    writing,
)
from augury.studies.graph import Step
from augury.studies.plan import Plan
from augury.studies.segment import steps as segment
from augury.studies.workspace import Workspace
from augury.training import Diverged, Run

REVISION = 1  # raised when what a step does changes its result
SEVEN = ("accuracy", "recall_micro", "recall_macro", "precision_micro", "precision_macro", "f1_micro", "f1_macro")


def execute(step: Step, space: Workspace, report: Report | None = None) -> float:
    """Make the step's artefact unless it stands already; returns the seconds it took."""
    start = time.monotonic()
    if not provenance.complete(space.folder(step)):
        try:
            DOERS[space.plan.task][step.recipe.kind](step, space, report)
        except Diverged as error:
            raise UserError(
                f"{step.words}: {error}; the study cannot go on with it; leave it out, or set a lower rate (--set)"
            ) from error
    return time.monotonic() - start


def _tune(step: Step, space: Workspace, report: Report | None) -> None:
    part, plan = space.partitions[step.partition], space.plan
    choose, metric = space.pairs(part.choose), METRICS[plan.metric]

    def score(name: str, run: Run) -> float:
        with run.seeded("networks"):
            net = Classifier(_config(plan, name, balanced=False, weights=None), space.shape())
        net.fit([Phase(sources=(Source(pairs=space.pairs(part.train)),), steps=plan.steps)], run, validation=choose)
        return metric.compute(choose.label_N.numpy(), net.predict(choose.pixels_NCHW))

    tune(step, space, report, score=score, better=metric.better)


def _draw(step: Step, space: Workspace, report: Report | None) -> None:
    """Draw `ratio` times the training labels, in a random order, so that a prefix is a smaller set of the same kind."""
    part, facts = space.partitions[step.partition], step.recipe.facts
    parent = space.parent("generator", step.recipe.parents["generator"])
    label_n = space.manifest.label_N[part.train]
    drawn = np.random.default_rng([space.plan.seed, facts["draw_seed"]])
    count = max(1, round(facts["ratio"] * len(label_n)))
    label_n = np.concatenate([drawn.permutation(label_n) for _ in range(-(-count // len(label_n)))])[:count]
    pixels = draw_images(parent.folder, label_n, seed=facts["draw_seed"], device=space.device, report=report)
    with writing(step, space, [], [parent]) as folder:
        np.save(folder / "pixels.npy", pixels)
        np.save(folder / "label.npy", label_n)


def draw_images(
    folder: Path, label_n: IntArray, *, seed: int, device: str, report: Report | None = None, batch: int = 256
) -> NDArray[np.uint8]:
    """pixels_nCHW drawn from the generator in a folder, one per label, in batches with a seed each."""
    generator = load_generator(folder)
    generator.nets.to(device)
    parts = []
    for first in range(0, len(label_n), batch):
        condition = Condition(label_B=torch.from_numpy(label_n[first : first + batch])).to(device)
        parts.append(to_uint8(generator.sample(condition, seed=seed * 1_000_003 + first)))
        if report:
            report(min(first + batch, len(label_n)), len(label_n))
    return np.concatenate(parts)


def _fit(step: Step, space: Workspace, report: Report | None) -> None:
    """Train one arm's predictor once and score the test fold and the gate's half."""
    part, plan, training = space.partitions[step.partition], space.plan, step.recipe.facts["training"]
    parents = [space.parent(KINDS[role], digest) for role, digest in step.recipe.parents.items()]
    saw = [*part.train, *part.choose]
    refuse_seen(space, saw, parents, [*part.gate, *part.test])
    start = time.monotonic()
    train = space.pairs(share_of(space.manifest, part.train, training["share"], plan.seed))
    synthetic = _synthetic(step, space, parents, len(part.train))
    choose = space.pairs(part.choose) if len(part.choose) else None
    predictor, facts = _train(step, space, train, synthetic, choose, report)
    scores = {
        role: predictor.predict(space.pairs(index_n).pixels_NCHW)
        for role, index_n in {"test": part.test, "gate": part.gate}.items()
        if len(index_n)
    }
    fitted_on = synthetic if training["mode"] == "generated" and synthetic is not None else train
    facts["train"] = _seven(fitted_on.label_N.numpy(), predictor.predict(fitted_on.pixels_NCHW))
    facts["seconds"] = time.monotonic() - start
    with writing(step, space, saw, parents) as folder:
        arrays: dict[str, Any] = {"test_index": part.test, "gate_index": part.gate, **scores}
        np.savez(folder / "predictions.npz", **arrays)
        (folder / "result.json").write_text(json.dumps(facts, indent=1, sort_keys=True))
        if step.partition < 0 or judges(step):
            predictor.save(folder)
    shutil.rmtree(work_folder(step, space), ignore_errors=True)


def _synthetic(step: Step, space: Workspace, parents: list[Artefact], real: int) -> Pairs | None:
    """The first ratio x N drawn images with the labels they were asked for (or shuffled ones)."""
    drawn = next((parent.folder for parent in parents if parent.kind == "draw"), None)
    if drawn is None:
        return None
    training = step.recipe.facts["training"]
    count = max(1, round(training["ratio"] * real))
    label_n = np.load(drawn / "label.npy")[:count]
    if training["shuffled"]:
        label_n = np.random.default_rng([space.plan.seed, 77]).permutation(label_n)
    pixels = np.load(drawn / "pixels.npy", mmap_mode="r")[:count]
    condition = Condition(label_B=torch.from_numpy(label_n))
    return Pairs(pixels_NCHW=np.ascontiguousarray(pixels), condition=condition, classes=len(space.manifest.classes))


def _train(
    step: Step, space: Workspace, train: Pairs, synthetic: Pairs | None, choose: Pairs | None, report: Report | None
) -> tuple[Classifier | Probe, dict[str, Any]]:
    plan, facts = space.plan, step.recipe.facts
    training = facts["training"]
    weights = space.weights if training["weights"] else None
    if training["frozen"]:
        probe = Probe(ProbeConfig(weights=str(weights)), space.shape()).fit(train, validation=choose)
        return probe, {"best_step": 0, "augmentation": "none"}
    augmentation = augmentation_of(step, space)
    phases = phases_of(training, train, synthetic, steps=plan.steps)
    run = run_of(step, space, sum(phase.steps for phase in phases), facts["run_seed"], report)
    config = _config(plan, augmentation, balanced=training["balanced"], weights=weights)
    with run.seeded("networks"):
        classifier = Classifier(config, space.shape())
    classifier.fit(phases, run, validation=choose)
    return classifier, {"best_step": classifier.best_step, "augmentation": augmentation}


def _config(plan: Plan, augmentation: str, *, balanced: bool, weights: Path | None) -> ClassifierConfig:
    facts = {**plan.classifier, "augmentation": plan.augmentation(augmentation), "balanced": balanced}
    if weights is not None:
        facts |= {"backbone": backbone_of(weights), "weights": str(weights)}
    return ClassifierConfig(**facts)


def backbone_of(weights: Path) -> str:
    """The timm name that a weights file is called by."""
    return weights.name.split(".")[0]


def _fidelity(step: Step, space: Workspace, _: Report | None) -> None:
    """What class the reference sees in each synthetic image."""
    judge = space.parent("fit", step.recipe.parents["judge"])
    drawn = space.parent("draw", step.recipe.parents["synthetic"])
    pixels, label_n = (
        np.load(drawn.folder / "pixels.npy", mmap_mode="r")[:2000],
        np.load(drawn.folder / "label.npy")[:2000],
    )
    seen = load_predictor(judge.folder).predict(np.ascontiguousarray(pixels)).argmax(1)
    classes = space.manifest.classes
    hits = {classes[k]: [int((seen[label_n == k] == k).sum()), int((label_n == k).sum())] for k in range(len(classes))}
    with writing(step, space, [], [judge, drawn]) as folder:
        (folder / "fidelity.json").write_text(json.dumps(hits, indent=1))


def _seven(label_N: IntArray, probability_NK: NDArray[np.float32]) -> dict[str, float]:
    return {name: METRICS[name].compute(label_N, probability_NK) for name in SEVEN}


DOERS: dict[str, dict[str, Doer]] = {
    "": {"tune": _tune, "generator": fit_generator, "draw": _draw, "fit": _fit, "fidelity": _fidelity},
    "segment": segment.DOERS,
}

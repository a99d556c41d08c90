"""The model that is handed over: the gate's arm, refitted on all labelled images."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from augury.data import provenance
from augury.data.provenance import Recipe
from augury.studies.arms import Arm
from augury.studies.graph import Costs, Graph, Maker, Step
from augury.studies.partition import Partition
from augury.studies.plan import Plan
from augury.studies.steps import execute
from augury.studies.workspace import Workspace

ALL = -1  # the place of the partition of all labelled images


def hand_over(results: Mapping[str, Any], graph: Graph, space: Workspace, folder: Path) -> None:
    """Refit the chosen arm and write `folder`: config.json, weights.safetensors, artefact.json, card.md."""
    arm = next(a for a in space.plan.parsed() if a.id == results["gate"]["chosen"])
    everything = np.arange(len(space.manifest))
    none = everything[:0]
    part = Partition(repeat=ALL, fold=ALL, train=everything, choose=none, gate=none, test=none)
    plan = refit_plan(arm, graph, space)
    whole = replace(space, plan=plan, partitions=(*space.partitions, part))
    steps = _steps(arm, Maker(plan=plan, manifest=space.manifest, place=ALL, part=part, costs=Costs()))
    for step in steps:
        execute(step, whole)
    _write(folder, whole.folder(steps[-1]), arm, results, whole)


def refit_plan(arm: Arm, graph: Graph, space: Workspace) -> Plan:
    """The plan with the folds' median step count and their commonest augmentation: there is nobody left to choose."""
    runs = [digest for (name, *_), digest in graph.fits.items() if name == arm.id]
    found = [json.loads((space.artefacts / f"fit-{digest}" / "result.json").read_text()) for digest in runs]
    full = round(arm.cost * space.plan.steps)
    share = median(result["best_step"] for result in found) / full if full else 1.0
    (augmentation, _), *_ = Counter(result["augmentation"] for result in found).most_common(1)
    steps = max(1, round(share * space.plan.steps))
    return replace(space.plan, steps=steps, candidates=(augmentation,), arms=(arm.id,))


def _steps(arm: Arm, maker: Maker) -> list[Step]:
    if not arm.generator:
        return [maker.fit(arm, 0, {})]
    generator = maker.generator(arm.generator, 0)
    drawn = maker.siblings if arm.mode == "merged" else maker.draw
    draw = drawn(arm.generator, generator.digest, 0)
    return [generator, draw, maker.fit(arm, 0, {"synthetic": draw.digest})]


def _write(folder: Path, fitted: Path, arm: Arm, results: Mapping[str, Any], space: Workspace) -> None:
    parent, plan, manifest = provenance.read(fitted), space.plan, space.manifest
    facts = {
        "method": "segmenter" if plan.task else "probe" if arm.frozen else "classifier", "arm": arm.id,
        "data": manifest.name,
        "classes": list(manifest.classes), "plan_hash": results["plan_hash"], "steps": plan.steps,
        "counts": np.bincount(manifest.labelled().label_N, minlength=len(manifest.classes)).tolist(),
        "preparation": {"size": list(plan.size), "channels": plan.channels, **plan.preparation},
    }  # fmt: skip
    recipe = Recipe(kind="model", facts=facts, parents={"fitted": parent.digest})
    shutil.rmtree(folder, ignore_errors=True)
    with provenance.writing(folder, recipe, parents=[parent]) as temporary:
        for name in ("config.json", "weights.safetensors"):
            shutil.copyfile(fitted / name, temporary / name)
        images = f"{len(manifest)} {'images' if plan.task else 'labelled images'}"
        (temporary / "card.md").write_text(card(arm, results, images=images), encoding="utf-8")


def card(arm: Arm, results: Mapping[str, Any], *, images: str) -> str:
    """The card of the handed-over model; the estimate it quotes is the cross-validated one of its procedure."""
    primary = results["primary"]
    found = results["arms"][arm.id]["metrics"][primary["metric"]]
    counts = ", ".join(f"{name} {count}" for name, count in results["data"]["classes"].items())
    lines = [
        f"# The model of the arm {arm.id}",
        "",
        f"- {arm.description}",
        f"- fitted on all {images}: {counts or 'no classes'}",
        f"- {primary['metric']} {found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f}), n = {found['n']} "
        f"{found['unit']}s",
        f"- chosen by the gate: {results['gate']['reason']}",
        f"- plan {results['plan_hash']}",
        "",
        "The figure is the cross-validated estimate of this procedure on held-out groups, of models fitted on fewer "
        "images than this one; this very model was scored on nobody. It speaks of new patients of the same source. "
        "Not a medical device.",
    ]
    return "\n".join(lines) + "\n"

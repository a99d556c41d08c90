"""What the steps of all tasks have in common: runs, folders, what may be scored, the budget rule."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from augury.conditions.pairs import Pairs
from augury.data import provenance
from augury.data.provenance import Artefact
from augury.data.sample import IntArray, Manifest, Sample
from augury.data.splits import stratified_subset
from augury.generators import GENERATORS
from augury.metrics.estimate import Better
from augury.predictors.phases import Merge, Phase, Source
from augury.studies.graph import Step
from augury.studies.settings import configured
from augury.studies.workspace import Workspace
from augury.training import Run

Report = Callable[[int, int], None]
Doer = Callable[[Step, Workspace, Report | None], None]
KINDS = {"tune": "tune", "synthetic": "draw", "generator": "generator", "judge": "fit"}  # of a parent, by its role


def work_folder(step: Step, space: Workspace, name: str = "") -> Path:
    """A folder for checkpoints of an unfinished step."""
    return space.artefacts / ".work" / f"{step.name}{name}"


def run_of(
    step: Step,
    space: Workspace,
    steps: int,
    seed: int,
    report: Report | None,
    *,
    batch: int | None = None,
    name: str = "",
) -> Run:
    """The training of a step, which goes on where it was."""
    return Run(
        seed=space.plan.seed * 1_000_003 + seed, steps=steps, batch=batch or space.plan.batch,
        folder=work_folder(step, space, name), device=space.device, save_every=200, report=report,
    )  # fmt: skip


def writing(step: Step, space: Workspace, saw: Any, parents: list[Artefact]) -> AbstractContextManager[Path]:
    """The step's folder while it is filled; `saw` are positions of the samples that it was fitted on or chosen by."""
    samples: list[Sample] = [space.manifest[int(i)] for i in saw]
    return provenance.writing(space.folder(step), step.recipe, saw=samples, parents=parents)


def shifted(report: Report | None, place: int, parts: int) -> Report | None:
    """Progress of one of several equal parts."""
    if report is None:
        return None
    return lambda done, total: report(place * total + done, parts * total)


def tune(
    step: Step, space: Workspace, report: Report | None, *, score: Callable[[str, Run], float], better: Better
) -> None:
    """Pick the augmentation whose reference does best on the choosing half (real validation images only).

    `score(name, run)` trains the reference with the augmentation of this name and judges it.
    """
    part, plan, scores = space.partitions[step.partition], space.plan, {}
    for place, name in enumerate(plan.candidates):
        run = run_of(step, space, plan.steps, 0, shifted(report, place, len(plan.candidates)), name=f"-{name}")
        scores[name] = score(name, run)
    best = max(scores, key=lambda name: scores[name] if better == "higher" else -scores[name])
    with writing(step, space, [*part.train, *part.choose], []) as folder:
        (folder / "choice.json").write_text(json.dumps({"augmentation": best, "scores": scores}, indent=1))
    for name in plan.candidates:
        shutil.rmtree(work_folder(step, space, f"-{name}"), ignore_errors=True)


def fit_generator(step: Step, space: Workspace, report: Report | None) -> None:
    """Fit a generator to the training part."""
    part, facts = space.partitions[step.partition], step.recipe.facts
    kind, config = GENERATORS[facts["method"]]
    run = run_of(step, space, facts["steps"], facts["draw_seed"], report, batch=facts["batch"])
    with run.seeded("networks"):
        generator = kind(configured(config, facts["config"]), space.shape())
    generator.fit(space.pairs(part.train), run)
    with writing(step, space, part.train, []) as folder:
        generator.save(folder)
        shutil.copyfile(work_folder(step, space) / "log.jsonl", folder / "log.jsonl")
    shutil.rmtree(work_folder(step, space), ignore_errors=True)


def judges(step: Step) -> bool:
    """Only the reference's first run is needed again, to judge synthetic images."""
    return step.recipe.facts["run_seed"] == 0 and set(step.recipe.parents) <= {"tune"}


def refuse_seen(space: Workspace, saw: list[int], parents: list[Artefact], scored: list[int]) -> None:
    """Raise Refused where a sample to be scored, or a twin of one, took part in the fit or in a parent's."""
    samples = [space.manifest[int(i)] for i in saw]
    here = Artefact(
        folder=space.artefacts, kind="fit", digest="(this one)", facts={}, parents={},
        ids=frozenset(s.id for s in samples), groups=frozenset(s.group for s in samples),
    )  # fmt: skip
    for artefact in [here, *parents]:
        provenance.refuse_if_seen(artefact, space.manifest.subset(scored))


def share_of(manifest: Manifest, index_n: IntArray, share: float, seed: int) -> IntArray:
    """The positions of a share of the patients of each class."""
    if share == 1.0:
        return index_n
    kept = stratified_subset(manifest.label_N[index_n], manifest.group_N[index_n], share=share, seed=seed)
    return index_n[kept]


def phases_of(
    training: Mapping[str, Any], real: Pairs, synthetic: Pairs | None, *, steps: int, merge: Merge | None = None
) -> list[Phase]:
    """The budget rule of EVALUATION.md as phases: N steps on real and rN on synthetic batches.

    With `merge` N steps on real images and their siblings, two forward passes each.
    """
    more = round(training["ratio"] * steps)
    own = Source(pairs=real, merge=merge)
    if merge is not None:
        return [Phase(sources=(own,), steps=steps)]
    if synthetic is None:
        return [Phase(sources=(own,), steps=steps + more)]
    drawn = Source(pairs=synthetic, share=training["ratio"], weight=training["weight"], fade=training["weight"] < 1)
    if training["mode"] == "generated":
        return [Phase(sources=(replace(drawn, share=1.0),), steps=steps)]
    if training["mode"] == "sequential":
        return [Phase(sources=(drawn,), steps=more), Phase(sources=(own,), steps=steps)]
    return [Phase(sources=(own, drawn), steps=steps + more)]


def augmentation_of(step: Step, space: Workspace) -> str:
    """The name of the arm's augmentation: its own, the one that tuning chose, the only candidate, or none."""
    training = step.recipe.facts["training"]
    if training.get("augmentation") or not training["augmented"]:
        return training.get("augmentation") or "none"
    if "tune" not in step.recipe.parents:
        return space.plan.candidates[0]
    parent = space.parent("tune", step.recipe.parents["tune"])
    choice: str = json.loads((parent.folder / "choice.json").read_text())["augmentation"]
    return choice

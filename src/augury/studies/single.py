"""One generator or predictor fitted to one data set, outside of any study.

K classes. An interrupted fit leaves `<out>.unfinished` with its checkpoint; the same command goes on from there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.data import provenance
from augury.data.cache import make_folder, write_atomically
from augury.data.importers import load
from augury.data.preparation.allowed import allowed
from augury.data.preparation.choice import Choice
from augury.data.preparation.modalities import bounds_in_words
from augury.data.provenance import Recipe, samples_digest
from augury.data.sample import IntArray, Manifest
from augury.data.splits import grouped_folds
from augury.data.store import Preparation, prepare
from augury.errors import UserError
from augury.generators import GENERATORS
from augury.generators.generator import Generator
from augury.predictors.classifier import Classifier, ClassifierConfig
from augury.predictors.phases import Phase, Source
from augury.studies.cards import model_card, sample_sheet
from augury.studies.planner import GENERATOR_STEPS
from augury.studies.preparing import chosen, preparation_of
from augury.training import Run

Progress = Callable[[str, int, int], None]  # stage, done, in all
Note = Callable[[str], None]

# What takes a few minutes on two cores at 32 pixels.
STEPS = {**GENERATOR_STEPS, "classifier": 900}
SIZES = {"classifier": (64, 64)}
_PREDICTORS = {"classifier": (Classifier, ClassifierConfig)}


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What to fit to what. `size` and `steps` None: the method's own."""

    method: str
    data: str
    out: Path
    config: Any  # of the method's configuration class: config_of(method)
    size: tuple[int, int] | None = None
    seed: int = 0
    steps: int | None = None
    batch: int = 64
    device: str = "cpu"
    no_patients: bool = False
    layout: str | None = None  # of the data on disk; None: recognised
    slices: str | None = None  # the rule by which volumes are cut (data.slices); None: the middle eight
    modality: str | None = None  # None: guessed
    preparation: Mapping[str, Any] = field(default_factory=dict)  # fields above the modality's own


@dataclass(frozen=True, kw_only=True)
class Material:
    """The images of a fit: those to fit to and, for predictors, those that choose the checkpoint."""

    manifest: Manifest  # labelled samples only
    pairs: Pairs
    train: IntArray
    choose: IntArray
    preparation: Preparation
    choice: Choice


def config_of(method: str) -> type:
    """The configuration class of a method; UserError where there is no such method."""
    known = {**GENERATORS, **_PREDICTORS}
    if method not in known:
        raise UserError(f"there is no method {method!r}; expected one of {', '.join(known)}; correct the name")
    kind: type = known[method][1]
    return kind


def fit_method(asked: Fit, *, progress: Progress | None = None, note: Note = print) -> dict[str, Any]:
    """Fit the method and write its model folder (INTERFACE.md); returns what was done.

    A model that this very request made already is left as it is. Raises UserError where another one stands in its
    place, and for everything that is wrong with the data.
    """
    config_of(asked.method)
    material = gather(asked, progress=progress, note=note)
    asked = _bounded(asked, material, note)
    recipe = _recipe(asked, material)
    if not _made_already(asked, recipe):
        work = _unfinished(asked, recipe)
        model, run = _fit(asked, material, work, progress)
        _write(asked, material, recipe, model, run)
        shutil.rmtree(work)
    return {
        "model": str(asked.out), "method": asked.method, "digest": recipe.digest, "images": len(material.train),
        "chosen_on": len(material.choose), "classes": list(material.manifest.classes), "steps": recipe.facts["steps"],
        "size": list(material.preparation.size), "modality": material.choice.modality,
        "unreadable": [asdict(u) for u in material.manifest.unreadable],
    }  # fmt: skip


def gather(asked: Fit, *, progress: Progress | None, note: Note) -> Material:
    """Read, decode and prepare the data, and set a fifth of the patients aside where a predictor needs them."""
    stage = _stage(progress)
    whole = load(
        asked.data, no_patients=True, layout=asked.layout, slices=asked.slices, progress=stage("reading images")
    )
    for text in (*whole.notes, *(f"unreadable: {u.image!r}: {u.why}" for u in whole.unreadable)):
        note(text)
    manifest = _labelled(whole, asked, note)
    size = asked.size or SIZES.get(asked.method, (32, 32))
    choice = chosen(manifest, named=asked.modality, asked=asked.preparation)
    for text in choice.words():
        note(text)
    facts = {"size": size, **choice.preparation}
    store = prepare(manifest, preparation_of(facts), progress=stage("preparing images"))
    pixels_NCHW = store.pixels_NCHW
    condition = Condition(label_B=torch.from_numpy(manifest.label_N))
    pairs = Pairs(pixels_NCHW=pixels_NCHW, condition=condition, classes=len(manifest.classes))
    train, choose = _parts(manifest, asked, note)
    preparation = preparation_of({**facts, "channels": 1 if pixels_NCHW.shape[1] == 1 else 3})
    return Material(manifest=manifest, pairs=pairs, train=train, choose=choose, preparation=preparation, choice=choice)


def _bounded(asked: Fit, material: Material, note: Note) -> Fit:
    """The request with its augmentation preset in the bounds of the modality; one that is spelt out stays."""
    if not isinstance(asked.config, ClassifierConfig):
        return asked
    given = asked.config.augmentation
    spelt = {} if isinstance(given, str) else {name: value for name, value in asdict(given).items() if value}
    for text in bounds_in_words(material.choice.kind, asked=spelt):
        note(text)
    if not isinstance(given, str):
        return asked
    bounded = allowed(given, material.choice.kind, channels=material.preparation.channels or 1, asked={})
    return replace(asked, config=replace(asked.config, augmentation=bounded))


def _labelled(whole: Manifest, asked: Fit, note: Note) -> Manifest:
    manifest = whole.labelled()
    least = 1 if asked.method in GENERATORS else 2
    if len(manifest) == 0 or len(set(manifest.label_N)) < least:
        raise UserError(
            f"{whole.name!r} has {len(manifest)} labelled images of {len(set(manifest.label_N))} classes; "
            f"{asked.method} needs at least {least} class{'es' * (least > 1)}; add labels"
        )
    if len(manifest) < len(whole):
        note(f"{len(whole) - len(manifest)} unlabelled images are not used: {asked.method} learns from labels")
    return manifest


def _parts(manifest: Manifest, asked: Fit, note: Note) -> tuple[IntArray, IntArray]:
    everything = np.arange(len(manifest))
    if asked.method in GENERATORS:
        return everything, everything[:0]
    try:
        fold_N = grouped_folds(manifest.label_N, manifest.group_N, count=5, seed=asked.seed)
    except UserError as error:
        note(f"no images are set aside to choose the checkpoint, so the last one is taken: {error}")
        return everything, everything[:0]
    return np.flatnonzero(fold_N != 0), np.flatnonzero(fold_N == 0)


def _recipe(asked: Fit, material: Material) -> Recipe:
    manifest, method = material.manifest, {**GENERATORS, **_PREDICTORS}[asked.method][0]
    facts = {
        "method": asked.method, "revision": method.revision, "config": _json(asdict(asked.config)),
        "seed": asked.seed, "steps": asked.steps or STEPS.get(asked.method, 1000), "batch": asked.batch,
        "precision": "fp32", "preparation": _json(asdict(material.preparation)), "classes": list(manifest.classes),
        "counts": np.bincount(manifest.label_N, minlength=len(manifest.classes)).tolist(), "data": manifest.name,
        "manifest": manifest.digest,
    }  # fmt: skip
    fitted_on = {
        role: samples_digest(manifest[int(i)] for i in part)
        for role, part in {"train": material.train, "choose": material.choose}.items()
    }
    return Recipe(kind="model", facts=facts, fitted_on=fitted_on)


def _json(value: Any) -> Any:
    """As it will be read again: tuples as lists, paths as text."""
    return json.loads(json.dumps(value, default=str))


def _made_already(asked: Fit, recipe: Recipe) -> bool:
    out = asked.out
    if provenance.complete(out):
        found = provenance.read(out)
        if found.digest == recipe.digest:
            return True
        raise UserError(
            f"{str(out)!r} holds another {found.kind} ({found.facts.get('method')}, {found.digest}); expected a new "
            f"folder or the model {recipe.digest}; name another --out"
        )
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{str(out)!r} exists and holds no model; expected a new or empty folder; name another --out")
    return False


def _unfinished(asked: Fit, recipe: Recipe) -> Path:
    """The folder of the fit's checkpoints, with the resolved request in it before step 0."""
    work = make_folder(asked.out.with_name(asked.out.name + ".unfinished"))
    stated = work / "request.json"
    if stated.exists() and json.loads(stated.read_text())["digest"] != recipe.digest:
        raise UserError(
            f"{str(work)!r} holds an unfinished fit of other settings or data; expected that of {recipe.digest}; "
            "finish that one, delete the folder or name another --out"
        )
    write_atomically(stated, json.dumps({"digest": recipe.digest, **recipe.facts}, indent=1, sort_keys=True))
    return work


def _fit(asked: Fit, material: Material, work: Path, progress: Progress | None) -> tuple[Generator | Classifier, Run]:
    shape = _shape(material)
    steps = asked.steps or STEPS.get(asked.method, 1000)
    run = Run(
        seed=asked.seed, steps=steps, batch=min(asked.batch, len(material.train)), folder=work, device=asked.device,
        save_every=100, report=_stage(progress)(f"fitting {asked.method}"),
    )  # fmt: skip
    train = material.pairs.subset(torch.from_numpy(material.train))
    if asked.method in GENERATORS:
        with run.seeded("networks"):
            generator = GENERATORS[asked.method][0](asked.config, shape)
        return generator.fit(train, run), run
    with run.seeded("networks"):
        classifier = Classifier(asked.config, shape)
    choose = material.pairs.subset(torch.from_numpy(material.choose)) if len(material.choose) else None
    return classifier.fit([Phase(sources=(Source(pairs=train),), steps=steps)], run, validation=choose), run


def _shape(material: Material) -> Shape:
    channels, height, width = material.pairs.shape
    return Shape(channels=channels, height=height, width=width, classes=material.pairs.classes)


def _write(asked: Fit, material: Material, recipe: Recipe, model: Generator | Classifier, run: Run) -> None:
    manifest = material.manifest
    saw = [manifest[int(i)] for i in (*material.train, *material.choose)]
    with provenance.writing(asked.out, recipe, saw=saw) as folder:
        model.save(folder)
        shutil.copyfile(asked.out.with_name(asked.out.name + ".unfinished") / "log.jsonl", folder / "log.jsonl")
        (folder / "card.md").write_text(model_card(recipe.facts, manifest, last=run.history[-1:]), encoding="utf-8")
        if isinstance(model, Generator):
            sample_sheet(model, classes=len(manifest.classes), seed=asked.seed).save(folder / "samples.png")


def _stage(progress: Progress | None) -> Callable[[str], Callable[[int, int], None] | None]:
    def of(name: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(name, done, total)

    return of

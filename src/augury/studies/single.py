"""One generator or predictor fitted to one data set, outside of any study.

K classes. An interrupted fit leaves `<out>.unfinished` with its checkpoint; the same command goes on from there.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from augury.data import provenance
from augury.data.cache import make_folder, write_atomically
from augury.data.preparation.allowed import allowed
from augury.data.preparation.modalities import bounds_in_words
from augury.data.provenance import Artefact, Recipe, samples_digest
from augury.data.sample import IntArray
from augury.errors import Refused, UserError
from augury.generators import GENERATORS
from augury.generators.generator import Generator
from augury.predictors.classifier import Classifier, ClassifierConfig
from augury.predictors.phases import Phase, Source
from augury.predictors.segmenter import Segmenter, SegmenterConfig
from augury.studies.cards import model_card, sample_sheet
from augury.studies.holding_out import HeldOut
from augury.studies.material import Fit, Material, Note, Progress, gather, staged
from augury.studies.planner import GENERATOR_STEPS
from augury.studies.privacy import in_words as privacy_in_words
from augury.studies.privacy import promise, refuse_choosing
from augury.studies.starting import begun, expect_fitting, facts_of, parent_of
from augury.studies.starting import in_words as start_in_words
from augury.studies.told import in_words as told_in_words
from augury.studies.watching import (
    LEVEL,
    LOOKS,
    SAMPLES,
    Ground,
    last_look,
    neighbour_sheet,
    stopped_at,
    told_like,
    watch,
)
from augury.studies.watching import in_words as look_in_words
from augury.training import Run

# What takes a few minutes on two cores at 32 pixels.
STEPS = {**GENERATOR_STEPS, "classifier": 900, "segmenter": 800}
_PREDICTORS: dict[str, tuple[type[Classifier | Segmenter], type]] = {
    "classifier": (Classifier, ClassifierConfig),
    "segmenter": (Segmenter, SegmenterConfig),
}


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
    parent = parent_of(asked)
    material = gather(asked, progress=progress, note=note)
    asked = _told(_bounded(asked, material, note), material)
    recipe = _recipe(asked, material, parent)
    if not _made_already(asked, recipe):
        expect_fitting(parent, asked, material)
        work = _unfinished(asked, recipe)
        try:
            model, run = _fit(asked, material, work, progress, note, parent=parent)
        except Refused:  # other settings must be chosen, and what was begun would stand in their way
            shutil.rmtree(work)
            raise
        _write(asked, material, recipe, model, run, parent=parent)
        shutil.rmtree(work)
    return {
        "model": str(asked.out), "method": asked.method, "digest": recipe.digest, "images": len(material.train),
        "chosen_on": len(material.choose), "classes": list(material.manifest.classes), "steps": recipe.facts["steps"],
        "size": list(material.preparation.size), "modality": material.choice.modality,
        "unreadable": [asdict(u) for u in material.manifest.unreadable], "holdout": recipe.facts.get("holdout"),
        "stopped_at": stopped_at(asked.out / "log.jsonl"),
    }  # fmt: skip


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


def _told(asked: Fit, material: Material) -> Fit:
    """The request with the conditions and the words of the images in its configuration."""
    if material.told is None:
        return asked
    words = tuple(material.told.get("words", ()))
    return replace(asked, config=replace(asked.config, conditions=asked.condition, words=words))


def _recipe(asked: Fit, material: Material, parent: Artefact | None) -> Recipe:
    manifest, method = material.manifest, {**GENERATORS, **_PREDICTORS}[asked.method][0]
    facts = {
        "method": asked.method, "revision": method.revision, "config": _json(asdict(asked.config)),
        "seed": asked.seed, "steps": asked.steps or STEPS.get(asked.method, 1000), "batch": asked.images_a_step,
        "precision": "fp32", "preparation": _json(asdict(material.preparation)), "classes": list(manifest.classes),
        "counts": np.bincount(_known(manifest.label_N), minlength=len(manifest.classes)).tolist(),
        "data": manifest.name, "manifest": manifest.digest,
    }  # fmt: skip
    if material.told is not None:
        facts["told"] = _json(material.told)
    if material.masks is not None:
        facts["masks"] = {"digest": material.masks, "images": sum(bool(sample.masks) for sample in manifest)}
    fitted_on = {
        role: samples_digest(manifest[int(i)] for i in part)
        for role, part in {"train": material.train, "choose": material.choose}.items()
    }
    promised = promise(
        asked.config, material.pairs, patients_known=manifest.patients_known, batch=_batch(asked, material),
        steps=facts["steps"],
    )  # fmt: skip
    refuse_choosing(promised, stops=asked.stop_at_memorisation)
    if promised is not None:
        facts["dp"] = promised
    if material.held is not None:
        facts["holdout"] = dict(material.held.facts)
        fitted_on["watched"] = samples_digest(material.held.seen())
    if parent is not None:
        facts["init"] = facts_of(parent)
    parents = {} if parent is None else {"init": parent.digest}
    return Recipe(kind="model", facts=facts, fitted_on=fitted_on, parents=parents)


def _known(label_N: IntArray) -> IntArray:
    return label_N[label_N >= 0]


def _batch(asked: Fit, material: Material) -> int:
    return min(asked.images_a_step, len(material.train))


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


def _fit(
    asked: Fit,
    material: Material,
    work: Path,
    progress: Progress | None,
    note: Note,
    *,
    parent: Artefact | None,
) -> tuple[Generator | Classifier | Segmenter, Run]:
    shape = material.shape
    steps = asked.steps or STEPS.get(asked.method, 1000)
    run = Run(
        seed=asked.seed, steps=steps, batch=_batch(asked, material), folder=work, device=asked.device,
        save_every=100, report=staged(progress)(f"fitting {asked.method}"),
    )  # fmt: skip
    train = material.pairs.subset(torch.from_numpy(material.train))
    if asked.method in GENERATORS:
        with run.seeded("networks"):
            generator = GENERATORS[asked.method][0](asked.config, shape)
        if material.held is not None and getattr(asked.config, "dp", None) is None:
            watch(_ground(material, material.held), run, stops=asked.stop_at_memorisation, note=note)
        return begun(generator, parent, classes=material.manifest.classes).fit(train, run), run
    with run.seeded("networks"):
        predictor = _PREDICTORS[asked.method][0](asked.config, shape)
    choose = material.pairs.subset(torch.from_numpy(material.choose)) if len(material.choose) else None
    return predictor.fit([Phase(sources=(Source(pairs=train),), steps=steps)], run, validation=choose), run


def _ground(material: Material, held: HeldOut) -> Ground:
    """All held-out images watch, unless some of them may end the fit: then those alone."""
    assert material.held_pairs is not None
    chosen = held.watched if len(held.watched) else np.arange(len(held.images))
    return Ground(
        train=material.pairs, held=material.held_pairs.subset(torch.from_numpy(chosen)),
        train_group_T=material.manifest.group_N, held_group_H=held.images.group_N[chosen],
    )  # fmt: skip


def _write(
    asked: Fit,
    material: Material,
    recipe: Recipe,
    model: Generator | Classifier | Segmenter,
    run: Run,
    *,
    parent: Artefact | None,
) -> None:
    manifest, held = material.manifest, material.held
    saw = [*(manifest[int(i)] for i in (*material.train, *material.choose)), *(held.seen() if held else ())]
    with provenance.writing(asked.out, recipe, saw=saw, parents=[] if parent is None else [parent]) as folder:
        model.save(folder)
        shutil.copyfile(asked.out.with_name(asked.out.name + ".unfinished") / "log.jsonl", folder / "log.jsonl")
        losses = [line for line in run.history if "watch_p" not in line]
        card = model_card(recipe.facts, manifest, last=losses[-1:], more=_more(recipe, material, run))
        (folder / "card.md").write_text(card, encoding="utf-8")
        if isinstance(model, Generator):
            sample_sheet(model, material.pairs, seed=asked.seed).save(folder / "samples.png")
            if last_look(run.history) is not None:
                condition = told_like(material.pairs, seed=asked.seed).to(model.device())
                sheet = neighbour_sheet(model.sample(condition, seed=asked.seed), material.pairs)
                sheet.save(folder / "neighbours.png")


def _more(recipe: Recipe, material: Material, run: Run) -> list[str]:
    """Lines of the card: what was promised, what was held out and seen there."""
    lines = [] if material.held is None else _held_in_words(material.held, run)
    if "told" in recipe.facts:
        lines.insert(0, told_in_words(recipe.facts["told"]))
    if "init" in recipe.facts:
        lines.insert(0, start_in_words(recipe.facts["init"]))
    if "masks" in recipe.facts:
        lines.append(f"{recipe.facts['masks']['images']} of the images have a mask; the others have no lesion")
    lines += [
        f"latent space gave back {line['smallest_kept']:.2f} of the contrast of the smallest lesions, "
        f"{line['lesions_kept']:.2f} of all"
        for line in run.history
        if "smallest_kept" in line
    ]
    if "dp" not in recipe.facts:
        return lines
    known, group_N = material.manifest.patients_known, material.manifest.group_N
    promised = privacy_in_words(
        recipe.facts["dp"], patients_known=known, most_of_a_patient=int(np.bincount(group_N).max())
    )
    return [*promised, *lines]


def _held_in_words(held: HeldOut, run: Run) -> list[str]:
    lines, look = [f"held out, never fitted to: {len(held.images) - len(held.watched)} images"], last_look(run.history)
    if look is None:
        return lines
    if len(held.watched):
        lines.append(
            f"{len(held.watched)} more held-out images watched and could have ended the fit, so they count as seen; "
            f"two looks in a row at p < {LEVEL / LOOKS:g} end it: "
            + (f"they ended it after step {run.step} of {run.steps}" if run.stopped else "they did not")
        )
    lines.append(f"at the last look, of {SAMPLES} samples: {look_in_words(look)}")
    return [*lines, "neighbours.png and log.jsonl show or describe training images: leave them out of what you share"]

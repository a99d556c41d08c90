"""Synthetic images from a fitted generator, as a data set of their own."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from augury.conditions.condition import Condition
from augury.conditions.pairs import to_uint8
from augury.conditions.prompt import Vocabulary
from augury.data import provenance
from augury.data.provenance import Artefact, Recipe
from augury.data.sample import IntArray
from augury.errors import UserError
from augury.generators import GENERATORS
from augury.generators import load as load_generator
from augury.generators.generator import Generator
from augury.studies.cards import set_card
from augury.studies.material import Note, Progress, staged
from augury.studies.settings import configured
from augury.studies.steering import Guide, guide, maps_of

_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be drawn. None: as the model was fitted, or as its classes are frequent."""

    n: int
    label: str | None = None  # of this class alone
    prompt: str | None = None  # the same words for all
    like: str | None = None  # a data set whose images steer the drawn ones, by their maps
    edit: str | None = None  # how those maps are changed: conditions.edits.parsed
    edges: str | None = None  # a finder of edges, which must be the model's: edge_finder.finder
    guidance: float | None = None
    steps: int | None = None
    sampler: str | None = None
    layout: str | None = None  # of `like`
    slices: str | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Task:
    """What each image is told."""

    label_N: IntArray  # -1: unknown
    prompt_N: Sequence[str] | None
    guide: Guide | None


def sample_model(
    model: Path,
    wanted: Wanted,
    *,
    out: Path,
    device: str = "cpu",
    progress: Progress | None = None,
    note: Note = print,
) -> dict[str, Any]:
    """Draw images into the set folder `out`: manifest.csv, images/, masks/ where known, card.md, artefact.json.

    Raises UserError for a model that draws nothing, an unknown class or word, a condition that the model was not
    fitted with or that is missing, an `out` that holds something else.
    """
    source = provenance.read(model)
    _refuse_other(source, model)
    generator = _set_up(load_generator(source.folder), wanted)
    task = _task(source, wanted, device=device, progress=progress, note=note)
    recipe = _recipe(source, task, wanted)
    if not _made_already(out, recipe):
        generator.nets.to(device)
        _write(out, recipe, source, generator, task, seed=wanted.seed, progress=progress)
    said = {name: value for name, value in recipe.facts.items() if name != "generator"}
    return {"set": str(out), "digest": recipe.digest, **said}


def _set_up(generator: Generator, wanted: Wanted) -> Generator:
    """The generator with the sampling that is asked for."""
    named = {"guidance": wanted.guidance, "steps": wanted.steps, "sampler": wanted.sampler}
    changes = {name: value for name, value in named.items() if value is not None}
    if not changes:
        return generator
    sampling = getattr(generator, "sampling", None)
    if sampling is None:
        raise UserError(
            f"--{next(iter(changes))} got {next(iter(changes.values()))}, and {generator.method} draws in one step; "
            "expected a model of flow; leave it out"
        )
    generator.sampling = configured(type(sampling), asdict(sampling), changes, at="sampling.")  # type: ignore[attr-defined]
    return generator


def _task(source: Artefact, wanted: Wanted, *, device: str, progress: Progress | None, note: Note) -> Task:
    told = source.facts.get("told", {"conditions": ["label"]})
    _refuse_untold(source, told["conditions"], wanted)
    found = None
    if wanted.like is not None:
        found = guide(
            source, wanted.like, n=wanted.n, label=wanted.label, edit=wanted.edit or "none", edges=wanted.edges,
            layout=wanted.layout, slices=wanted.slices, seed=wanted.seed, device=device, stage=staged(progress),
            note=note,
        )  # fmt: skip
        label_N = found.manifest.label_N[found.source_N]
    elif wanted.prompt is not None and wanted.label is None and "label" not in told["conditions"]:
        label_N = np.full(wanted.n, -1, dtype=np.int64)  # the words may name a class or none
    else:
        label_N = labels(source, wanted.n, label=wanted.label)
    return Task(label_N=label_N, prompt_N=_prompts(source, told, wanted, label_N, found), guide=found)


def _refuse_untold(source: Artefact, conditions: Sequence[str], wanted: Wanted) -> None:
    """UserError where what is asked for and what the model is told do not meet."""
    maps = maps_of(source)
    if wanted.prompt is not None and "prompt" not in conditions:
        raise UserError(
            f"--prompt got {wanted.prompt!r}; the model was fitted with {', '.join(conditions)}; leave it out, or fit "
            "one with --condition prompt"
        )
    if maps and wanted.like is None:
        raise UserError(
            f"the model draws by {', '.join(maps)} of real images and got none; expected --like DATA; it was fitted "
            f"to {source.facts['data']!r}"
        )
    for name in ("like", "edit", "edges"):
        value = getattr(wanted, name)
        if value is not None and not maps:
            raise UserError(
                f"--{name} got {value!r}; the model was fitted with {', '.join(conditions)} and no map to steer it; "
                "leave it out, or fit one with --condition edges or mask"
            )


def _prompts(
    source: Artefact, told: Mapping[str, Any], wanted: Wanted, label_N: IntArray, found: Guide | None
) -> Sequence[str] | None:
    """The words for each image: those asked for, its source's, or those that most images of its class had."""
    if "prompt" not in told["conditions"]:
        return None
    if wanted.prompt is not None:
        return [wanted.prompt] * wanted.n
    if found is not None:
        return found.prompts(told["modality"])
    classes: list[str] = source.facts["classes"]
    return [told["prompts"].get(classes[label], "") for label in label_N]


def labels(source: Artefact, n: int, *, label: str | None) -> IntArray:
    """One class per image, in the order of the classes; counts by largest remainders."""
    classes, counts = source.facts["classes"], np.array(source.facts["counts"], dtype=np.float64)
    if label is not None:
        if label not in classes:
            raise UserError(f"--label got {label!r}; the model knows {', '.join(map(repr, classes))}; name one of them")
        return np.full(n, classes.index(label), dtype=np.int64)
    exact = n * counts / counts.sum()
    share = np.floor(exact).astype(np.int64)
    share[np.argsort(share - exact, kind="stable")[: n - share.sum()]] += 1
    return np.repeat(np.arange(len(classes)), share)


def _refuse_other(source: Artefact, model: Path) -> None:
    if source.facts.get("method") not in GENERATORS:
        raise UserError(
            f"{str(model)!r} holds a {source.facts.get('method', source.kind)}, which draws nothing; expected one of "
            f"{', '.join(GENERATORS)}; make one with `augury fit`"
        )


def _recipe(source: Artefact, task: Task, wanted: Wanted) -> Recipe:
    known_n = task.label_N[task.label_N >= 0]
    counts = np.bincount(known_n, minlength=len(source.facts["classes"])).tolist()
    facts = {
        "images": len(task.label_N), "counts": dict(zip(source.facts["classes"], counts, strict=True)),
        "seed": wanted.seed, "method": source.facts["method"], "generator": dict(source.facts),
        **({} if task.guide is None else task.guide.facts()),
    }  # fmt: skip
    asked = {"prompt": wanted.prompt, "guidance": wanted.guidance, "steps": wanted.steps, "sampler": wanted.sampler}
    facts |= {name: value for name, value in asked.items() if value is not None}
    return Recipe(kind="set", facts=facts, parents={"generator": source.digest})


def _made_already(out: Path, recipe: Recipe) -> bool:
    if provenance.complete(out) and provenance.read(out).digest == recipe.digest:
        return True
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{str(out)!r} exists and holds something else; expected a new folder; name another --out")
    return False


def _write(
    out: Path,
    recipe: Recipe,
    source: Artefact,
    generator: Generator,
    task: Task,
    *,
    seed: int,
    progress: Progress | None,
) -> None:
    saw = [] if task.guide is None else task.guide.used()
    with provenance.writing(out, recipe, saw=saw, parents=[source]) as folder:
        (folder / "images").mkdir()
        masked: list[bool] = []
        for first in range(0, len(task.label_N), _BATCH):
            condition, mask_BHW = _condition(source, task, first)
            # A seed a batch: the first images of a larger set are those of a smaller one of the same conditions.
            drawn = generator.sample(condition.to(generator.device()), seed=seed * 1_000_003 + first)
            _save(to_uint8(drawn), folder / "images", first=first)
            masked += _save_masks(mask_BHW, folder, task, first=first, count=len(drawn))
            if progress is not None:
                progress("drawing images", min(first + _BATCH, len(task.label_N)), len(task.label_N))
        rows = manifest_csv(task, source.facts["classes"], origin=source.digest, masked=masked)
        (folder / "manifest.csv").write_text(rows, encoding="utf-8", newline="")
        (folder / "card.md").write_text(set_card(recipe.facts, source=source.facts), encoding="utf-8")


def _condition(source: Artefact, task: Task, first: int) -> tuple[Condition, Tensor | None]:
    """What the images of a batch are told, and the masks that they are to show."""
    part = slice(first, first + _BATCH)
    label_B = torch.from_numpy(task.label_N[part])
    told = source.facts.get("told", {"conditions": ["label"]})["conditions"]
    text_BT = None
    if task.prompt_N is not None:
        text_BT = Vocabulary(words=tuple(source.facts["told"]["words"])).encode(task.prompt_N[part])
    condition = Condition(label_B=label_B if "label" in told else None, text_BT=text_BT)
    if task.guide is None:
        return condition, None
    map_BKHW, mask_BHW = task.guide.told(first, len(label_B))
    return replace(condition, map_BKHW=map_BKHW, maps=task.guide.maps), mask_BHW


def _save(pixels_BCHW: NDArray[np.uint8], folder: Path, *, first: int) -> None:
    for place, pixels_CHW in enumerate(pixels_BCHW, start=first):
        grey = pixels_CHW.shape[0] == 1
        pixels = pixels_CHW[0] if grey else np.ascontiguousarray(pixels_CHW.transpose(1, 2, 0))
        Image.fromarray(pixels).save(folder / f"{place:06d}.png")


def _save_masks(mask_BHW: Tensor | None, folder: Path, task: Task, *, first: int, count: int) -> list[bool]:
    """Which images have a mask: those whose source has one, or that were given a lesion."""
    if mask_BHW is None or task.guide is None:
        return [False] * count
    (folder / "masks").mkdir(exist_ok=True)
    has = []
    for place, mask_HW in enumerate(mask_BHW.numpy() >= 0.5, start=first):
        has.append(bool(mask_HW.any() or task.guide.source(place).masks))
        if has[-1]:
            Image.fromarray(mask_HW.astype(np.uint8) * np.uint8(255)).save(folder / "masks" / f"{place:06d}.png")
    return has


def manifest_csv(task: Task, classes: Sequence[str], *, origin: str, masked: Sequence[bool]) -> str:
    """The set's manifest: which artefact drew an image; a steered one has its source and its patient, else its own."""
    known = {"mask": any(masked), "text": task.prompt_N is not None, "source": task.guide is not None}
    header = ["image", "label", "patient", "origin", *(name for name, there in known.items() if there)]
    text = io.StringIO()
    writer = csv.DictWriter(text, header, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for place, label in enumerate(task.label_N):
        name = f"images/{place:06d}.png"
        steering = None if task.guide is None else task.guide.source(place)
        writer.writerow(
            {
                "image": name, "label": classes[label] if label >= 0 else "", "origin": origin,
                "patient": f"synthetic:{name}" if steering is None else steering.patient,
                "mask": f"masks/{place:06d}.png" if masked[place] else "",
                "text": "" if task.prompt_N is None else task.prompt_N[place],
                "source": "" if steering is None else steering.id,
            }
        )  # fmt: skip
    return text.getvalue()

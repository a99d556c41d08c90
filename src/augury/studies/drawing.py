"""Synthetic images from a fitted generator, as a data set of their own."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from augury.conditions.condition import Condition
from augury.conditions.pairs import to_uint8
from augury.data import provenance
from augury.data.provenance import Artefact, Recipe
from augury.data.sample import IntArray
from augury.errors import UserError
from augury.generators import GENERATORS
from augury.generators import load as load_generator
from augury.studies.cards import set_card

_BATCH = 256


def sample_model(
    model: Path,
    n: int,
    *,
    out: Path,
    label: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Draw `n` images into the set folder `out`: manifest.csv, images/, card.md, artefact.json.

    `label` None: classes as frequent as among the images that the model was fitted on. Raises UserError for a model
    that draws nothing, an unknown class, an `out` that holds something else.
    """
    source = provenance.read(model)
    _refuse_other(source, model)
    label_N = labels(source, n, label=label)
    recipe = _recipe(source, label_N, seed=seed)
    if not _made_already(out, recipe):
        _write(out, recipe, source, label_N, seed=seed, device=device, progress=progress)
    said = {name: value for name, value in recipe.facts.items() if name != "generator"}
    return {"set": str(out), "digest": recipe.digest, **said}


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


def _recipe(source: Artefact, label_N: IntArray, *, seed: int) -> Recipe:
    counts = np.bincount(label_N, minlength=len(source.facts["classes"])).tolist()
    facts = {
        "images": len(label_N), "counts": dict(zip(source.facts["classes"], counts, strict=True)), "seed": seed,
        "method": source.facts["method"], "generator": dict(source.facts),
    }  # fmt: skip
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
    label_N: IntArray,
    *,
    seed: int,
    device: str,
    progress: Callable[[str, int, int], None] | None,
) -> None:
    generator = load_generator(source.folder)
    generator.nets.to(device)
    with provenance.writing(out, recipe, parents=[source]) as folder:
        (folder / "images").mkdir()
        for first in range(0, len(label_N), _BATCH):
            condition = Condition(label_B=torch.from_numpy(label_N[first : first + _BATCH])).to(device)
            # A seed a batch: the first images of a larger set are those of a smaller one of the same labels.
            _save(to_uint8(generator.sample(condition, seed=seed * 1_000_003 + first)), folder / "images", first=first)
            if progress is not None:
                progress("drawing images", min(first + _BATCH, len(label_N)), len(label_N))
        rows = manifest_csv(label_N, source.facts["classes"], origin=source.digest)
        (folder / "manifest.csv").write_text(rows, encoding="utf-8", newline="")
        (folder / "card.md").write_text(set_card(recipe.facts, source=source.facts), encoding="utf-8")


def _save(pixels_BCHW: NDArray[np.uint8], folder: Path, *, first: int) -> None:
    for place, pixels_CHW in enumerate(pixels_BCHW, start=first):
        grey = pixels_CHW.shape[0] == 1
        pixels = pixels_CHW[0] if grey else np.ascontiguousarray(pixels_CHW.transpose(1, 2, 0))
        Image.fromarray(pixels).save(folder / f"{place:06d}.png")


def manifest_csv(label_N: IntArray, classes: list[str], *, origin: str) -> str:
    """The set's manifest: an image is its own patient, and says which artefact drew it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", "patient", "origin"])
    for place, label in enumerate(label_N):
        name = f"images/{place:06d}.png"
        writer.writerow([name, classes[label], f"synthetic:{name}", origin])
    return text.getvalue()

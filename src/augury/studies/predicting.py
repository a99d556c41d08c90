"""Probabilities of a fitted predictor for new images, or the masks of a segmenter. N images, K classes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augury.data import provenance
from augury.data.cache import write_atomically
from augury.data.importers import load
from augury.data.provenance import Artefact
from augury.data.sample import Manifest
from augury.data.store import prepare
from augury.errors import UserError
from augury.predictors import PREDICTORS
from augury.predictors import load as load_predictor
from augury.predictors.segmenter import Segmenter
from augury.studies.drawn_masks import masks_folder, write_masks
from augury.studies.preparing import preparation_of

_BATCH = 256


def predict_model(
    model: Path,
    data: str,
    *,
    out: Path,
    layout: str | None = None,
    slices: str | None = None,
    device: str = "cpu",
    progress: Callable[[str, int, int], None] | None = None,
    note: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Write one row per readable image to the CSV `out`: image, patient, prediction, p_<class> (INTERFACE.md).

    Of a segmenter: image, patient, mask, pixels; the masks go to a folder beside `out` (studies/drawn_masks.py).
    Unreadable images are returned under "unreadable". Raises UserError where `model` predicts nothing or `out` may not
    be written.
    """
    source = provenance.read(model)
    _refuse_other(source, model)
    _refuse_place(out)
    if source.facts["method"] == "segmenter":
        masks_folder(out)  # refused before the work, not after it
    predictor = load_predictor(model)
    predictor.nets.to(device)
    manifest = load(data, no_patients=True, layout=layout, slices=slices, progress=_stage(progress, "reading images"))
    store = prepare(
        manifest, preparation_of(source.facts["preparation"]), progress=_stage(progress, "preparing images")
    )
    folder: dict[str, Any] = {}
    if isinstance(predictor, Segmenter):
        folder = {"masks": str(write_masks(predictor, manifest, store, out=out, progress=progress))}
    else:
        probability_NK = _predict(predictor, store.pixels_NCHW, progress)
        write_atomically(out, table(manifest, probability_NK, classes=source.facts["classes"]))
    _say(source, manifest, note)
    return {
        "file": str(out), **folder, "images": len(manifest), "classes": list(source.facts["classes"]),
        "unreadable": [asdict(item) for item in manifest.unreadable], "seen_in_training": _seen(source, manifest),
    }  # fmt: skip


def table(manifest: Manifest, probability_NK: NDArray[np.float32], *, classes: list[str]) -> str:
    """The CSV: one row per image, in the manifest's order."""
    patients = ["patient"] if manifest.patients_known else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", *patients, "prediction", *(f"p_{name}" for name in classes)])
    for sample, probability_K in zip(manifest, probability_NK, strict=True):
        known = [sample.patient] if patients else []
        numbers = (f"{p:.6f}" for p in probability_K)
        writer.writerow([sample.row, *known, classes[int(probability_K.argmax())], *numbers])
    return text.getvalue()


def _predict(
    predictor: Any, pixels_NCHW: NDArray[Any], progress: Callable[[str, int, int], None] | None
) -> NDArray[np.float32]:
    parts = []
    for first in range(0, len(pixels_NCHW), _BATCH):
        parts.append(predictor.predict(np.ascontiguousarray(pixels_NCHW[first : first + _BATCH])))
        if progress is not None:
            progress("predicting", min(first + _BATCH, len(pixels_NCHW)), len(pixels_NCHW))
    return np.concatenate(parts)


def _refuse_other(source: Artefact, model: Path) -> None:
    if source.facts.get("method") not in PREDICTORS:
        raise UserError(
            f"{str(model)!r} holds a {source.facts.get('method', source.kind)}, which predicts nothing; expected one "
            f"of {', '.join(PREDICTORS)}; make one with `augury fit classifier` or take a study's best/"
        )


def _refuse_place(out: Path) -> None:
    if out.exists() and not out.is_file():
        raise UserError(f"--out {str(out)!r} is no file; expected the name of a CSV to write; name another")


def _seen(source: Artefact, manifest: Manifest) -> int:
    return sum(sample.id in source.ids for sample in manifest)


def _say(source: Artefact, manifest: Manifest, note: Callable[[str], None]) -> None:
    for item in manifest.unreadable:
        note(f"unreadable, not predicted: {item.image!r}: {item.why}")
    if seen := _seen(source, manifest):
        note(f"{seen} of {len(manifest)} images took part in the making of this model: what it says flatters there")


def _stage(progress: Callable[[str, int, int], None] | None, name: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(name, done, total)

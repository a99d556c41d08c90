"""A phantom set on disk: manifest.csv, boxes.csv, images/ and masks/ as PNG. N images, H height, W width."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augury.data.cache import atomic_folder
from augury.data.phantoms.phantom import Phantom
from augury.errors import UserError

_BOX = ("image", "x", "y", "width", "height", "label")


def write(phantom: Phantom | Iterable[Phantom], folder: Path) -> Path:
    """The set's folder, complete or absent; returns the manifest's path. Batches are written as they come.

    A grey image is written with one channel. A mask is a file only where it is not empty. boxes.csv has a line for
    every lesion. UserError where the folder is not empty.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{str(folder)!r} is not empty: expected a new or empty folder; name another or empty it")
    rows: list[dict[str, str]] = []
    boxes: list[dict[str, str]] = []
    with atomic_folder(folder) as beside:
        (beside / "images").mkdir()
        (beside / "masks").mkdir()
        columns: tuple[str, ...] = ()
        for batch in [phantom] if isinstance(phantom, Phantom) else phantom:
            columns = columns or _columns(batch)
            for i in range(len(batch)):
                rows.append(_write_one(batch, i, name=f"{len(rows):06d}", folder=beside))
                boxes += _boxes(batch, i, image=rows[-1]["image"])
        (beside / "manifest.csv").write_text(_table(columns, rows), encoding="utf-8")
        (beside / "boxes.csv").write_text(_table(_BOX, boxes), encoding="utf-8")
    return folder / "manifest.csv"


def _columns(phantom: Phantom) -> tuple[str, ...]:
    eye, modality = ("eye",) * bool(phantom.eyes), ("modality",) * bool(phantom.modalities)
    return ("image", "label", "patient", *eye, *modality, "mask", *(f"mask_{part}" for part in _named(phantom)), "site")


def _named(phantom: Phantom) -> tuple[str, ...]:
    """Parts with a column of their own; a single part is the mask itself."""
    return (*(phantom.parts if len(phantom.parts) > 1 else ()), *phantom.landmarks)


def _write_one(phantom: Phantom, index: int, *, name: str, folder: Path) -> dict[str, str]:
    """One image and its masks; the row that describes them."""
    pixels_HWC = phantom.image_NHWC[index]
    grey = pixels_HWC.shape[-1] == 1 or bool((pixels_HWC == pixels_HWC[..., :1]).all())
    _save(pixels_HWC[..., 0] if grey else pixels_HWC, folder / "images" / f"{name}.png")
    row = {
        "image": f"images/{name}.png",
        "label": phantom.classes[phantom.label_N[index]],
        "patient": f"p{phantom.patient_N[index]:06d}",
        "mask": _mask(_lesions(phantom, index), f"masks/{name}.png", folder=folder),
        "site": f"scanner{phantom.scanner_N[index]}",
    }
    for bit, part in enumerate((*phantom.parts, *phantom.landmarks)):
        if part in _named(phantom):
            mask_HW = (phantom.part_NHW[index] >> bit) & 1 != 0
            row[f"mask_{part}"] = _mask(mask_HW, f"masks/{name}_{part}.png", folder=folder)
    row |= {"eye": phantom.eyes[index]} if phantom.eyes else {}
    return row | ({"modality": phantom.modalities[index]} if phantom.modalities else {})


def _lesions(phantom: Phantom, index: int) -> NDArray[np.bool_]:
    mask_HW: NDArray[np.bool_] = phantom.part_NHW[index] & ((1 << len(phantom.parts)) - 1) != 0
    return mask_HW


def _mask(mask_HW: NDArray[np.bool_], name: str, *, folder: Path) -> str:
    """The name of the file that holds the mask; "" where there is nothing to hold."""
    if not mask_HW.any():
        return ""
    _save(mask_HW.astype(np.uint8) * 255, folder / name)
    return name


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    Image.fromarray(pixels).save(path, compress_level=1)


def _boxes(phantom: Phantom, index: int, *, image: str) -> list[dict[str, str]]:
    return [
        {"image": image, "x": f"{box.x:g}", "y": f"{box.y:g}", "width": f"{box.width:g}", "height": f"{box.height:g}",
         "label": box.label or ""}
        for box in phantom.boxes[index]
    ]  # fmt: skip


def _table(columns: Sequence[str], rows: Sequence[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

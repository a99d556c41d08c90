"""MedMNIST's .npz (Yang 2023, arXiv 2110.14795): {train,val,test}_{images,labels}; here also `classes`, their names.

N images, H height, W width. Other readers of the format pass the array `classes` over.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augury.data import medmnist
from augury.data.inside import LEADS_OUT, Inside
from augury.data.layouts import writing
from augury.data.layouts.layout import BESIDE
from augury.data.listing import Listing, Row
from augury.errors import UserError

KEEPS = frozenset({"label", "split"})
NEEDS = ("split",)
FILE = "set.npz"


def recognises(path: Path) -> bool:
    """An .npz, or a folder that holds one and nothing else but an export's or an audit's own files."""
    return _file(path) is not None


def list_archive(path: Path) -> Listing:
    """The images of a MedMNIST .npz; rows are named by their members."""
    file = path if path.is_file() else _file(path)
    if file is None:
        raise UserError(f"{str(path)!r} is a folder that holds no single .npz; name the MedMNIST file")
    if path.is_dir() and Inside(path).leads_out(file):
        raise UserError(f"{str(file)!r} {LEADS_OUT}")
    rows = tuple(
        Row(name=entry.member, image=file, member=entry.member, label=entry.label, split=entry.split)
        for entry in medmnist.entries(file)
    )
    name = path.name if path.is_dir() else path.stem
    return Listing(name=name, rows=rows, notes=("read as a MedMNIST file, with its given split",))


def write(rows: Sequence[Row], folder: Path) -> list[str]:
    """One array a split; UserError where images differ in size or kind, or a split is labelled only in part."""
    classes = sorted({row.label for row in rows if row.label is not None})
    arrays: dict[str, NDArray[Any]] = {}
    for split in writing.SPLIT_NAMES:
        chosen = [row for row in rows if row.split == split]
        if chosen:
            arrays |= _arrays(chosen, split, classes)
    if len({(images.shape[1:], images.dtype) for name, images in arrays.items() if name.endswith("_images")}) > 1:
        raise _unlike("the splits")
    if classes:
        arrays["classes"] = np.array(classes)
    np.savez_compressed(folder / FILE, allow_pickle=False, **arrays)
    return []


def _arrays(rows: Sequence[Row], split: str, classes: Sequence[str]) -> dict[str, NDArray[Any]]:
    images = [writing.pixels_of(row) for row in rows]
    if len({(image.shape, image.dtype) for image in images}) > 1:
        raise _unlike(f"the images of {split}")
    arrays = {f"{split}_images": np.stack(images)}
    unlabelled = sum(row.label is None for row in rows)
    if 0 < unlabelled < len(rows):
        raise UserError(
            f"{unlabelled} of {len(rows)} images of {split} have no label; MedMNIST labels a split whole or not at "
            "all: leave them out, or choose the layout manifest"
        )
    if not unlabelled:
        arrays[f"{split}_labels"] = np.array([[classes.index(str(row.label))] for row in rows], dtype=np.uint16)
    return arrays


def _unlike(which: str) -> UserError:
    return UserError(
        f"{which} differ in size, colour or bits; MedMNIST holds them in one array: prepare them alike first, or "
        "choose the layout manifest"
    )


def _file(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() == ".npz" else None
    listed = path.iterdir() if path.is_dir() else ()
    seen = [one for one in listed if not one.name.startswith(".") and one.name not in BESIDE]
    return seen[0] if len(seen) == 1 and seen[0].suffix.lower() == ".npz" and seen[0].is_file() else None

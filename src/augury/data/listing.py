"""Which images a set lists, before any of them is opened: class folders and MedMNIST files.

A CSV is listed by `data.table`. All of them end in a Listing, whose rows hold text as the source wrote it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from augury.data import medmnist
from augury.data.sample import Box, Unreadable
from augury.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
SPLITS = {
    "train": "train", "training": "train", "tr": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One listed image. `name` is unique in the listing; None stands for what the source does not say."""

    name: str
    image: Path
    member: str | None = None
    label: str | None = None
    patient: str | None = None
    masks: Mapping[str, Path] = field(default_factory=dict)
    boxes: tuple[Box, ...] = ()
    eye: str | None = None
    modality: str | None = None
    text: str | None = None
    split: str | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    origin: str = "real"
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All rows of a set, what could not even be listed, and what was recognised."""

    name: str
    rows: tuple[Row, ...]
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()


def list_archive(path: Path) -> Listing:
    """The images of a MedMNIST .npz; rows are named by their members."""
    rows = tuple(
        Row(name=entry.member, image=path, member=entry.member, label=entry.label, split=entry.split)
        for entry in medmnist.entries(path)
    )
    return Listing(name=path.stem, rows=rows, notes=("read as a MedMNIST file, with its given split",))


def list_folders(folder: Path) -> Listing:
    """One sub-folder per class, with or without train/val/test folders above; images without one are unlabelled."""
    files, odd, others = _walk(folder)
    if not files and not odd:
        raise UserError(
            f"no images in {str(folder)!r}: expected a manifest.csv, or one sub-folder per class with PNG, JPEG, TIFF "
            "or BMP files; check the path"
        )
    images, masks = _part_masks(files)
    has_splits = _has_splits(images)
    rows = tuple(_row(folder, path, masks=masks.get(path, {}), has_splits=has_splits) for path in images)
    return Listing(
        name=folder.name, rows=rows, unreadable=odd, notes=_notes(rows, has_splits=has_splits, others=others)
    )


def _part_masks(files: list[Path]) -> tuple[list[Path], dict[Path, dict[str, Path]]]:
    """Images, and the masks beside them: "x_mask.png" and "x_mask_1.png" belong to "x.png" where that is there."""
    owners = {path.with_suffix(""): path for path in files}
    masks: dict[Path, dict[str, Path]] = {}
    images: list[Path] = []
    for path in files:
        named = re.fullmatch(r"(.+)_(mask(_\d+)?)", path.stem, flags=re.DOTALL)
        owner = owners.get(path.with_name(named[1])) if named else None
        if named is None or owner is None:
            images.append(path)
        else:
            masks.setdefault(owner, {})[named[2]] = path
    return images, masks


def _row(folder: Path, path: Path, *, masks: Mapping[str, Path], has_splits: bool) -> Row:
    places = path.parts[:-1]
    split = SPLITS[places[0].casefold()] if has_splits else None
    below = places[1:] if has_splits else places
    return Row(
        name=path.as_posix(),
        image=folder / path,
        label=below[0] if below else None,
        masks={name: folder / mask for name, mask in masks.items()},
        split=split,
    )


def _has_splits(files: list[Path]) -> bool:
    """Whether the uppermost folders are splits: all are named so, and there are folders of classes below."""
    tops = {path.parts[0].casefold() if len(path.parts) > 1 else "" for path in files}
    return bool(tops) and tops <= SPLITS.keys() and any(len(path.parts) > 2 for path in files)


def _notes(rows: tuple[Row, ...], *, has_splits: bool, others: int) -> tuple[str, ...]:
    layout = "train/val/test folders of class folders" if has_splits else "one folder per class"
    notes = [f"read as {layout}"]
    if masked := sum(bool(row.masks) for row in rows):
        notes.append(f"files named <image>_mask read as masks of {masked} images")
    if others:
        notes.append(f"ignored {others} files that are not named {', '.join(SUFFIXES)}")
    if unlabelled := sum(row.label is None for row in rows):
        notes.append(f"{unlabelled} images lie in no class folder and are unlabelled")
    return tuple(notes)


def _walk(folder: Path) -> tuple[list[Path], tuple[Unreadable, ...], int]:
    """Relative paths of the images in order, those with impossible names, and how many other files there are."""
    files: list[Path] = []
    odd: list[Unreadable] = []
    others = 0
    for path in sorted(_visible(folder)):
        if path.suffix.lower() not in SUFFIXES:
            others += 1
        elif _is_text(str(path)):
            files.append(path)
        else:
            shown = os.fsencode(path).decode(errors="backslashreplace")
            odd.append(Unreadable(image=shown, why="its name is not valid UTF-8: rename it"))
    return files, tuple(odd), others


def _visible(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from ((Path(place) / name).relative_to(folder) for name in names if not name.startswith("."))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # os.walk smuggles undecodable bytes in as lone surrogates
        return False
    return True

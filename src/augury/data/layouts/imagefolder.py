"""Hugging Face's imagefolder with metadata (documentation of datasets, "Create an image dataset").

    train/metadata.csv      file_name,label,mask_file_name,...          (or metadata.jsonl, which also holds objects)
    train/images/000000.png

Paths are relative to the metadata file. Without metadata the layout is class folders, and is read as such.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from augury.data.box_table import box_of
from augury.data.layouts import json_text as js
from augury.data.layouts import writing
from augury.data.layouts.columns import KEEPS, cells_of, header_of
from augury.data.listing import SPLITS, Listing, Row
from augury.data.sample import Box
from augury.data.table import list_lines, parse, text_of
from augury.errors import UserError

__all__ = ["KEEPS", "list_imagefolder", "recognises", "write"]

_FILES = ("metadata.csv", "metadata.jsonl")
_FOLDERS = {"train": "train", "val": "validation", "test": "test"}  # the names of the splits over there


def recognises(path: Path) -> bool:
    """A folder with a metadata.csv or metadata.jsonl, at its top or in its train/validation/test folders."""
    return path.is_dir() and bool(_metadata(path))


def list_imagefolder(folder: Path) -> Listing:
    """The rows of all metadata files; those in a split's folder are of that split."""
    parts = [_list_one(file, folder, split=split) for file, split in _metadata(folder)]
    if not parts:
        raise UserError(f"no metadata.csv or metadata.jsonl in {str(folder)!r}; choose the layout class_folders")
    names = [row.name for part in parts for row in part.rows]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{str(folder)!r} lists {twice!r} in two metadata files: remove one")
    return Listing(
        name=folder.name,
        rows=tuple(row for part in parts for row in part.rows),
        unreadable=tuple(one for part in parts for one in part.unreadable),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def write(rows: Sequence[Row], folder: Path) -> list[str]:
    """metadata.csv in the folder of each split; metadata.jsonl where there are boxes."""
    with_split = writing.whole_split(rows)
    header = header_of([replace(row, split=None) for row in rows] if with_split else rows, image="file_name")
    for split in writing.SPLIT_NAMES if with_split else (None,):
        chosen = [row for row in rows if row.split == split]
        if chosen:
            _write_part(chosen, folder / _FOLDERS.get(split or "", ""), header, with_boxes=any(r.boxes for r in rows))
    return []


def _metadata(folder: Path) -> list[tuple[Path, str | None]]:
    """The metadata files and their splits, in the order train, val, test."""
    top: list[tuple[Path, str | None]] = [(folder / name, None) for name in _FILES if (folder / name).is_file()]
    below = [
        (place / name, SPLITS[place.name.casefold()])
        for place in sorted(folder.iterdir())
        if place.name.casefold() in SPLITS and place.is_dir()
        for name in _FILES
        if (place / name).is_file()
    ]
    return [*top, *sorted(below, key=lambda found: writing.SPLIT_NAMES.index(found[1] or ""))]


def _list_one(file: Path, folder: Path, *, split: str | None) -> Listing:
    if file.suffix == ".jsonl":
        header, lines, boxes = _json_table(file)
    else:
        header, lines, boxes = *parse(text_of(file), path=file), {}
    header = [_our_column(name) for name in header]
    listing = list_lines(header, lines, path=file, name=folder.name, boxes=boxes)
    rows = (_placed(row, file, folder, split=split) for row in listing.rows)
    return replace(listing, rows=tuple(rows), notes=(f"rows from {file.name}", *listing.notes))


def _placed(row: Row, file: Path, folder: Path, *, split: str | None) -> Row:
    """The row as seen from the set's folder; a name that an export kept stays."""
    by_path = row.name == row.image.relative_to(file.parent).as_posix()
    name = row.image.relative_to(folder).as_posix() if by_path else row.name
    return replace(row, name=name, split=row.split or split)


def _our_column(name: str) -> str:
    """Further images of a row are called <name>_file_name over there; those that are masks become masks."""
    if name == "file_name":
        return "image"
    return name.removesuffix("_file_name") if name.startswith("mask") else name


def _json_table(file: Path) -> tuple[list[str], list[tuple[int, list[str]]], dict[str, list[Box]]]:
    lines = [(number, _facts(value, file, number)) for number, value in js.read_json_lines(file)]
    boxes: dict[str, list[Box]] = {}
    for number, facts in lines:
        where = f"{file.name!r} line {number}"
        found = _objects(facts.pop("objects", None), where=where)
        if found:
            boxes[js.as_text(facts.get("file_name"), where=f"{where}: file_name")] = found
    header = list(dict.fromkeys(name for _, facts in lines for name in facts))
    return header, [(n, [_cell(facts.get(name), file, n, name) for name in header]) for n, facts in lines], boxes


def _facts(value: Any, file: Path, number: int) -> dict[str, Any]:
    return dict(js.as_dict(value, where=f"{file.name!r} line {number}"))


def _cell(value: Any, file: Path, number: int, name: str) -> str:
    return js.as_word(value, where=f"{file.name!r} line {number}: {name}") or ""


def _objects(value: Any, *, where: str) -> list[Box]:
    if value is None:
        return []
    facts = js.as_dict(value, where=f"{where}: objects")
    corners = js.as_list(facts.get("bbox", []), where=f"{where}: objects.bbox")
    labels, scores = (_aligned(facts, name, len(corners), where) for name in ("categories", "scores"))
    boxes = []
    for four, label, score in zip(corners, labels, scores, strict=True):
        numbers = [js.as_number(n, where=f"{where}: objects.bbox") for n in js.as_list(four, where=f"{where}: bbox")]
        if len(numbers) != 4:
            raise js.wrong(four, "x, y, width and height", where=f"{where}: objects.bbox")
        x, y, width, height = box_of(*numbers, where=where)
        boxes.append(Box(x=x, y=y, width=width, height=height, label=js.as_word(label, where=where), score=score))
    return boxes


def _aligned(facts: dict[str, Any], name: str, count: int, where: str) -> list[Any]:
    values = js.as_list(facts.get(name, [None] * count), where=f"{where}: objects.{name}")
    if len(values) != count:
        raise js.wrong(values, f"one for each of {count} boxes", where=f"{where}: objects.{name}")
    return values


def _write_part(rows: Sequence[Row], folder: Path, header: Sequence[str], *, with_boxes: bool) -> None:
    places = [Path("images", f"{i:06d}.png") for i in range(len(rows))]
    writing.put_images(rows, folder, places)
    lines = []
    for row, place in zip(rows, places, strict=True):
        masks = writing.put_masks(row, place.stem, folder)
        cells = cells_of(row, image=("file_name", place.as_posix()), masks=masks)
        lines.append({_their_column(name): cells.get(name, "") for name in header})
    if with_boxes:
        text = "".join(_json_line(line, row) for line, row in zip(lines, rows, strict=True))
        (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
        return
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(map(_their_column, header)), lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(lines)


def _their_column(name: str) -> str:
    return f"{name}_file_name" if name == "mask" or name.startswith("mask_") else name


def _json_line(line: dict[str, str], row: Row) -> str:
    objects = {
        "bbox": [[box.x, box.y, box.width, box.height] for box in row.boxes],
        "categories": [box.label for box in row.boxes],
        "scores": [box.score for box in row.boxes],
    }
    facts = {name: value or None for name, value in line.items()} | {"objects": objects}
    return json.dumps(facts, ensure_ascii=False, allow_nan=False) + "\n"

"""The table of Kaggle's diabetic retinopathy detection (EyePACS, 2015): `image,level`, lines such as `10_left,0`.

The name is patient and eye; the ending of the file is not written, and the images lie in a folder beside.

    trainLabels.csv   train/10_left.jpeg      testLabels.csv (or retinopathy_solution.csv)   test/1_left.jpeg
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from augury.data.inside import LEADS_OUT, Inside, exists
from augury.data.layouts import writing
from augury.data.listing import SUFFIXES, Listing, Row
from augury.data.sample import Unreadable
from augury.data.table import parse, text_of
from augury.errors import UserError

KEEPS = frozenset({"label", "patient", "eye", "split"})
NEEDS = ("patient", "eye")
_NAME = re.compile(r"(.+)_(left|right)", re.DOTALL)
_TABLES = {  # name -> split, folder of the images
    "trainLabels.csv": ("train", "train"),
    "valLabels.csv": ("val", "val"),
    "testLabels.csv": ("test", "test"),
    "retinopathy_solution.csv": ("test", "test"),
    "labels.csv": (None, "images"),
}
_PLACES = ("train", "val", "test", "images", ".")
_LOOKED_AT = 50


def recognises(path: Path) -> bool:
    """A CSV with the columns image and level whose names end in _left and _right, or a folder with such ones."""
    if path.is_dir():
        return bool(_tables(path))
    return path.suffix.lower() == ".csv" and path.is_file() and _is_kaggle(path)


def list_kaggle(path: Path) -> Listing:
    """Patient and eye from the name, the grade from the level; images from the folder beside."""
    tables = _tables(path) if path.is_dir() else [path]
    if not tables:
        raise UserError(f"no table image,level in {str(path)!r}; expected trainLabels.csv with lines like 10_left,0")
    folder = path if path.is_dir() else path.parent
    inside, odd = Inside(folder), list[Unreadable]()
    rows = [row for table in tables for row in _rows(table, inside, odd)]
    names = [row.name for row in rows]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{str(path)!r} lists {twice!r} twice: remove one")
    note = f"image,level read as Kaggle's retinopathy table: patient and eye from the name ({len(rows)} images)"
    return Listing(name=path.stem if path.is_file() else path.name, rows=tuple(rows), unreadable=tuple(odd),
                   notes=(note,))  # fmt: skip


def write(rows: Sequence[Row], folder: Path) -> list[str]:
    """One table a split; UserError where two images are of one eye, or a patient's name cannot be a file's."""
    with_split = writing.whole_split(rows)
    names = [f"{row.patient}_{row.eye}" for row in rows]
    _expect_names(names)
    for table, (split, place) in _TABLES.items():
        chosen = [i for i, row in enumerate(rows) if row.split == split and table != "retinopathy_solution.csv"]
        if chosen and with_split == (split is not None):
            writing.put_images([rows[i] for i in chosen], folder, [Path(place, f"{names[i]}.png") for i in chosen])
            with (folder / table).open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\r\n")
                writer.writerow(["image", "level"])
                writer.writerows([names[i], rows[i].label or ""] for i in chosen)
    return []


def _expect_names(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise UserError(f"two images are {name!r}; this layout holds one image an eye: choose the layout manifest")
        if not re.fullmatch(r"\w[\w .+-]{0,80}", name):
            raise UserError(
                f"{name!r} cannot be a file's name; expected patients of letters, digits, spaces and . + - _: choose "
                "the layout manifest"
            )
        seen.add(name.casefold())


def _tables(folder: Path) -> list[Path]:
    return [folder / name for name in _TABLES if (folder / name).is_file() and _is_kaggle(folder / name)]


def _is_kaggle(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = list(islice(csv.reader(line.replace("\0", "") for line in file), _LOOKED_AT))
    named = [line[0] for line in lines[1:] if line]
    return bool(named) and [cell.strip() for cell in lines[0][:2]] == ["image", "level"] and all(map(_eye_name, named))


def _eye_name(name: str) -> re.Match[str] | None:
    return _NAME.fullmatch(name.strip())


def _rows(table: Path, inside: Inside, odd: list[Unreadable]) -> list[Row]:
    header, lines = parse(text_of(table), path=table)
    if header[:2] != ["image", "level"]:
        raise UserError(f"{str(table)!r} has the columns {', '.join(header[:9])}; expected image, level: rename them")
    split, usual = _TABLES.get(table.name, (None, "images"))
    places = list(dict.fromkeys([usual, *_PLACES]))
    rows = [_row(table, number, cells, header, inside, places) for number, cells in lines]
    odd += [Unreadable(image=row.name, why=LEADS_OUT) for row in rows if inside.leads_out(row.image)]
    return [replace(row, split=split) for row in rows if not inside.leads_out(row.image)]


def _row(
    table: Path, number: int, cells: Sequence[str], header: Sequence[str], inside: Inside, places: Sequence[str]
) -> Row:
    where = f"{str(table)!r} line {number}"
    found = _eye_name(cells[0])
    if found is None:
        raise UserError(f"{where}: got the name {cells[0]!r}; expected patient_left or patient_right: correct it")
    name = cells[0].strip()
    options = [inside.place(f"{place}/{name}", where=where) for place in places]
    files = [option.with_name(option.name + suffix) for option in options for suffix in SUFFIXES]
    image = next((file for file in files if exists(file)), files[1])
    meta = {column: cell.strip() for column, cell in zip(header[2:], cells[2:], strict=True) if cell.strip()}
    return Row(name=name, image=image, label=cells[1].strip() or None, patient=found[1], eye=found[2], meta=meta)

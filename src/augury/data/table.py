"""Which images a CSV lists: its columns, their aliases, and every way in which it may be wrong."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from augury.data.listing import SPLITS, SUFFIXES, Listing, Row
from augury.data.sample import Unreadable
from augury.errors import UserError

# Compared without case, spaces, underscores and hyphens.
ALIASES: dict[str, tuple[str, ...]] = {
    "image": ("image", "file_name", "image_path", "image_file", "img", "img_path", "file", "file_path", "path",
              "image_id", "image_name", "image_index"),
    "label": ("label", "labels", "class", "class_name", "diagnosis", "level", "grade", "dx", "target", "category"),
    "patient": ("patient", "patient_id", "subject", "subject_id", "participant", "participant_id"),
    "eye": ("eye", "laterality"),
    "modality": ("modality",),
    "mask": ("mask", "mask_path", "mask_file", "segmentation"),
    "split": ("split", "set", "subset", "partition"),
    "text": ("text", "caption", "prompt", "report"),
    "site": ("site", "hospital", "center", "centre"),
    "sex": ("sex", "gender"),
    "age": ("age", "patient_age"),
    "origin": ("origin",),
    "source": ("source",),
}  # fmt: skip
_META = ("site", "sex", "age")
_EYES = {"left": "left", "l": "left", "os": "left", "right": "right", "r": "right", "od": "right"}
_DELIMITERS = (",", ";", "\t")
_SHOWN = 12  # columns named in a message


def list_table(path: Path) -> Listing:
    """The rows of a CSV; paths in it are relative to its folder. UserError with the line where it is wrong."""
    header, lines = _parse(path)
    columns = _recognise(header, path=path)
    reader = _RowReader(path=path, header=header, columns=columns)
    rows = [reader.row(number, cells) for number, cells in lines]
    if not rows:
        raise UserError(f"{str(path)!r} has a header and no rows; expected one row per image: check the file")
    name = path.parent.name if path.name == "manifest.csv" else path.stem
    return Listing(
        name=name or path.parent.resolve().name,
        rows=tuple(rows),
        unreadable=tuple(reader.missing_masks),
        notes=(*_recognised(columns, header), *reader.notes()),
    )


def _parse(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    text = _text(path)
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)  # the comma where none occurs
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise UserError(f"{str(path)!r} is no readable CSV ({error}); expected one row per image: repair it") from error
    if not lines:
        raise UserError(f"{str(path)!r} is empty; expected a header with the column 'image' and one row per image")
    header = [cell.strip() for cell in lines[0][1]]
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise UserError(
                f"{str(path)!r} line {number} has {len(cells)} cells, its header {len(header)}: repair the line "
                "(quote names that hold a comma)"
            )
    return header, lines[1:]


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{str(path)!r} is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from error
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read ({error.strerror}); expected a CSV: check the path") from error


def _recognise(header: Sequence[str], *, path: Path) -> dict[str, int]:
    """The position of each column we know, by its canonical name; named masks as "mask_<name>"."""
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise UserError(f"{str(path)!r} has the column {twice[0]!r} more than once: rename or remove one")
    found = {name: _find(name, header, path=path) for name in ALIASES}
    columns = {name: position for name, position in found.items() if position is not None}
    if "image" not in columns:
        shown = ", ".join(header[:_SHOWN]) + (", ..." if len(header) > _SHOWN else "")
        raise UserError(
            f"{str(path)!r} has the columns {shown}; expected one named 'image' (or {_few('image')}): add it"
        )
    taken = set(columns.values())
    named = {h.lower(): i for i, h in enumerate(header) if h.lower().startswith("mask_") and i not in taken}
    return columns | named


def _find(name: str, header: Sequence[str], *, path: Path) -> int | None:
    known = {_plain(alias) for alias in ALIASES[name]}
    hits = [i for i, column in enumerate(header) if _plain(column) in known]
    exact = [i for i in hits if header[i].lower() == name]
    if len(hits) > 1 and len(exact) != 1:
        both = " and ".join(repr(header[i]) for i in hits[:2])
        raise UserError(f"{str(path)!r}: the columns {both} could both be the {name}: rename the one that is {name!r}")
    return exact[0] if exact else next(iter(hits), None)


def _recognised(columns: Mapping[str, int], header: Sequence[str]) -> tuple[str, ...]:
    said = [f"column {header[i]!r} read as {name}" for name, i in columns.items() if header[i] != name]
    kept = [column for i, column in enumerate(header) if i not in set(columns.values()) and column]
    return (*said, *([f"columns kept as they are: {', '.join(map(repr, kept))}"] if kept else []))


class _RowReader:
    """Turns the cells of one CSV into rows and remembers what it met."""

    def __init__(self, *, path: Path, header: Sequence[str], columns: Mapping[str, int]) -> None:
        self.path, self.header, self.columns = path, header, columns
        # Not resolve(): symbolic links inside the set may lead where they like.
        self.root = Path(os.path.abspath(path.parent))  # noqa: PTH100
        self.seen: dict[str, int] = {}
        self.missing_masks: list[Unreadable] = []
        self.strange_eyes: set[str] = set()
        taken = set(columns.values())
        self.extra = [(column, i) for i, column in enumerate(header) if i not in taken and column]

    def row(self, number: int, cells: Sequence[str]) -> Row:
        given = {name: cells[i].strip() for name, i in self.columns.items()}
        name = cells[self.columns["image"]]
        if not given["image"]:
            raise UserError(f"{str(self.path)!r} line {number} names no image; expected a path: fill or remove it")
        image = self._image(name, number)
        key = image.relative_to(self.root).as_posix()
        if key in self.seen:
            raise UserError(
                f"{str(self.path)!r} lists the image {key!r} twice (lines {self.seen[key]} and {number}): remove one"
            )
        self.seen[key] = number
        meta = {column: cells[i].strip() for column, i in self.extra if cells[i].strip()}
        meta |= {column: given[column] for column in _META if given.get(column)}
        eye = self._eye(given.get("eye", ""), meta)
        return Row(
            name=key, image=image, label=given.get("label") or None, patient=given.get("patient") or None,
            masks=self._masks(given, key, number), eye=eye, modality=given.get("modality") or None,
            text=given.get("text") or None, split=self._split(given.get("split", ""), number), meta=meta,
            origin=given.get("origin") or "real", source=given.get("source") or None,
        )  # fmt: skip

    def notes(self) -> list[str]:
        eyes = sorted(self.strange_eyes)[:5]
        return [f"eyes other than left and right were kept as they are: {', '.join(map(repr, eyes))}"] if eyes else []

    def _inside(self, name: str, number: int) -> Path:
        place = Path(os.path.normpath(self.root / name))
        if not place.is_relative_to(self.root) or place == self.root or "\0" in name:
            raise UserError(
                f"{str(self.path)!r} line {number}: the path {name!r} leaves the folder; expected a path inside "
                f"{str(self.root)!r}: move the images there"
            )
        return place

    def _image(self, name: str, number: int) -> Path:
        """The file as written, or with the ending that the table left out ("15_left" for 15_left.jpg)."""
        place = self._inside(name, number)
        if place.suffix.lower() in SUFFIXES or _exists(place):
            return place
        trimmed = self._inside(name.strip(), number)
        endings = [trimmed, *(trimmed.with_name(trimmed.name + suffix) for suffix in SUFFIXES)]
        return next((path for path in endings if _exists(path)), place)

    def _masks(self, given: Mapping[str, str], key: str, number: int) -> dict[str, Path]:
        masks: dict[str, Path] = {}
        for column, value in given.items():
            if not value or not (column == "mask" or column.startswith("mask_")):
                continue
            mask = self._inside(value, number)
            if _exists(mask):
                masks[column.removeprefix("mask_")] = mask
            else:
                why = f"there is no such file; the image {key!r} goes on without this mask"
                self.missing_masks.append(Unreadable(image=value, why=why))
        return masks

    def _split(self, value: str, number: int) -> str | None:
        if not value:
            return None
        if value.casefold() not in SPLITS:
            raise UserError(
                f"{str(self.path)!r} line {number}: split {value!r}; expected train, val or test: rename it"
            )
        return SPLITS[value.casefold()]

    def _eye(self, value: str, meta: dict[str, str]) -> str | None:
        eye = _EYES.get(value.casefold())
        if value and eye is None:
            meta["eye"] = value
            self.strange_eyes.add(value)
        return eye


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def _plain(column: str) -> str:
    return "".join(c for c in column.casefold() if c not in " _-")


def _few(name: str) -> str:
    return ", ".join(ALIASES[name][1:4])

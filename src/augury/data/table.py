"""Which images a CSV lists: its columns, their aliases, and every way in which it may be wrong."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from augury.data.box_table import place_beside, read_boxes
from augury.data.inside import LEADS_OUT, Inside, exists, named
from augury.data.listing import SPLITS, SUFFIXES, Listing, Row
from augury.data.sample import Box, Unreadable
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
    "augury_row": ("augury_row",),  # the row's name where an export kept it; else rows are named by their paths
}  # fmt: skip
_META = ("site", "sex", "age")
_EYES = {"left": "left", "l": "left", "os": "left", "right": "right", "r": "right", "od": "right"}
_DELIMITERS = (",", ";", "\t")
_SHOWN = 12  # columns named in a message
_LONG = 40  # letters of a column's name shown there


def list_table(path: Path) -> Listing:
    """The rows of a CSV; paths in it are relative to its folder. UserError with the line where it is wrong."""
    header, lines = parse(text_of(path), path=path)
    name = path.parent.name if path.name == "manifest.csv" else path.stem
    return list_lines(header, lines, path=path, name=name or path.parent.resolve().name, boxes=_boxes(path))


def list_lines(
    header: Sequence[str],
    lines: Sequence[tuple[int, Sequence[str]]],
    *,
    path: Path,
    name: str,
    boxes: Mapping[str, Sequence[Box]],
) -> Listing:
    """The rows of a table that was read from `path`: its header, its lines with their numbers, boxes by image."""
    columns = _recognise(header, path=path)
    reader = _RowReader(path=path, header=header, columns=columns, boxes=dict(boxes))
    rows = [row for number, cells in lines if (row := reader.row(number, cells)) is not None]
    if not rows and not reader.unreadable:
        raise UserError(f"{str(path)!r} has a header and no rows; expected one row per image: check the file")
    return Listing(
        name=name,
        rows=tuple(rows),
        unreadable=tuple(reader.unreadable),
        notes=(*_recognised(columns, header), *reader.notes()),
    )


def _boxes(path: Path) -> dict[str, list[Box]]:
    beside = place_beside(path)
    return read_boxes(beside, text_of(beside)) if beside.is_file() else {}


def parse(text: str, *, path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header of a CSV and its lines with their numbers; UserError where it is no table."""
    first = re.sub(r'"[^"]*"', "", text.split("\n", 1)[0])  # what stands in quotes divides nothing
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


def text_of(path: Path) -> str:
    """The text of a CSV, UTF-8 with or without a byte order mark; UserError where it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{str(path)!r} is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from error
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read ({error.strerror}); expected a CSV: check the path") from error


def _recognise(header: Sequence[str], *, path: Path) -> dict[str, int]:
    """The position of each column we know, by its canonical name; named masks as "mask_<name>"."""
    twice = [name for name, times in Counter(header).items() if times > 1]
    if twice:
        raise UserError(f"{str(path)!r} has the column {twice[0]!r} more than once: rename or remove one")
    found = {name: _find(name, header, path=path) for name in ALIASES}
    columns = {name: position for name, position in found.items() if position is not None}
    if "image" not in columns:
        shown = ", ".join(column[:_LONG] for column in header[:_SHOWN]) + (", ..." if len(header) > _SHOWN else "")
        raise UserError(
            f"{str(path)!r} has the columns {shown}; expected one named 'image' (or {_few('image')}): add it"
        )
    taken = set(columns.values())
    named = {f"mask_{h[5:]}": i for i, h in enumerate(header) if h.lower().startswith("mask_") and i not in taken}
    return columns | named


def _find(name: str, header: Sequence[str], *, path: Path) -> int | None:
    known = {plain(alias) for alias in ALIASES[name]}
    hits = [i for i, column in enumerate(header) if plain(column) in known]
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

    def __init__(
        self, *, path: Path, header: Sequence[str], columns: Mapping[str, int], boxes: dict[str, Sequence[Box]]
    ) -> None:
        self.path, self.header, self.columns, self.boxes = path, header, columns, boxes
        self.inside = Inside(path.parent)
        self.seen: dict[str, int] = {}
        self.names: set[str] = set()
        self.unreadable: list[Unreadable] = []
        self.strange_eyes: set[str] = set()
        taken = set(columns.values())
        self.extra = [(column, i) for i, column in enumerate(header) if i not in taken and column]

    def row(self, number: int, cells: Sequence[str]) -> Row | None:
        """The row of one line; None where its image cannot be reached, which is remembered."""
        given = {name: cells[i].strip() for name, i in self.columns.items()}
        name = cells[self.columns["image"]]
        if not given["image"]:
            raise UserError(f"{str(self.path)!r} line {number} names no image; expected a path: fill or remove it")
        image = self._image(name, number)
        key = image.relative_to(self.inside.root).as_posix()
        self._expect_new(key, number)
        boxes = [*self.boxes.pop(name, []), *self.boxes.pop(key, [])]
        if self.inside.leads_out(image):
            self.unreadable.append(Unreadable(image=key, why=LEADS_OUT))
            return None
        meta = {column: cells[i].strip() for column, i in self.extra if cells[i].strip()}
        meta |= {column: given[column] for column in _META if given.get(column)}
        eye = self._eye(given.get("eye", ""), meta)
        return Row(
            name=self._name(given.get("augury_row", ""), key, number), image=image,
            label=given.get("label") or None, patient=given.get("patient") or None,
            masks=self._masks(given, key, number), boxes=tuple(boxes), eye=eye, modality=given.get("modality") or None,
            text=given.get("text") or None, split=self._split(given.get("split", ""), number), meta=meta,
            origin=given.get("origin") or "real", source=given.get("source") or None,
        )  # fmt: skip

    def notes(self) -> list[str]:
        """What was recognised; UserError where a box is of no listed image."""
        if self.boxes:
            raise UserError(
                f"{str(place_beside(self.path))!r} has boxes of {next(iter(self.boxes))!r}, which {self.path.name!r} "
                "does not list: correct the name or remove them"
            )
        eyes = sorted(self.strange_eyes)[:5]
        said = [f"eyes other than left and right were kept as they are: {', '.join(map(repr, eyes))}"] if eyes else []
        return [*said, *self.inside.notes()]

    def _expect_new(self, key: str, number: int) -> None:
        if key in self.seen:
            raise UserError(
                f"{str(self.path)!r} lists the image {named(key)} twice (lines {self.seen[key]} and {number}): "
                "remove one"
            )
        self.seen[key] = number

    def _name(self, given: str, key: str, number: int) -> str:
        name = given or key
        if name in self.names:
            raise UserError(f"{str(self.path)!r} line {number}: a second row is named {name!r}: give it another name")
        self.names.add(name)
        return name

    def _inside(self, name: str, number: int) -> Path:
        return self.inside.place(name, where=f"{str(self.path)!r} line {number}")

    def _image(self, name: str, number: int) -> Path:
        """The file as written, or with the ending that the table left out ("15_left" for 15_left.jpg)."""
        place = self._inside(name, number)
        if place.suffix.lower() in SUFFIXES or exists(place):
            return place
        trimmed = self._inside(name.strip(), number)
        endings = [trimmed, *(trimmed.with_name(trimmed.name + suffix) for suffix in SUFFIXES)]
        return next((path for path in endings if exists(path)), place)

    def _masks(self, given: Mapping[str, str], key: str, number: int) -> dict[str, Path]:
        masks: dict[str, Path] = {}
        for column, value in given.items():
            if not value or not (column == "mask" or column.startswith("mask_")):
                continue
            mask = self._inside(value, number)
            why = LEADS_OUT if self.inside.leads_out(mask) else None if exists(mask) else "there is no such file"
            if why is None:
                masks[column.removeprefix("mask_")] = mask
            else:
                why = f"{why}; the image {key!r} goes on without this mask"
                self.unreadable.append(Unreadable(image=value, why=why))
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


def plain(column: str) -> str:
    """A column name as it is compared: without case, spaces, underscores and hyphens."""
    return "".join(c for c in column.casefold() if c not in " _-")


def _few(name: str) -> str:
    return ", ".join(ALIASES[name][1:4])

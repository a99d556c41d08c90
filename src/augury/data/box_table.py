"""Boxes as a table beside the images' table: image, x, y, width, height, label, score; one line a box.

In original pixels, (x, y) the upper left corner: the same columns as in what `augury predict` writes.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from augury.data.sample import Box
from augury.errors import UserError

COLUMNS = ("image", "x", "y", "width", "height", "label", "score")
_NEEDED = COLUMNS[:5]


def place_beside(table: Path) -> Path:
    """Where the boxes of a table lie.

    >>> place_beside(Path("a/manifest.csv")).as_posix(), place_beside(Path("train.csv")).as_posix()
    ('a/boxes.csv', 'train.boxes.csv')
    """
    return table.with_name("boxes.csv" if table.name == "manifest.csv" else f"{table.stem}.boxes.csv")


def box_of(x: float, y: float, width: float, height: float, *, where: str) -> tuple[float, float, float, float]:
    """The four numbers, if they make a box; UserError where one is not finite or a side is not positive."""
    numbers = (x, y, width, height)
    if not all(map(math.isfinite, numbers)) or width <= 0 or height <= 0:
        shown = ", ".join(f"{number:g}" for number in numbers)
        raise UserError(f"{where}: got the box {shown}; expected x, y, width, height with positive sides: correct it")
    return numbers


def read_boxes(path: Path, text: str) -> dict[str, list[Box]]:
    """The boxes of each image, by the image's path as written; UserError with the line where the table is wrong."""
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        names = reader.fieldnames or []
        if not set(_NEEDED) <= set(names):
            raise UserError(
                f"{str(path)!r} has the columns {', '.join(names[:9])}; expected {', '.join(COLUMNS)}: rename them, or "
                "the file if it holds no boxes"
            )
        found: dict[str, list[Box]] = {}
        for line in reader:
            where = f"{str(path)!r} line {reader.line_num}"
            found.setdefault(line["image"] or "", []).append(_box(line, where=where))
    except csv.Error as error:
        raise UserError(f"{str(path)!r} is no readable CSV ({error}); expected one box a line: repair it") from error
    return found


def write_boxes(boxes: Iterable[tuple[str, Box]], path: Path) -> None:
    """Write (image, box) pairs as such a table, numbers exactly."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for image, box in boxes:
            numbers = [repr(float(number)) for number in (box.x, box.y, box.width, box.height)]
            score = "" if box.score is None else repr(float(box.score))
            writer.writerow([image, *numbers, box.label or "", score])


def _box(line: Mapping[str, str | None], *, where: str) -> Box:
    try:
        numbers = [float(line[name] or "") for name in _NEEDED[1:]]
        score = float(line["score"] or "") if line.get("score") else None
    except ValueError as error:
        raise UserError(f"{where}: {error}; expected numbers for x, y, width and height: correct it") from error
    x, y, width, height = box_of(*numbers, where=where)
    if score is not None and not math.isfinite(score):
        raise UserError(f"{where}: the score is {score}; expected a number: correct it")
    return Box(x=x, y=y, width=width, height=height, label=(line.get("label") or "").strip() or None, score=score)

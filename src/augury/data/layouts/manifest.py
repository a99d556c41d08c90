"""A folder with a manifest.csv: the layout that keeps everything.

manifest.csv: image (a path below the folder) and what is known, INTERFACE.md; masks in mask and mask_<name>.
boxes.csv: image, x, y, width, height, label, score; one line a box, in original pixels.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from augury.data.box_table import write_boxes
from augury.data.layouts import writing
from augury.data.layouts.columns import KEEPS, cells_of, header_of
from augury.data.listing import Listing, Row
from augury.data.table import list_table

__all__ = ["KEEPS", "list_manifest", "recognises", "write"]


def recognises(path: Path) -> bool:
    """A folder with a manifest.csv."""
    return (path / "manifest.csv").is_file()


def list_manifest(path: Path) -> Listing:
    """The rows of the folder's manifest.csv."""
    return list_table(path / "manifest.csv")


def write(rows: Sequence[Row], folder: Path) -> list[str]:
    """images/, masks/, manifest.csv and, where there are boxes, boxes.csv."""
    header = header_of(rows, image="image")
    places = [Path("images", f"{i:06d}.png") for i in range(len(rows))]
    writing.put_images(rows, folder, places)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header, restval="", lineterminator="\r\n")
        writer.writeheader()
        for row, place in zip(rows, places, strict=True):
            masks = writing.put_masks(row, place.stem, folder)
            writer.writerow(cells_of(row, image=("image", place.as_posix()), masks=masks))
    boxes = [(place.as_posix(), box) for row, place in zip(rows, places, strict=True) for box in row.boxes]
    if boxes:
        write_boxes(boxes, folder / "boxes.csv")
    return []

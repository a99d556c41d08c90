"""What all exporters share: pixels and masks as PNG under neutral names, and what a row says as text.

A file's name, its EXIF and its comments may name a person. So no source file is copied: every image is decoded and
written anew as a PNG of the same pixels, 8 or 16 bits, grey or colour, and is named by its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augury.data import png, readers
from augury.data.in_order import map_in_order
from augury.data.listing import Row
from augury.data.masks import mask_values
from augury.data.sample import Manifest, Sample
from augury.errors import UserError

SPLIT_NAMES = ("train", "val", "test")


def rows_of(manifest: Manifest, *, keep_rows: bool) -> tuple[Row, ...]:
    """The samples as rows of text. A patient that the importer made up is None again; a name not kept is empty."""
    return tuple(_row(sample, manifest, keep_rows=keep_rows) for sample in manifest)


def expect_texts(rows: Sequence[Row]) -> None:
    """UserError for text that no layout brings back as it was: empty, with blanks at its ends, or not Unicode."""
    for row in rows:
        fields = [("label", row.label), ("patient", row.patient), ("modality", row.modality), ("text", row.text)]
        fields += [("origin", row.origin), ("source", row.source), ("the row's name", row.name or None)]
        fields += [("the label of a box", box.label) for box in row.boxes]
        fields += [("the name of a mask", name) for name in row.masks]
        fields += [(f"the column {name!r}", part) for name, value in row.meta.items() for part in (name, value)]
        for what, value in fields:
            if value is not None and not _is_plain(value):
                raise UserError(f"got {value!r} for {what}; expected text without blanks at its ends: correct it")


def put_images(rows: Sequence[Row], folder: Path, places: Sequence[Path]) -> list[tuple[int, ...]]:
    """Write the image of each row at its place below `folder`; returns the shapes, (H, W) or (H, W, 3)."""
    for parent in {place.parent for place in places}:
        (folder / parent).mkdir(parents=True, exist_ok=True)
    jobs = list(zip(rows, places, strict=True))
    return list(map_in_order(lambda job: _put(job[0], folder / job[1]), jobs))


def pixels_of(row: Row) -> NDArray[Any]:
    """The decoded image; UserError with the row's file where it cannot be read any more."""
    with _named(row.image):
        return readers.decode(row.image, row.member)


def put_mask(row: Row, name: str, path: Path) -> None:
    """Write one mask as it is: its values are not changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    png.write(mask_of(row, name), path)


def put_masks(row: Row, stem: str, folder: Path) -> dict[str, str]:
    """Write the masks of a row into masks/ below the folder; returns their paths relative to it, by their names."""
    places = {name: Path("masks", f"{stem}_{i}.png") for i, name in enumerate(row.masks)}
    for name, place in places.items():
        put_mask(row, name, folder / place)
    return {name: place.as_posix() for name, place in places.items()}


def mask_of(row: Row, name: str) -> NDArray[Any]:
    """(H, W) uint8 or uint16: the numbers of a mask file; a file of many images is cut with the image's own member."""
    path = row.masks[name]
    with _named(path):
        value_HW = mask_values(path, row.member)
    kinds = [kind for kind in (np.uint8, np.uint16) if np.array_equal(value_HW, value_HW.astype(kind))]
    if not kinds:
        raise UserError(f"the mask {str(path)!r} has values that are not 0 to 65535; expected labels: correct it")
    return value_HW.astype(kinds[0])


def whole_split(rows: Sequence[Row]) -> bool:
    """Whether the rows have a split; UserError where only a part of them has one."""
    without = sum(row.split is None for row in rows)
    if 0 < without < len(rows):
        raise UserError(
            f"{without} of {len(rows)} images have no split, the others have; this layout holds a split for all or "
            "for none: complete it, or choose the layout manifest"
        )
    return without == 0


def _row(sample: Sample, manifest: Manifest, *, keep_rows: bool) -> Row:
    return Row(
        name=sample.row if keep_rows else "", image=sample.image, member=sample.member,
        label=None if sample.label is None else manifest.classes[sample.label],
        patient=_known_patient(sample, manifest), masks=sample.masks, boxes=sample.boxes, eye=sample.eye,
        modality=sample.modality, text=sample.text, split=sample.split, meta=sample.meta, origin=sample.origin,
        source=sample.source,
    )  # fmt: skip


def _known_patient(sample: Sample, manifest: Manifest) -> str | None:
    if sample.origin != "real":
        return None if sample.patient == f"synthetic:{sample.row}" else sample.patient
    return None if not manifest.patients_known and sample.patient == sample.row else sample.patient


def _put(row: Row, path: Path) -> tuple[int, ...]:
    pixels = pixels_of(row)
    png.write(pixels, path)
    return pixels.shape


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """A reason why a file cannot be read becomes an error that names the file."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{str(path)!r} {error}; it was readable when the set was loaded: restore it") from error


def _is_plain(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return bool(value) and value == value.strip() and "\0" not in value

"""Rows of files that hold many images, or none but those inside: one row for every frame, page and slice.

Whatever the layout, images of one file never part: where no patient is named, the file stands for one.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from PIL import TiffImagePlugin

from augury.data import readers
from augury.data.bounded import Bounded
from augury.data.in_order import map_in_order
from augury.data.listing import Listing, Row
from augury.data.slices import SliceRule
from augury.errors import UserError

# Endings of files that are looked into; others hold one image each, and a million of them must cost nothing.
SUFFIXES = (".tif", ".tiff", ".dcm", ".dicom", ".ima", ".nii", ".gz", "")
_MOST_PAGES = 10_000  # of one file: more would be found one after another


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What a row became, and what there is to say of it."""

    rows: tuple[Row, ...]
    note: str = ""


def expand(listing: Listing, rule: SliceRule | None = None) -> Listing:
    """The listing with one row for each image inside its files; `rule` for volumes, None: the middle eight slices.

    A file that cannot be looked into keeps its row, so that the reader says why. UserError where no row is left.
    """
    chosen = rule or SliceRule()
    places = [i for i, row in enumerate(listing.rows) if row.member is None and _looked_into(row.image)]
    if not places:
        return listing
    work = functools.partial(_inside, rule=chosen)
    found = dict(zip(places, map_in_order(work, [listing.rows[i] for i in places]), strict=True))
    rows = tuple(new for i, row in enumerate(listing.rows) for new in (found[i].rows if i in found else (row,)))
    if not rows:
        raise UserError(f"no slice of {listing.name!r} is chosen by the rule '{chosen}': choose another (--slices)")
    return replace(listing, rows=rows, notes=(*listing.notes, *_notes(list(found.values()), chosen)))


def _looked_into(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES or path.suffix[1:].isdigit()  # "1.2.840.17" ends in a number


def _notes(found: Sequence[_Found], rule: SliceRule) -> list[str]:
    counts = Counter(one.note for one in found if one.note)
    notes = [f"{count} files: each {note}" for note, count in sorted(counts.items())]
    if any(row.member is not None and row.member.startswith(readers.SLICE) for one in found for row in one.rows):
        notes.append(f"slices of volumes: {rule} (choose others with --slices)")
    return notes


def _inside(row: Row, *, rule: SliceRule) -> _Found:
    try:
        with Bounded(row.image) as file:
            kind = readers.kind_of(file.read(352))
        if kind == "tiff":
            return _pages(row)
        if kind == "dicom":
            return _frames(row)
        if kind in ("nifti", "gzip"):
            return _slices(row, rule=rule)
    except (OSError, ValueError, UserError):
        return _Found(rows=(row,))
    return _Found(rows=(row,))


def _pages(row: Row) -> _Found:
    with Bounded(row.image) as file, TiffImagePlugin.TiffImageFile(file) as image:
        count = image.n_frames
    if count <= 1 or count > _MOST_PAGES:
        return _Found(rows=(row,))
    return _Found(rows=_members(row, [f"{readers.PAGE}/{i}" for i in range(count)]), note="gave one image a page")


def _frames(row: Row) -> _Found:
    """Of a DICOM named in a table: what the table does not say is taken from its header, identifiers hashed."""
    from augury.data.dicom.facts import read_facts
    from augury.data.salt import salt

    facts = read_facts(row.image, PurePath(row.name), key=salt())
    filled = replace(
        row, patient=row.patient or facts.patient, eye=row.eye or facts.eye, modality=row.modality or facts.modality,
        meta=facts.meta | dict(row.meta), origin=facts.origin if row.origin == "real" else row.origin,
        label=row.label or facts.label, split=row.split or facts.split, text=row.text or facts.text,
    )  # fmt: skip
    if facts.frames <= 1:
        return _Found(rows=(filled,), note="was completed from its DICOM header" if filled != row else "")
    return _Found(rows=frame_rows(filled, facts.frames), note="gave one image a frame")


def frame_rows(row: Row, frames: int) -> tuple[Row, ...]:
    """One row for each frame of a DICOM; the row itself with its member where there is but one."""
    if frames <= 1:
        return (replace(row, member=f"{readers.FRAME}/0"),)
    return _members(row, [f"{readers.FRAME}/{i}" for i in range(frames)])


def _slices(row: Row, *, rule: SliceRule) -> _Found:
    from augury.data import nifti, nifti_header

    header = nifti_header.read(row.image)
    if header.volumes > 1 and rule.volume is None:
        why = f"has {header.volumes} volumes, of which none was chosen (--slices middle:8,volume:0)"
        return _Found(rows=(replace(row, member=f"{readers.SLICE}/{rule.axis}/0"),), note=why)
    masked: list[int] = []
    if rule.pick == "mask":
        whole = [nifti.extent(mask, rule.axis) for mask in row.masks.values() if _is_volume(mask)]
        masked = sorted({int(index) for indices in whole for index in indices})
    chosen = rule.indices(header.shape[rule.axis], masked=masked)
    end = "" if header.volumes == 1 else f"/{rule.volume}"
    names = [f"{readers.SLICE}/{rule.axis}/{index}{end}" for index in chosen]
    return _Found(rows=_members(row, names), note="" if names else "gave no slice: its mask is empty or absent")


def _is_volume(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))


def _members(row: Row, members: Sequence[str]) -> tuple[Row, ...]:
    """Names are the file's with the member's; a file without a patient is one, so that no split divides it."""
    patient = row.patient if row.patient is not None or row.origin != "real" else row.name
    return tuple(replace(row, name=f"{row.name}/{name}", member=name, patient=patient) for name in members)

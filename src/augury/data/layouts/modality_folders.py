"""Folders modality/organ/pathology, as RadImageNet lays them out (Mei et al. 2022); images at any depth below.

CT/abd/bladder_pathology/0001.png      US/cbd/dilated/0001.png

An image is labelled by all three, since "normal" is another thing in another organ; its text says the same in full
words, with the abbreviations of `EXPANDED` spelt out.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from augury.data.layouts.class_folders import list_folders
from augury.data.listing import SPLITS, Listing, Row
from augury.errors import UserError

KEEPS = frozenset({"label", "modality", "text", "split", "meta"})
# By folder name without case: what is said of the modality.
MODALITIES: dict[str, str] = {
    "ct": "ct", "mr": "mri", "mri": "mri", "us": "ultrasound", "ultrasound": "ultrasound", "xr": "xray", "xray": "xray",
    "cr": "xray", "dx": "xray", "oct": "oct", "pet": "pet",
}  # fmt: skip
# Abbreviations in names of organs and pathologies, word by word and without case; only those that are certain.
EXPANDED: dict[str, str] = {
    "abd": "abdomen", "af": "ankle foot", "cbd": "common bile duct", "gb": "gallbladder", "ivc": "inferior vena cava",
    "acl": "anterior cruciate ligament", "mcl": "medial collateral ligament", "pcl": "posterior cruciate ligament",
}  # fmt: skip


def recognises(folder: Path) -> bool:
    """Whether all folders (below train, val and test, where such are) are named by modalities, with two levels more."""
    if not folder.is_dir():
        return False
    tops = _folders(folder)
    if tops and all(place.name.casefold() in SPLITS for place in tops):
        tops = [place for top in tops for place in _folders(top)]
    modal = bool(tops) and all(place.name.casefold() in MODALITIES for place in tops)
    return modal and all(any(_folders(organ) for organ in _folders(place)) for place in tops)


def list_modalities(folder: Path) -> Listing:
    """As class folders, with modality, organ, pathology and text of three folders; shallower images are unlabelled."""
    listing = list_folders(folder)
    rows = tuple(_row(row, folder) for row in listing.rows)
    shallow = sum(row.label is None for row in rows)
    if shallow == len(rows):
        raise UserError(
            f"{str(folder)!r} has no image in three folders; expected modality/organ/pathology: name another layout"
        )
    said = [f"{shallow} images lie in fewer than three folders and are unlabelled"] if shallow else []
    organs, labels = {row.meta.get("organ") for row in rows} - {None}, {row.label for row in rows} - {None}
    found = f"read as modality/organ/pathology: {len(organs)} organs, {len(labels)} classes"
    return replace(listing, rows=rows, notes=(found, *said))


def in_words(name: str) -> str:
    """A folder's name in words, abbreviations spelt out.

    >>> in_words("cbd"), in_words("ACL_tear"), in_words("Bladder-pathology")
    ('common bile duct', 'anterior cruciate ligament tear', 'bladder pathology')
    """
    return " ".join(EXPANDED.get(word, word) for word in re.split(r"[\s_-]+", name.casefold()) if word)


def _row(row: Row, folder: Path) -> Row:
    places = row.image.relative_to(folder).parts[:-1]
    below = places[1:] if row.split else places
    if len(below) < 3:
        return replace(row, label=None)
    modality, organ, pathology = MODALITIES.get(below[0].casefold(), in_words(below[0])), *map(in_words, below[1:3])
    return replace(
        row, label=f"{modality} {organ} {pathology}", modality=modality, text=f"{modality}, {organ}, {pathology}",
        meta={**row.meta, "organ": organ, "pathology": pathology},
    )  # fmt: skip


def _folders(place: Path) -> list[Path]:
    return [below for below in place.iterdir() if below.is_dir() and not below.name.startswith(".")]

"""Breast ultrasound as BUSI gives it (Al-Dhabyani et al. 2020): numbered images in class folders, masks beside them.

benign/benign (1).png    benign/benign (1)_mask.png    benign/benign (1)_mask_1.png
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from augury.data.layouts import writing
from augury.data.layouts.class_folders import expect_folder_names, expect_plain_masks, list_folders
from augury.data.listing import Listing, Row

KEEPS = frozenset({"label", "masks"})
NEEDS = ("label",)
_LOOKED_AT = 50  # names of each folder


def recognises(folder: Path) -> bool:
    """Whether the folders below hold "<folder> (<number>)" and nothing else, masks among them."""
    if not folder.is_dir():
        return False
    places = [place for place in folder.iterdir() if place.is_dir() and not place.name.startswith(".")]
    return bool(places) and all(map(_is_numbered, places))


def list_busi(folder: Path) -> Listing:
    """As class folders; the number in the name is no patient."""
    listing = list_folders(folder)
    several = sum(len(row.masks) > 1 for row in listing.rows)
    said = [f"{several} images have several masks: one a lesion"] if several else []
    return replace(listing, notes=(*listing.notes, *said))


def write(rows: Sequence[Row], folder: Path) -> list[str]:
    """Number the images of each class from 1; UserError for classes that cannot be folders and masks of other names."""
    expect_folder_names(rows)
    expect_plain_masks(rows)
    counts: Counter[str] = Counter()
    places = []
    for row in rows:
        label = str(row.label)
        counts[label] += 1
        places.append(Path(label, f"{label} ({counts[label]}).png"))
    writing.put_images(rows, folder, places)
    for row, place in zip(rows, places, strict=True):
        for name in row.masks:
            writing.put_mask(row, name, folder / place.with_name(f"{place.stem}_{name}.png"))
    return []


def _is_numbered(place: Path) -> bool:
    own = re.compile(rf"{re.escape(place.name)} \(\d+\)(_mask(_\d+)?)?\.(png|jpe?g|bmp|tiff?)", re.IGNORECASE)
    names = [path.name for path in islice(place.iterdir(), _LOOKED_AT) if not path.name.startswith(".")]
    return bool(names) and all(map(own.fullmatch, names))

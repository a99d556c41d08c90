"""What an Augury file says of its own synthetic image, as it goes out and as it comes in again.

DICOM has no element for the class of an image. Image Comments (0020,4000) is free text about it, so the record stands
there, as one line of JSON that a person can read in any viewer: {"class": "glioma", "origin": "0a1b..."}. It is
believed only where the header also says that the content is synthetic (0008,001C) and that Augury made it (0018,A001):
the comments of any other file may name someone and stay where they are.
"""

from __future__ import annotations

import json
from typing import Any

from pydicom import Dataset

from augury.data.dicom.known import SYNTHETIC
from augury.data.listing import SPLITS, Row
from augury.errors import UserError

MAKER = "Augury"
SYNTHESIZING = ("109100", "DCM", "Synthesizing Equipment")  # PS3.16, CID 7005: who else had a hand in it
_LONGEST = 10_240  # characters of a long text, PS3.5, 6.2
_KEYS = ("class", "modality", "split", "text", "origin")


def record(row: Row) -> str:
    """The line of JSON; UserError where it is longer than the element may be."""
    facts = dict(zip(_KEYS, (row.label, row.modality, row.split, row.text, row.origin), strict=True))
    given = {name: value for name, value in facts.items() if value is not None}
    odd = any(not value.isprintable() for value in given.values())
    line = json.dumps(given, ensure_ascii=odd)
    if len(line) > _LONGEST:
        raise UserError(
            f"the label and text of an image take {len(line):,} characters; DICOM's Image Comments hold {_LONGEST:,}: "
            "shorten the text, or choose the layout manifest"
        )
    return line


def origin(dataset: Dataset) -> str:
    """ "real", or where the header says that the content is synthetic: what drew it, SYNTHETIC if that is not told."""
    if not _synthetic(dataset):
        return "real"
    return recorded(dataset).get("origin", SYNTHETIC)


def recorded(dataset: Dataset) -> dict[str, str]:
    """The record of an Augury file by the names of `_KEYS`; {} for any other file."""
    if not (_synthetic(dataset) and any(map(_ours, dataset.get("ContributingEquipmentSequence") or ()))):
        return {}
    try:
        facts: Any = json.loads(str(dataset.get("ImageComments", "")))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(facts, dict):
        return {}
    words = {name: facts[name].strip() for name in _KEYS if isinstance(facts.get(name), str)}
    return {name: word for name, word in words.items() if word and _may_be(name, word)}


def _may_be(name: str, word: str) -> bool:
    """A file that was tampered with must not turn real, nor name a split that does not exist."""
    return word in SPLITS.values() if name == "split" else name != "origin" or word != "real"


def _synthetic(dataset: Dataset) -> bool:
    return str(dataset.get("SyntheticData", "") or "").strip().upper() == "YES"


def _ours(item: Dataset) -> bool:
    codes = item.get("PurposeOfReferenceCodeSequence") or ()
    made = any(
        (str(one.get("CodeValue", "")), str(one.get("CodingSchemeDesignator", ""))) == SYNTHESIZING[:2] for one in codes
    )
    return made and str(item.get("Manufacturer", "")) == MAKER

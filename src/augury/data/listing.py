"""Which images a set lists, before any of them is opened: rows that hold text as the source wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from augury.data.sample import Box, Unreadable

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
SPLITS = {
    "train": "train", "training": "train", "tr": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One listed image. `name` is unique in the listing; None stands for what the source does not say."""

    name: str
    image: Path
    member: str | None = None
    label: str | None = None
    patient: str | None = None
    masks: Mapping[str, Path] = field(default_factory=dict)
    boxes: tuple[Box, ...] = ()
    eye: str | None = None
    modality: str | None = None
    text: str | None = None
    split: str | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    origin: str = "real"
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All rows of a set, what could not even be listed, and what was recognised."""

    name: str
    rows: tuple[Row, ...]
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()

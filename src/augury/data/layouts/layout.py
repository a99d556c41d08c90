"""One way in which a data set lies on disk: how it is recognised, listed and written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from augury.data.listing import Listing
from augury.data.sample import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """`recognises` looks at names and at the first bytes of a few files, never at pixels.

    `write` makes a new folder from a manifest, complete or absent, such that listing it again gives the same set: rows,
    pixels, labels, patients, masks, boxes, as far as `keeps` says. None: the layout is only read.
    """

    says: str  # one line for the user: what such a set looks like
    recognises: Callable[[Path], bool]
    listing: Callable[[Path], Listing]
    write: Callable[[Manifest, Path], Path] | None = None
    keeps: frozenset[str] = frozenset()  # of Sample's fields, what survives going out and coming in

"""One way in which a data set lies on disk: how it is recognised, listed and written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from augury.data.listing import Listing, Row

# What an export or an audit puts beside the files of a set: a layout that looks at all files passes these over.
BESIDE = frozenset({"card.md", "croissant.json", "audit"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """`recognises` looks at names and at the first bytes of a few files, never at pixels.

    `write` fills an empty folder with rows, such that listing it again gives the same set: pixels, and of every row
    the fields in `keeps`. It refuses (UserError) what it cannot say, and returns what it did otherwise than asked, to
    be printed. None: the layout is only read.
    """

    says: str  # one line for the user: what such a set looks like
    recognises: Callable[[Path], bool]
    listing: Callable[[Path], Listing]
    write: Callable[[Sequence[Row], Path], list[str]] | None = None
    keeps: frozenset[str] = frozenset()  # of Row's fields, what survives going out and coming in
    needs: tuple[str, ...] = ()  # of Row's fields, what every row must have to be written

"""Every listed image decoded once: its fingerprint, or why it cannot be read. Remembered until a file changes.

The scan of a list of files is a folder named by the digest of their paths, sizes and times of change, so that the
second look at a set decodes nothing.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from augury.data import fingerprints, limits, prints_folder, readers
from augury.data.cache import atomic_folder, cache_folder
from augury.data.fingerprints import Fingerprint, Fingerprints, fingerprint
from augury.data.in_order import Progress, map_in_order
from augury.data.listing import Row
from augury.data.sample import Unreadable
from augury.errors import UserError

REVISION = 2  # raised when the stored form changes


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What the rows' files hold. `readable` are positions in the rows, aligned with `prints`."""

    readable: tuple[int, ...]
    prints: Fingerprints
    unreadable: tuple[Unreadable, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    print: Fingerprint | None
    why: str
    notes: tuple[str, ...]


def scan(rows: Sequence[Row], *, progress: Progress | None = None) -> Scan:
    """The scan of these rows, from the cache where nothing changed; UserError where the cache cannot be written."""
    folder = cache_folder() / "scans" / _digest(rows)
    stood = folder.exists()
    known = _load(folder)
    if known is not None:
        return known
    if stood:  # and could not be read: it was damaged from outside
        shutil.rmtree(folder, ignore_errors=True)
    with atomic_folder(folder) as place:
        _decode_all(rows, place, progress=progress)
    made = _load(folder)
    if made is None:
        raise UserError(f"{folder} was changed while it was in use; expected nobody to clear the cache: run again")
    return made


def _decode_all(rows: Sequence[Row], folder: Path, *, progress: Progress | None) -> None:
    """Fills the folder image by image: neither pixels nor thumbnails pile up."""
    readable: list[int] = []
    unreadable: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    with prints_folder.Writer(folder, most=len(rows)) as kept:
        for place, seen in enumerate(map_in_order(_look, rows, progress=progress)):
            counts.update(seen.notes)
            if seen.print is None:
                unreadable.append((rows[place].name, seen.why))
            else:
                kept.add(seen.print)
                readable.append(place)
    notes = [f"{count} of {len(rows)} images: each {note}" for note, count in sorted(counts.items())]
    (folder / "scan.json").write_text(json.dumps({"readable": readable, "unreadable": unreadable, "notes": notes}))


def _look(row: Row) -> _Seen:
    try:
        picture = readers.read(row.image, row.member)
    except UserError as error:
        return _Seen(print=None, why=str(error), notes=())
    return _Seen(print=fingerprint(picture.pixels, file_size=picture.file_size), why="", notes=picture.notes)


def _digest(rows: Sequence[Row]) -> str:
    """Of everything the scan depends on. All members of one archive share its size and time."""
    state = functools.lru_cache(maxsize=8)(_state)
    revisions = [REVISION, readers.REVISION, fingerprints.REVISION]
    every = hashlib.sha256(json.dumps([revisions, limits.max_pixels()]).encode())
    for row in rows:  # one at a time: as a single text, a million of them would be the largest thing in memory
        every.update(json.dumps([row.name, row.member, *state(row.image)]).encode())
    return every.hexdigest()[:16]


def _state(path: Path) -> tuple[str, int, int]:
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return str(path), -1, -1
    return str(path), facts.st_size, facts.st_mtime_ns


def _load(folder: Path) -> Scan | None:
    """None where there is no scan, or one that was damaged from outside: it is made again."""
    try:
        facts = json.loads((folder / "scan.json").read_text())
        prints = prints_folder.load(folder)
    except (OSError, ValueError, KeyError, UserError, zipfile.BadZipFile):
        return None
    return Scan(
        readable=tuple(facts["readable"]),
        prints=prints,
        unreadable=tuple(Unreadable(image=image, why=why) for image, why in facts["unreadable"]),
        notes=tuple(facts["notes"]),
    )

"""What an export's croissant.json says of images whose layout has no place for it: that they are synthetic.

Class folders, nnU-Net, MedMNIST and others cannot say what drew an image, and a synthetic set must not pass for a real
one because of its format. An image counts as drawn only while its file has the SHA-256 that the metadata give it: one
that was put in its place, or beside it, is as real as any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from augury.data.croissant import FILE, sha256_of
from augury.data.in_order import map_in_order
from augury.data.layouts import json_text as js
from augury.data.listing import Listing, Row
from augury.errors import UserError


def with_origins(listing: Listing, folder: Path) -> Listing:
    """The listing with the origins that a croissant.json in the folder gives to rows without one."""
    try:
        said = _said(folder / FILE)
    except UserError as error:
        return replace(listing, notes=(*listing.notes, f"{error}; it was passed over, and all images count as real"))
    places = [i for i, row in enumerate(listing.rows) if row.origin == "real" and _key(row, folder) in said]
    if not places:
        return listing
    rows = list(listing.rows)
    paths = sorted({rows[i].image for i in places})
    digest_of = dict(zip(paths, map_in_order(sha256_of, paths), strict=True))
    changed = 0
    for i in places:
        origin, digest = said[_key(rows[i], folder)]
        if digest_of[rows[i].image] == digest:
            rows[i] = replace(rows[i], origin=origin)
        else:
            changed += 1
    return replace(listing, rows=tuple(rows), notes=(*listing.notes, *_notes(len(places) - changed, changed)))


def _notes(drawn: int, changed: int) -> Iterator[str]:
    if drawn:
        yield f"{drawn} images are synthetic, as {FILE} says of these very files: they count as drawn, not as real"
    if changed:
        yield f"{changed} files are not those that {FILE} calls synthetic: they count as real"


def _key(row: Row, folder: Path) -> tuple[str, str]:
    """The file below the folder, links followed, and which of its images."""
    place = row.image if row.image.parent == folder else row.image.resolve()
    root = folder if place is row.image else folder.resolve()
    member = row.member if row.member is not None and row.image.suffix == ".npz" else ""
    return (place.relative_to(root).as_posix() if place.is_relative_to(root) else "", member)


def _said(file: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """(file, member) -> (origin, SHA-256) of every image with both; {} for another's file, UserError for no JSON."""
    if not file.is_file():
        return {}
    facts: Any = js.read_json(file)
    whole = facts if isinstance(facts, dict) else {}
    digests = {one.get("contentUrl"): one.get("sha256") for one in _objects(whole.get("distribution"))}
    lines = [line for one in _objects(whole.get("recordSet")) for line in _objects(one.get("data"))]
    found = {}
    for line in lines:
        path, member, origin = (line.get(f"records/{name}", "") for name in ("path", "member", "origin"))
        digest = line.get("records/sha256") or digests.get(path)
        words = (path, member, origin, digest)
        if all(isinstance(word, str) for word in words) and origin.strip() not in ("", "real"):
            found[path, member] = (origin.strip(), str(digest))
    return found


def _objects(value: Any) -> Sequence[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []

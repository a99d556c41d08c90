"""Croissant metadata of a set on disk (MLCommons, Croissant Format Specification 1.0, 2024), as croissant.json.

Two record sets. `records` stands in the file itself, one line an image: where it lies, its class, split, origin and
the SHA-256 of its file; so every format is described alike, whether it has a table or not. `images` joins the image
files to it, where the files of a set are its images and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from augury.data.in_order import map_in_order
from augury.data.listing import Listing, Row

FILE = "croissant.json"
VERSIONS = ("http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0")
MEDIA = {
    ".png": "image/png", ".dcm": "application/dicom", ".csv": "text/csv", ".json": "application/json",
    ".jsonl": "application/jsonlines", ".npz": "application/zip", ".md": "text/markdown", ".txt": "text/plain",
}  # fmt: skip
_SHOWN = frozenset({".png"})  # what readers of Croissant can open as an image
# The terms of the specification's own context (its appendix): a reader may warn of any other.
_TERMS = (
    "citeAs column conformsTo=dct:conformsTo data=json dataType=vocab equivalentProperty examples=json extract field "
    "fileProperty fileObject fileSet format includes isLiveDataset jsonPath key md5 parentField path recordSet "
    "references regex repeated replace samplingRate separator source subField transform"
)
_FIELDS = {
    "path": "The file, relative to this one.",
    "member": "Which image of the file.",
    "label": "The class that was asked for; empty where none was.",
    "split": "train, val or test.",
    "mask": "The file of the mask.",
    "origin": "The digest of the generator that drew the image.",
    "sha256": "The SHA-256 of the file.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the metadata say of the set as a whole. `licence` is an address or words; `published` a date, 2026-11-22."""

    name: str
    description: str
    licence: str
    published: str
    cite_as: str
    made_how: str
    uses: tuple[str, ...]
    limits: tuple[str, ...]
    personal: str  # what is known of traces of persons
    version: str = "1.0.0"
    keywords: tuple[str, ...] = ("synthetic data", "medical images")


def describe(listing: Listing, folder: Path, about: About) -> str:
    """The text of croissant.json for a set that lies in `folder` and was listed there."""
    folder, rows = folder.resolve(), [_unlinked(row) for row in listing.rows]
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FILE)
    images = {row.image for row in rows}
    masks = {path for row in rows for path in row.masks.values()}
    others = [path for path in files if path.suffix not in _SHOWN | {".dcm"} or path not in images | masks]
    sha_of = dict(zip(files, map_in_order(sha256_of, files), strict=True))
    sets = list(_file_sets(images, masks, folder))
    whole = bool(sets) and _are_images_alone(images, files, sets[0]["includes"])
    facts = {
        "@context": _context(),
        "@type": "sc:Dataset",
        **_of_the_whole(about),
        "distribution": [*(_file_object(path, folder, sha_of[path]) for path in others), *sets],
        "recordSet": [_records(rows, folder, sha_of), *([_images(rows)] if whole else [])],
    }
    return json.dumps(facts, ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def _unlinked(row: Row) -> Row:
    """The row with the files themselves in place of links to them, as mmc-amd's collections have."""
    return replace(row, image=row.image.resolve(), masks={name: path.resolve() for name, path in row.masks.items()})


def _context() -> dict[str, Any]:
    context: dict[str, Any] = {
        "@language": "en", "@vocab": "https://schema.org/", "cr": "http://mlcommons.org/croissant/",
        "dct": "http://purl.org/dc/terms/", "rai": "http://mlcommons.org/croissant/RAI/", "sc": "https://schema.org/",
    }  # fmt: skip
    for word in _TERMS.split():
        name, _, rule = word.partition("=")
        typed = {"@id": f"cr:{name}", "@type": f"@{rule}"}
        context[name] = typed if rule in ("json", "vocab") else rule or f"cr:{name}"
    return context


def _of_the_whole(about: About) -> dict[str, Any]:
    return {
        "conformsTo": list(VERSIONS), "name": _plain_name(about.name), "description": about.description,
        "license": about.licence, "version": about.version, "datePublished": about.published,
        "citeAs": about.cite_as, "keywords": list(about.keywords), "rai:dataCollection": about.made_how,
        "rai:dataUseCases": list(about.uses), "rai:dataLimitations": list(about.limits),
        "rai:personalSensitiveInformation": about.personal,
    }  # fmt: skip


def _file_object(path: Path, folder: Path, sha256: str) -> dict[str, Any]:
    place = path.relative_to(folder).as_posix()
    return {
        "@type": "cr:FileObject", "@id": place, "name": place, "contentUrl": place,
        "encodingFormat": MEDIA.get(path.suffix.lower(), "application/octet-stream"), "sha256": sha256,
        "contentSize": f"{path.stat().st_size} B",
    }  # fmt: skip


def _file_sets(images: set[Path], masks: set[Path], folder: Path) -> Iterator[dict[str, Any]]:
    """The image files and the mask files as patterns, one for each folder; nothing for an archive of images."""
    for name, paths, what in (("files", images, "The images."), ("masks", masks, "The masks.")):
        patterns = sorted({_pattern(path, folder) for path in paths if path.suffix in _SHOWN | {".dcm"}})
        if patterns:
            suffix = Path(patterns[0]).suffix
            yield {
                "@type": "cr:FileSet", "@id": name, "name": name, "description": what,
                "encodingFormat": MEDIA[suffix], "includes": patterns,
            }  # fmt: skip


def _pattern(path: Path, folder: Path) -> str:
    place = path.relative_to(folder).parent
    return (place / f"*{path.suffix}").as_posix()


def _are_images_alone(images: set[Path], files: Sequence[Path], patterns: Sequence[str]) -> bool:
    """Whether the patterns meet the images and no mask beside them, and a reader can open what they meet."""
    folders = {path.parent for path in images}
    met = {path for path in files if path.parent in folders and path.suffix in _SHOWN}
    plain = not any(re.search(r"[\[\]?{}]|\*.*\*", pattern) for pattern in patterns)
    return plain and met == images


def _records(rows: Sequence[Row], folder: Path, sha_of: Mapping[Path, str]) -> dict[str, Any]:
    lines = [_record(row, folder, sha_of) for row in rows]
    used = [name for name in _FIELDS if any(line[name] for line in lines)]
    key = [{"@id": f"records/{name}"} for name in ("path", "member") if name in used]
    return {
        "@type": "cr:RecordSet", "@id": "records", "name": "records", "description": "One line an image.",
        "key": key if len(key) > 1 else key[0], "field": [_field("records", name) for name in used],
        "data": [{f"records/{name}": line[name] for name in used} for line in lines],
    }  # fmt: skip


def _record(row: Row, folder: Path, sha_of: Mapping[Path, str]) -> dict[str, str]:
    mask = row.masks.get("mask") or next(iter(row.masks.values()), None)
    inside = row.member if row.image.suffix == ".npz" else None
    return {
        "path": row.image.relative_to(folder).as_posix(), "member": inside or "", "label": row.label or "",
        "split": row.split or "", "mask": mask.relative_to(folder).as_posix() if mask else "",
        "origin": "" if row.origin == "real" else row.origin, "sha256": "" if inside else sha_of[row.image],
    }  # fmt: skip


def _images(rows: Sequence[Row]) -> dict[str, Any]:
    """The files with what `records` says of them. The pattern makes of a path the text that the join compares."""
    path = {"source": _source("fullpath") | {"transform": {"regex": "(.+)"}}}
    label = {"source": {"field": {"@id": "records/label"}}}
    joined = {"references": {"field": {"@id": "records/path"}}}
    return {
        "@type": "cr:RecordSet", "@id": "images", "name": "images", "description": "The images with their classes.",
        "key": {"@id": "images/path"},
        "field": [
            _field("images", "path") | path | joined,
            _field("images", "content") | {"dataType": "sc:ImageObject", "source": _source("content")},
            *([_field("images", "label") | label] if any(row.label for row in rows) else []),
        ],
    }  # fmt: skip


def _source(what: str) -> dict[str, Any]:
    return {"fileSet": {"@id": "files"}, "extract": {"fileProperty": what}}


def _field(of: str, name: str) -> dict[str, Any]:
    says = _FIELDS.get(name, "The image.")
    return {"@type": "cr:Field", "@id": f"{of}/{name}", "name": name, "description": says, "dataType": "sc:Text"}


def _plain_name(name: str) -> str:
    """A name that may stand in an address.

    >>> _plain_name("Größe: my set")
    'Gr-e-my-set'
    """
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "synthetic-set"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""What a finished study left in its folder, read without trust: any optional key may be missing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augury.errors import UserError

SCHEMA = 1
SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The four files that the page is made of."""

    folder: Path
    results: Mapping[str, Any]
    plan: Mapping[str, Any]
    environment: Mapping[str, Any]
    gallery: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image inside the page: a data address, its size in pixels (0 where unknown) and what it shows."""

    address: str
    width: int
    height: int
    alt: str


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON object. Raises UserError where the file is no JSON object."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise UserError(f"{path} cannot be read ({problem}); expected JSON; run the study again") from problem
    if not isinstance(found, dict):
        raise UserError(f"{path} holds a {type(found).__name__}; expected a JSON object; run the study again")
    return found


def read(folder: Path) -> Finished:
    """Read a study's folder. Raises UserError where it holds no results, or results of another schema."""
    if not (folder / "results.json").is_file():
        raise UserError(
            f"{folder} holds no results.json; expected a finished study; run `augury study` to the end first"
        )
    results = read_json(folder / "results.json")
    if results.get("schema", SCHEMA) != SCHEMA:
        raise UserError(
            f"{folder / 'results.json'} has schema {results['schema']}; expected {SCHEMA}; use the Augury that wrote it"
        )
    parts = {"plan": "plan.json", "environment": "environment.json", "gallery": "gallery/gallery.json"}
    rest = {key: read_json(folder / name) if (folder / name).is_file() else {} for key, name in parts.items()}
    return Finished(folder=folder, results=results, **rest)


def picture(folder: Path, name: Any, *, alt: str) -> Picture | None:
    """A PNG or JPEG of the gallery as a data address; None where it is absent, elsewhere, or something else."""
    path = (folder / str(name)).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None
    data = path.read_bytes()
    kind = next((kind for mark, kind in SIGNATURES.items() if data.startswith(mark)), None)
    if kind is None:
        return None
    width, height = (int.from_bytes(data[i : i + 4], "big") if kind == "image/png" else 0 for i in (16, 20))
    return Picture(address=f"data:{kind};base64,{base64.b64encode(data).decode()}", width=width, height=height, alt=alt)


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The mappings in a list, and nothing where there is no list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def table(value: Any) -> Mapping[str, Any]:
    """A mapping, empty where there is none."""
    return value if isinstance(value, dict) else {}


def sentences(value: Any) -> list[str]:
    """A list of sentences, each with its full stop."""
    found: Iterable[Any] = value if isinstance(value, list) else []
    return [text if text.endswith((".", "!", "?")) else text + "." for text in map(str, found) if text.strip()]

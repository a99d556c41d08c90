"""What the audit found of a set, as `augury audit` wrote it: audit.json, believed only for the set it speaks of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augury.data.sample import Manifest
from augury.errors import Refused, UserError
from augury.studies.audit.verdict import VERDICTS

FILE = Path("audit", "audit.json")  # below the set's folder
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Audit:
    """An audit of one set. `facts` is the whole of audit.json."""

    verdict: str
    sentence: str
    facts: Mapping[str, Any]

    def part(self, name: str) -> Mapping[str, Any]:
        """A part that is an object, {} where it is absent or null."""
        value = self.facts.get(name)
        return value if isinstance(value, dict) else {}

    @property
    def flagged(self) -> int:
        """How many images were shown to be near a training image."""
        return len(self.facts.get("flagged") or ())


def place_of(data: str | Path) -> Path:
    """Where `augury audit SET` leaves its findings if nothing else is said."""
    path = Path(data).expanduser()
    return (path if path.is_dir() else path.parent) / FILE


def audit_of(manifest: Manifest, data: str | Path, *, file: Path | None = None) -> Audit:
    """The audit of this set, in `file` (None: beside the set). Refused where there is none, or it is of another set."""
    place = file or place_of(data)
    command = f"augury audit {data} --train DATA"
    if not place.is_file():
        raise Refused(
            f"{manifest.name!r} was not audited (no {str(place)!r}); expected an audit of it, as copies of patients "
            f"may be among its images: run `{command}`"
        )
    audit = read(place)
    digest = audit.part("set").get("digest")
    if digest != manifest.digest:
        raise Refused(
            f"the audit {str(place)!r} is of another set ({digest}); expected one of these images and classes "
            f"({manifest.digest}): run `{command}` again"
        )
    return audit


def audited_already(manifest: Manifest, data: str | Path) -> Audit | None:
    """The audit beside the set where there is one of this very set."""
    place = place_of(data)
    if not place.is_file():
        return None
    audit = read(place)
    return audit if audit.part("set").get("digest") == manifest.digest else None


def read(file: Path) -> Audit:
    """The audit that a file holds; UserError where it is none that this version knows."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"the audit {str(file)!r} cannot be read ({type(error).__name__}); expected the audit.json that `augury "
            "audit` writes: run it again"
        ) from error
    known = isinstance(facts, dict) and facts.get("schema") == SCHEMA and facts.get("verdict") in VERDICTS
    if not known:
        raise UserError(
            f"{str(file)!r} is no audit of schema {SCHEMA} with one of the verdicts {', '.join(VERDICTS)}: run `augury "
            "audit` again"
        )
    return Audit(verdict=facts["verdict"], sentence=str(facts.get("sentence", "")), facts=facts)

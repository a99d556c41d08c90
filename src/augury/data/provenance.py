"""Artefacts: whatever was fitted is a folder that says what made it and what it saw. It is complete or absent.

An artefact's digest is a function of what made it: method and revision, resolved configuration, the samples it was
fitted on, the preparation, its parents with their roles, the seed and the number format.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from augury.data.cache import atomic_folder
from augury.data.sample import Manifest, Sample, digest_of
from augury.errors import Refused, UserError

FILE = "artefact.json"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that determines an artefact."""

    kind: str  # "generator", "fit", "draw", ...
    facts: Mapping[str, Any]  # method, revision, configuration, seed, preparation: JSON values
    fitted_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # role -> digests of (id, label, group)
    parents: Mapping[str, str] = field(default_factory=dict)  # role -> digest of the parent

    @property
    def digest(self) -> str:
        """Sixteen hex digits that name the artefact."""
        return digest_of({"kind": self.kind, "facts": self.facts, "fitted_on": self.fitted_on, "parents": self.parents})


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A complete artefact on disk."""

    folder: Path
    kind: str
    digest: str
    facts: Mapping[str, Any]
    parents: Mapping[str, str]
    ids: frozenset[str]  # of every sample that it or a parent was fitted on, or chosen by
    groups: frozenset[str]


@contextmanager
def writing(
    folder: Path, recipe: Recipe, *, saw: Iterable[Sample] = (), parents: Iterable[Artefact] = ()
) -> Iterator[Path]:
    """Fill a temporary folder; on success it becomes `folder` with its artefact.json, on failure nothing is left."""
    above = tuple(parents)
    ids = {sample.id for sample in saw}.union(*(parent.ids for parent in above))
    groups = {sample.group for sample in saw}.union(*(parent.groups for parent in above))
    record = {
        "kind": recipe.kind, "digest": recipe.digest, "facts": recipe.facts, "parents": dict(recipe.parents),
        "ids": sorted(ids), "groups": sorted(groups), "versions": versions(),
    }  # fmt: skip
    with atomic_folder(folder) as temporary:
        yield temporary
        (temporary / FILE).write_text(json.dumps(record, indent=1, sort_keys=True))


def read(folder: Path) -> Artefact:
    """The artefact in a folder. Raises UserError where there is none."""
    try:
        record = json.loads((folder / FILE).read_text())
        return Artefact(
            folder=folder, kind=record["kind"], digest=record["digest"], facts=record["facts"],
            parents=record["parents"], ids=frozenset(record["ids"]), groups=frozenset(record["groups"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder} holds no readable {FILE} ({type(error).__name__}); expected a folder that augury wrote; "
            "name one made by `augury fit` or `augury study`"
        ) from error


def complete(folder: Path) -> bool:
    """Whether an artefact stands there: folders appear by one rename, so presence is completeness."""
    return (folder / FILE).is_file()


def refuse_if_seen(artefact: Artefact, manifest: Manifest) -> None:
    """Raise Refused if any sample, or a twin or sibling of one, took part in the making of the artefact or a parent."""
    seen = [s for s in manifest if s.id in artefact.ids or s.group in artefact.groups]
    if seen:
        raise Refused(
            f"{len(seen)} of {len(manifest)} images to be scored (first: {seen[0].row}) were seen by {artefact.kind} "
            f"{artefact.digest} or share a patient or a near-duplicate with one that was; "
            "score images of other patients"
        )


def samples_digest(samples: Iterable[Sample]) -> tuple[str, ...]:
    """One digest over (id, label, group) of samples, order included, as a Recipe's `fitted_on` wants it."""
    return (digest_of([[s.id, s.label, s.group] for s in samples]),)


def versions() -> dict[str, str]:
    """The versions that matter to a result."""
    return {"python": platform.python_version(), **{name: version(name) for name in ("augury", "torch", "numpy")}}

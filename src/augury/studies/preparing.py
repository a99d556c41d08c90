"""From what a user said to how images are prepared; from a record back to the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augury.data.preparation.choice import Choice, choose
from augury.data.preparation.preparation import Preparation
from augury.data.sample import Manifest
from augury.studies.settings import configured, nested

SECTIONS = ("preparation", "augmentation")


def chosen(manifest: Manifest, *, named: str | None, asked: Mapping[str, Any]) -> Choice:
    """The choice for a set, each of the user's values of the right kind; UserError otherwise."""
    found = choose(manifest, named=named, asked=asked)
    plain = configured(Preparation, {"size": (64, 64), **found.preparation}, at="preparation.")
    return Choice(
        modality=found.modality, because=found.because, notes=found.notes,
        preparation={name: getattr(plain, name) for name in found.preparation},
    )  # fmt: skip


def section(name: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides "name.FIELD" by their fields."""
    return nested({n.removeprefix(f"{name}."): v for n, v in overrides.items() if n.startswith(f"{name}.")})


def preparation_of(facts: Mapping[str, Any]) -> Preparation:
    """The preparation that a record states; what it does not name is as usual."""
    return configured(Preparation, facts, at="preparation.")

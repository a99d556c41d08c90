"""A study small enough to be run in a few seconds: nothing about its numbers is worth reading, everything else is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from augury.studies.runner import run_study
from augury.studies.study import Study

TINY = {"steps": 8, "cvae.steps": 6, "candidates": ["light", "standard"], "seeds": 2, "classifier.validations": 2}


def _tiny(out: Path, **changes: object) -> Study:
    study = Study(
        data="phantom:brain?n=240&size=32&seed=5",
        out=out,
        preset="quick",
        generators=("cvae",),
        arms=("real", "mixed:cvae:0.5", "sequential:cvae:0.5", "generated:cvae", "labels:0.5"),
        size=(32, 32),
        workers=1,
        overrides=TINY,
    )
    return dataclasses.replace(study, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Study]:
    """Makes the tiny study, with some fields changed."""
    return _tiny


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """The folder of a finished tiny study."""
    out = tmp_path_factory.mktemp("finished") / "study"
    run_study(_tiny(out))
    return out

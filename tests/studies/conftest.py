"""A study small enough to be run in a few seconds: nothing about its numbers is worth reading, everything else is."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from augury.studies.runner import run_study
from augury.studies.study import Study

TINY = {"steps": 8, "cvae.steps": 6, "candidates": ["light", "standard"], "seeds": 2, "classifier.validations": 2}
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars")  # fmt: skip


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


@pytest.fixture
def browser(tmp_path: Path) -> Callable[..., None]:
    """Opens a page in Debian's chromium with these flags; the test is skipped where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")

    def open_page(path: Path, *flags: str) -> None:
        command = [chromium, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, path.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    return open_page

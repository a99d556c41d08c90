"""Small sets to do harm to, and a way to run the command line."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from augury.app.cli import main
from augury.app.progress import Progress

SIDE = 40


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        """The JSON object on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    def expect_one_line(self, *words: str) -> None:
        """Status 2 and, as the last thing said, exactly one line `augury: ...` that holds all the words."""
        assert self.status == 2, self.err
        assert self.out == ""
        said = [line for line in self.err.splitlines() if line.startswith("augury: ")]
        assert said == self.err.splitlines()[-1:], self.err
        assert "Traceback" not in self.err
        missing = [word for word in words if word not in said[0]]
        assert not missing, f"{missing} not in {said[0]}"


Augury = Callable[..., Outcome]


@pytest.fixture
def augury(capsys: pytest.CaptureFixture[str]) -> Augury:
    """Run one command in this process."""

    def run(*argv: object) -> Outcome:
        capsys.readouterr()
        status = main([str(arg) for arg in argv])
        out, err = capsys.readouterr()
        return Outcome(status=status, out=out, err=err)

    return run


def picture(name: str, *, side: int = SIDE, shade: int = 60) -> NDArray[np.uint8]:
    """An image_HW of smooth blobs and grain that is a function of the name alone, unlike any other."""
    rng = np.random.default_rng(zlib.crc32(name.encode(errors="surrogateescape")))
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8))
    blobs = coarse.resize((side, side), Image.Resampling.BICUBIC)
    mixed = 0.5 * np.asarray(blobs, dtype=np.float64) + shade + rng.normal(0, 20, (side, side))
    return np.clip(mixed, 0, 255).astype(np.uint8)


def write_classes(folder: Path, counts: Mapping[str, int]) -> Path:
    """A folder with one sub-folder per class; later classes are brighter, so that there is something to learn."""
    for place, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = picture(f"{name}/{i}", shade=30 + 70 * (place % 2))
            Image.fromarray(pixels).save(folder / name / f"{i:03d}.png")
    return folder


def write_manifest(folder: Path, rows: Sequence[Mapping[str, str]], *, images: bool = True) -> Path:
    """A folder with manifest.csv of these rows, and the image files that they name."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for row in rows if images else ():
        path = folder / row["image"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(row["image"], shade=30 + 70 * (row.get("label") == "b"))).save(path, format="PNG")
    return folder


def patients(count: int, *, labels: str = "ab") -> list[dict[str, str]]:
    """Rows of a manifest: one image a patient, labels in turn."""
    return [{"image": f"{i}.png", "label": labels[i % len(labels)], "patient": f"p{i}"} for i in range(count)]


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Twelve images of two classes in class folders."""
    return write_classes(tmp_path / "set", {"a": 6, "b": 6})


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def interrupt_at(stage: str, moment: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real Ctrl-C in the midst of the work: when a stage has come so far."""
    original = Progress.__call__

    def call(self: Progress, name: str, done: int, total: int) -> None:
        if name == stage and done == moment:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)  # the signal arrives between two instructions of the main thread
        original(self, name, done, total)

    monkeypatch.setattr(Progress, "__call__", call)


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a classifier and a generator of a few steps, fitted once by the command line."""
    place = tmp_path_factory.mktemp("fitted")
    data = write_classes(place / "set", {"a": 15, "b": 15})
    common = ["--steps", "4", "--batch", "8", "--size", "32", "--quiet"]
    for method in ("classifier", "cvae"):
        assert main(["fit", method, str(data), "--out", str(place / method), *common]) == 0
    return place


@pytest.fixture
def classifier(fitted: Path) -> Path:
    """A fitted classifier: read it, never change it."""
    return fitted / "classifier"


@pytest.fixture
def generator(fitted: Path) -> Path:
    """A fitted generator: read it, never change it."""
    return fitted / "cvae"

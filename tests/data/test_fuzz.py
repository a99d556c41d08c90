"""A slice of experiments/fuzz.py in this process: spoiled files end in a one-line refusal or in pixels."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
FILES = 60  # of each kind
KINDS = ("png", "jpeg", "tiff", "bmp", "npz", "npz listed", "dicom", "nifti", "nifti gz", "csv", "metadata csv",
         "datalist json", "nnunet json", "coco json")  # fmt: skip


@pytest.fixture(scope="module")
def reads() -> ModuleType:
    sys.path.insert(0, str(EXPERIMENTS))
    try:
        return importlib.import_module("fuzzing.reads")
    finally:
        sys.path.remove(str(EXPERIMENTS))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KINDS)
def test_spoiled_files_are_refused_or_read(reads: ModuleType, name: str, tmp_path: Path) -> None:
    kind = next(one for one in reads.KINDS if one.name == name)
    for other in ("a.png", "b.png"):
        (tmp_path / other).write_bytes(reads.pngs()[0])
    seeds = kind.seeds()
    for index in range(FILES):
        data, member = reads.spoiled_file(kind, seeds, seed=1, index=index)
        result, said = reads.outcome(kind, tmp_path, data, member)
        assert result in ("read", "refused"), f"file {index}: {said}"


@pytest.mark.slow
def test_hostile_files_are_refused_or_read() -> None:
    command = [sys.executable, EXPERIMENTS / "fuzz.py", "--kinds", "bombs"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stdout + done.stderr

"""Decompression bombs of every kind that is read: refused in one line, or read within time and memory.

They are read in a process of their own, which may take 2 GiB and 10 seconds of a processor for each.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LARGE = 5  # of the first ones, which hold as many pixels as are allowed: they take seconds


def read_bombs(folder: Path, first: int, last: int) -> list[str]:
    """A line for each: index, outcome, seconds, memory in MB and what was said."""
    places = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "experiments"), str(ROOT / "src")])}
    command = [sys.executable, "-m", "fuzzing.reads", "bombs", "0", str(first), str(last), str(folder / "set")]
    done = subprocess.run(command, capture_output=True, text=True, env=places, timeout=300)
    assert done.returncode == 0, f"after {done.stdout}: {done.stderr[-500:]}"
    return done.stdout.splitlines()


def check_all(lines: list[str], *, count: int) -> None:
    assert len(lines) == count
    for line in lines:
        _, result, seconds, megabytes, _ = line.split(" ", 4)
        assert result in ("read", "refused"), line
        assert float(seconds) < 10, line
        assert int(megabytes) < 2048, line


def test_bombs_are_refused_or_read(tmp_path: Path) -> None:
    lines = read_bombs(tmp_path, LARGE, 31)
    check_all(lines, count=31 - LARGE)
    assert sum(" refused " in line for line in lines) >= 18


@pytest.mark.slow
def test_images_as_large_as_allowed_are_read(tmp_path: Path) -> None:
    check_all(read_bombs(tmp_path, 0, LARGE), count=LARGE)

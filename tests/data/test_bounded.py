"""A damaged length must not make a reader allocate what the file does not hold."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from augury.data.bounded import BUFFER, Bounded


@pytest.mark.parametrize("asked", [-1, None, 7, BUFFER + 1, 1 << 30])
def test_it_reads_what_a_plain_file_reads(asked: int | None, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 2048)
    with Bounded(path) as ours, path.open("rb") as plain:
        for place in (0, 300, BUFFER, 600_000):
            ours.seek(place)
            plain.seek(place)
            assert ours.read(asked) == plain.read(asked)


def test_a_huge_read_of_a_small_file_allocates_little(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 300)
    with Bounded(path) as file:
        tracemalloc.start()
        assert file.read(1 << 30) == b"x" * 300
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1 << 20

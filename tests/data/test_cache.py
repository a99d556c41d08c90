"""A file or a folder is complete or absent, whatever happens to the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from augury.data.cache import atomic_folder, blame_full_disk, cache_folder, make_folder, write_atomically
from augury.errors import UserError


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("may not mount a small disk here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def contents(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "x.txt", "one – first")
    write_atomically(tmp_path / "a" / "x.txt", b"two")
    assert (tmp_path / "a" / "x.txt").read_bytes() == b"two"
    assert contents(tmp_path / "a") == {"x.txt"}


def test_a_folder_appears_only_when_its_block_ends_well(tmp_path: Path) -> None:
    def fail() -> None:
        with atomic_folder(tmp_path / "out") as place:
            (place / "half.txt").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert contents(tmp_path) == set()
    with atomic_folder(tmp_path / "out") as place:
        (place / "sub").mkdir()
        (place / "sub" / "whole.txt").write_text("whole")
        assert not (tmp_path / "out").exists()
    assert contents(tmp_path) == {"out", "sub", "whole.txt"}


def test_a_keyboard_interrupt_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "out"):
        raise KeyboardInterrupt
    assert contents(tmp_path) == set()


def test_the_folder_of_a_faster_process_is_kept(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out") as place:
        (place / "mine.txt").write_text("mine")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "theirs.txt").write_text("theirs")
    assert contents(tmp_path) == {"out", "theirs.txt"}


def test_what_a_killed_process_left_is_removed_in_time(tmp_path: Path) -> None:
    old, recent = tmp_path / ".0123456789ab.tmp", tmp_path / ".ba9876543210.tmp"
    old.mkdir(), recent.mkdir()
    os.utime(old, (0, 0))
    with atomic_folder(tmp_path / "out"):
        pass
    assert contents(tmp_path) == {recent.name, "out"}


def test_a_full_disk_is_named_and_nothing_is_left(disk: Path) -> None:
    write_atomically(disk / "old.txt", "old")
    with pytest.raises(UserError, match="disk is full") as caught:
        write_atomically(disk / "old.txt", bytes(2_000_000))
    assert str(disk) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (disk / "old.txt").read_text() == "old"
    assert contents(disk) == {"old.txt"}


LARGE = np.zeros(2_000_000, dtype=np.uint8)
WRITERS: dict[str, Callable[[Path], object]] = {
    "bytes": lambda path: path.write_bytes(LARGE.tobytes()),
    "numpy": lambda path: np.save(path, LARGE),
    "safetensors": lambda path: save_file({"x": LARGE}, path),
    "torch": lambda path: torch.save({"x": torch.from_numpy(LARGE)}, path),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_noticed_inside_a_folder(disk: Path, writer: str) -> None:
    with pytest.raises(UserError, match="disk is full"), atomic_folder(disk / "out") as place:
        WRITERS[writer](place / "x")
    assert contents(disk) == set()


def test_a_read_only_disk_is_named(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for attempt in (lambda: write_atomically(disk / "x", "x"), lambda: make_folder(disk / "x")):
        with pytest.raises(UserError, match="read-only"):
            attempt()
    with pytest.raises(UserError, match="read-only"), atomic_folder(disk / "x"):
        pass


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    for attempt in (lambda: make_folder(tmp_path / "out"), lambda: write_atomically(tmp_path / "out" / "x", "x")):
        with pytest.raises(UserError, match="file"):
            attempt()
    with pytest.raises(UserError, match="file"), atomic_folder(tmp_path / "out" / "x"):
        pass
    with pytest.raises(UserError, match="folder stands"):
        write_atomically(tmp_path, "x")


def test_a_limit_on_file_size_is_named(tmp_path: Path) -> None:
    """As a full disk, where no disk can be mounted: the limit of the process (RLIMIT_FSIZE)."""
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from augury.data.cache import write_atomically; from augury.errors import UserError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_atomically(Path(sys.argv[1]) / 'x', bytes(5000))\n"
        "except UserError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert "largest size" in done.stdout
    assert contents(tmp_path) == set()


def test_other_errors_are_not_blamed_on_the_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), blame_full_disk(tmp_path):
        (tmp_path / "absent.txt").read_text()


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUGURY_CACHE", str(tmp_path / "c"))
    assert cache_folder() == tmp_path / "c"
    monkeypatch.delenv("AUGURY_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "augury"
    (tmp_path / "c").write_text("a file")
    monkeypatch.setenv("AUGURY_CACHE", str(tmp_path / "c"))
    with pytest.raises(UserError, match="AUGURY_CACHE"):
        make_folder(cache_folder() / "scans")

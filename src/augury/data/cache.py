"""Where things are kept, and how a file or folder comes to be complete or absent.

Whatever is written goes to a sibling with a temporary name, is flushed to the disk and renamed. A disk that is full or
a folder that may not be written ends in a UserError that names the folder, and the temporary sibling is removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from augury.errors import UserError

# What the system says when the place to write to, not the program, is at fault.
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file grew past the largest size allowed here",
    errno.EROFS: "it is on a read-only disk",
    errno.EACCES: "it may not be written",
    errno.EPERM: "it may not be written",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a file stands where the folder should be",
    errno.EISDIR: "a folder stands where the file should be",
    errno.ENAMETOOLONG: "the name is too long",
}
# Inside a body the same numbers may speak of an input; only these can be nothing but the disk that is written to.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
# NumPy (short write), torch and safetensors report a full disk without an error number.
_FULL_TEXTS = (
    "No space left on device",
    "File too large",
    "requested and",
    "PytorchStreamWriter failed writing",
    "inline_container.cc",
)
_ABANDONED = 7 * 24 * 3600.0  # seconds after which a temporary sibling belongs to a process that was killed


def cache_folder() -> Path:
    """`$AUGURY_CACHE`, else `~/.cache/augury`. It need not exist yet: the writers below make it."""
    given = os.environ.get("AUGURY_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "augury"


def make_folder(folder: Path) -> Path:
    """The folder, made with its parents if absent. UserError if it cannot be made."""
    with _blame(folder, any_reason=True):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a whole file or nothing; an older file is replaced. Text is UTF-8. UserError if it cannot be written."""
    data = content.encode() if isinstance(content, str) else content
    make_folder(path.parent)
    beside = _sibling(path)
    with _blame(path.parent, any_reason=True):
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            _sync_folder(path.parent)
        finally:
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A new empty folder to fill, which becomes `path` when the block ends well and vanishes when it does not.

    Where a complete `path` already stands (another process was faster), that one is kept: such folders are named by
    the digest of what made them, so both hold the same.
    """
    make_folder(path.parent)
    _sweep(path.parent)
    beside = _sibling(path)
    try:
        with _blame(path.parent, any_reason=True):
            beside.mkdir()
        with blame_full_disk(path.parent):
            yield beside
        with _blame(path.parent, any_reason=True):
            _sync_tree(beside)
            _become(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def blame_full_disk(folder: Path) -> Iterator[None]:
    """Turn a full or read-only disk, met while writing into `folder`, into a UserError that names it."""
    with _blame(folder, any_reason=False):
        yield


@contextlib.contextmanager
def _blame(folder: Path, *, any_reason: bool) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = _reason(error, any_reason=any_reason)
        if reason is None:
            raise
        ours = folder.is_relative_to(cache_folder())
        remedy = "set AUGURY_CACHE to another folder" if ours else "name another folder"
        raise UserError(f"cannot write to {str(folder)!r}: {reason}; free it or {remedy}") from error


def _reason(error: Exception, *, any_reason: bool) -> str | None:
    number = getattr(error, "errno", None)
    if number in _REASONS and (any_reason or number in _FULL):
        return _REASONS[number]
    if any(text in str(error) for text in _FULL_TEXTS):
        return _REASONS[errno.ENOSPC]
    return None


def _sibling(path: Path) -> Path:
    return path.parent / f".{uuid.uuid4().hex[:12]}.tmp"


def _sweep(folder: Path) -> None:
    """Remove what killed processes left behind long ago."""
    for path in folder.glob(".????????????.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED:
                shutil.rmtree(path)


def _become(beside: Path, path: Path) -> None:
    try:
        beside.rename(path)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) or not path.is_dir():
            raise
    _sync_folder(path.parent)


def _sync_tree(folder: Path) -> None:
    """All files, several at a time, which a disk answers together: 1.7 ms a file where one by one takes 10."""
    places = list(os.walk(folder))
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(_sync, (Path(place) / name for place, _, names in places for name in names)))
    for place, _, _ in places:
        _sync_folder(Path(place))


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        _sync(folder)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)

"""The MedMNIST file format (Yang 2023, arXiv 2110.14795): one .npz with {train,val,test}_{images,labels}.

N images, H height, W width.
"""

from __future__ import annotations

import functools
import math
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from augury.data import limits
from augury.errors import UserError

SPLITS = ("train", "val", "test")
_LONGEST = 65_535  # bytes of an array's header; version 1 cannot have more
_LOCK = threading.Lock()  # else every thread would decompress the same array at its first image


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One image: its member ("train_images/17"), the split it came in, and its label, None where there is none."""

    member: str
    split: str
    label: str | None


def entries(path: Path) -> list[Entry]:
    """All images of the file in the order train, val, test; UserError if it is not of this format."""
    names = _names(path)
    if not any(f"{split}_images" in names for split in SPLITS):
        raise UserError(
            f"{path.name!r} holds the arrays {', '.join(sorted(names)) or 'none'}; expected MedMNIST's "
            "train_images, train_labels and so on: rename the arrays or give a folder of images"
        )
    return [entry for split in SPLITS if f"{split}_images" in names for entry in _of_split(path, split, names)]


def image(path: Path, member: str) -> NDArray[Any]:
    """The pixels of one member, (H, W) or (H, W, 3). The array is decompressed once and kept while it is in use."""
    name, _, index = member.rpartition("/")
    return np.array(_array(path, name)[int(index)])


def _of_split(path: Path, split: str, names: frozenset[str]) -> list[Entry]:
    images_N = _array(path, f"{split}_images")
    _check_images(images_N, path=path, name=f"{split}_images")
    labels = _labels(path, split, count=len(images_N)) if f"{split}_labels" in names else [None] * len(images_N)
    return [Entry(member=f"{split}_images/{i}", split=split, label=label) for i, label in enumerate(labels)]


def _check_images(images: NDArray[Any], *, path: Path, name: str) -> None:
    good = images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)
    if not good or images.dtype not in (np.uint8, np.uint16):
        raise UserError(
            f"{path.name!r}: {name} is {images.dtype} {images.shape}; expected uint8 or uint16 of shape (N, H, W) or "
            "(N, H, W, 3): volumes and floats must be converted first"
        )


def _labels(path: Path, split: str, *, count: int) -> list[str | None]:
    labels = np.asarray(_array(path, f"{split}_labels"))
    column = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if column.shape != (count,):
        raise UserError(
            f"{path.name!r}: {split}_labels has the shape {labels.shape} for {count} images; expected one label an "
            "image: choose one of several targets first"
        )
    if column.dtype.kind == "f" and np.array_equal(column, np.rint(column)):
        column = column.astype(np.int64)
    if column.dtype.kind not in "iubU":
        raise UserError(f"{path.name!r}: {split}_labels is {column.dtype}; expected whole numbers: convert them")
    words = [str(value) or None for value in column.tolist()]
    return words if column.dtype.kind == "U" else _named(path, words)


def _named(path: Path, numbers: list[str | None]) -> list[str | None]:
    """The classes' names where the file has the array `classes`, which Augury's own export adds."""
    if "classes" not in _names(path):
        return numbers
    names = _array(path, "classes")
    fits = names.ndim == 1 and names.dtype.kind == "U"
    if not fits or any(not 0 <= int(number or 0) < len(names) for number in numbers):
        raise UserError(
            f"{path.name!r}: classes is {names.dtype} {names.shape}; expected one name for each label: remove the array"
        )
    return [str(names[int(number or 0)]) for number in numbers]


def _names(path: Path) -> frozenset[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy"))
    except Exception as error:  # BadZipFile, and whatever a damaged directory leads to
        raise UserError(
            f"{path.name!r} is damaged or no .npz file; expected MedMNIST's format: fetch it again"
        ) from error


def _array(path: Path, name: str) -> NDArray[Any]:
    facts = path.stat()
    with _LOCK:
        return _decompressed(str(path), name, (facts.st_mtime_ns, facts.st_size))


@functools.lru_cache(maxsize=3)
def _decompressed(path: str, name: str, state: tuple[int, int]) -> NDArray[Any]:
    del state  # only a part of the key: a file that changed is read again
    try:
        _check_unfolded(Path(path), name)
        with np.load(path, allow_pickle=False) as arrays:
            loaded: NDArray[Any] = arrays[name]
    except UserError:
        raise
    except Exception as error:  # a damaged header is parsed as Python: it may raise anything at all
        raise UserError(
            f"{Path(path).name!r}: the array {name} cannot be read ({_one_line(error)}); expected plain numbers: fetch "
            "it again"
        ) from error
    loaded.flags.writeable = False
    return loaded


def _one_line(error: Exception) -> str:
    """zipfile's messages may quote a damaged member's name of any length."""
    return " ".join(str(error).split())[:120] or type(error).__name__


def _check_unfolded(path: Path, name: str) -> None:
    """By the array's own header: the archive's directory may lie, and NumPy would ask for the memory at once."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        version = npy.read_magic(file)
        if len(head := file.read(4)) < 4 or (version > (1, 0) and int.from_bytes(head, "little") > _LONGEST):
            raise ValueError(f"its header is longer than {_LONGEST} bytes")  # NumPy would read all of it first
        file.seek(npy.MAGIC_LEN)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
        packed = archive.getinfo(f"{name}.npy").compress_size
    limits.check_unfolded(math.prod(shape) * dtype.itemsize, compressed=min(packed, path.stat().st_size))

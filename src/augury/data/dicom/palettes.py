"""Palette colours (PS3.3, C.7.6.3.1.5 and C.7.9.2): stored numbers as rows of a table of red, green and blue."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from augury.data.dicom.windows import is_signed
from augury.data.picture import UnreadableImage

_NAMES = ("Red", "Green", "Blue")
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


def resolve(stored_HW: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Colours (H, W, 3), or (H, W) where every entry is grey; uint8 or uint16 as the palette has."""
    tables = [_table(dataset, name) for name in _NAMES]
    first = int(dataset.RedPaletteColorLookupTableDescriptor[1])
    start = first - 65536 if is_signed(dataset) and first > 32767 else first
    colour_K3 = np.stack(tables, axis=1)
    index_HW = np.clip(stored_HW.astype(np.int64) - start, 0, len(colour_K3) - 1)
    grey = bool((colour_K3 == colour_K3[:, :1]).all())
    found: NDArray[Any] = (colour_K3[:, 0] if grey else colour_K3)[index_HW]
    return found


def _table(dataset: Dataset, name: str) -> NDArray[Any]:
    """The levels of one colour, uint8 or uint16."""
    descriptor = dataset.get(f"{name}PaletteColorLookupTableDescriptor")
    if descriptor is None or len(descriptor) != 3:
        raise UnreadableImage("has palette colours and no whole palette: repair its header")
    entries, bits = int(descriptor[0]) % 65536 or 65536, int(descriptor[2])
    order = ">" if dataset.original_encoding[1] is False else "<"
    plain = dataset.get(f"{name}PaletteColorLookupTableData")
    segments = dataset.get(f"Segmented{name}PaletteColorLookupTableData")
    if isinstance(plain, bytes):
        level_K = np.frombuffer(plain, dtype=np.uint8 if len(plain) < 2 * entries else f"{order}u2")
    elif isinstance(segments, bytes):
        level_K = _expand(np.frombuffer(segments, dtype=np.uint8 if bits == 8 else f"{order}u2"), entries=entries)
    else:
        level_K = np.zeros(0)
    if len(level_K) < entries or bits not in (8, 16):
        raise UnreadableImage(f"has a palette of {len(level_K)} entries, {entries} promised: repair its header")
    return level_K[:entries].astype(np.uint8 if bits == 8 else np.uint16)


def _expand(code_K: NDArray[Any], *, entries: int, depth: int = 0) -> NDArray[np.int64]:
    """Segments to levels, never more than `entries`: runs of levels, straight lines, and runs copied from before."""
    level: list[int] = []
    place = 0
    while place + 1 < len(code_K) and len(level) < entries:
        kind, length = int(code_K[place]), int(code_K[place + 1])
        if kind == _DISCRETE:
            level += code_K[place + 2 : place + 2 + length].tolist()
            place += 2 + length
        elif kind == _LINEAR and level and place + 2 < len(code_K):
            level += np.rint(np.linspace(level[-1], int(code_K[place + 2]), length + 1)[1:]).astype(int).tolist()
            place += 3
        elif kind == _INDIRECT and depth == 0 and place + 3 < len(code_K):
            level += _copied(code_K, place, entries=entries)
            place += 4 if code_K.dtype.itemsize == 2 else 6
        else:
            raise UnreadableImage(f"has a segmented palette with a segment of kind {kind} that cannot be read")
    return np.array(level[:entries], dtype=np.int64)


def _copied(code_K: NDArray[Any], place: int, *, entries: int) -> list[int]:
    """The levels of `length` segments that begin at an offset in bytes, of four bytes' size."""
    deep = code_K.dtype.itemsize == 2
    parts = [int(one) for one in code_K[place + 2 : place + (4 if deep else 6)]]
    offset = sum(part << (16 if deep else 8) * i for i, part in enumerate(parts)) // code_K.dtype.itemsize
    end = offset
    for _ in range(int(code_K[place + 1])):
        if end + 1 >= len(code_K):
            raise UnreadableImage("has a segmented palette that points beyond its end")
        end += 3 if int(code_K[end]) == _LINEAR else 2 + int(code_K[end + 1])
    return [int(one) for one in _expand(code_K[offset:end], entries=entries, depth=1)]

"""Pixels to PNG without loss: grey or colour, 8 or 16 bits, and nothing else in the file.

Pillow cannot write colour of 16 bits, and copies what a source file said about itself (names, dates, text); so the few
bytes of the format are written here. W3C, Portable Network Graphics (second edition), sections 5, 9 and 11.
H height, W width, C channels.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _COLOUR = 0, 2  # section 11.2.2, colour type
_UP = 2  # section 9.2: each byte as its difference from the byte above; smooth images then compress well


def write(pixels: NDArray[Any], path: Path) -> None:
    """Write (H, W) or (H, W, 3), uint8 or uint16, as a PNG. ValueError for other pixels."""
    path.write_bytes(encode(pixels))


def encode(pixels: NDArray[Any]) -> bytes:
    """The bytes of the PNG.

    >>> encode(np.zeros((2, 3), np.uint8))[:4]
    b'\\x89PNG'
    """
    if pixels.dtype not in (np.uint8, np.uint16) or not (pixels.ndim == 2 or pixels.shape[2:] == (3,)):
        raise ValueError(f"pixels of {pixels.dtype} {pixels.shape}; expected uint8 or uint16, (H, W) or (H, W, 3)")
    height, width = pixels.shape[:2]
    kind = _GREY if pixels.ndim == 2 else _COLOUR
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.dtype.itemsize, kind, 0, 0, 0)
    data = zlib.compress(_filtered(pixels), 4)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _filtered(pixels: NDArray[Any]) -> bytes:
    """Every line with its filter's number before it; 16 bits with the high byte first."""
    height = len(pixels)
    big = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder(">"))
    bytes_HB = big.view(np.uint8).reshape(height, -1)
    lines = np.empty((height, 1 + bytes_HB.shape[1]), dtype=np.uint8)
    lines[:, 0] = _UP
    lines[0, 1:] = bytes_HB[0]  # the line above the first counts as zeros
    np.subtract(bytes_HB[1:], bytes_HB[:-1], out=lines[1:, 1:])
    return lines.tobytes()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

"""What is kept of every decoded image once its pixels are gone: enough for identity, near duplicates and shortcuts.

N images, H height, W width. A fingerprint is about 8 kB; `fingerprint` takes about 1 ms for an image of 256 x 256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

REVISION = 1  # raised whenever a stored fingerprint would come out otherwise
SIDE = 64  # of the thumbnail
FLAT = 4.0 / 255.0  # a row or column whose range is below this share of full scale belongs to the margin
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fingerprint:
    """One image. `thumb` is the grey image stretched to 64 x 64, antialiased, 65535 being full scale."""

    id: str
    thumb: NDArray[np.uint16]
    height: int
    width: int
    channels: int
    file_size: int
    mean: float  # of the grey image, share of full scale
    spread: float  # its standard deviation, share of full scale
    margin: tuple[float, float, float, float]  # empty rows and columns: top, bottom, left, right, as shares of the side


@dataclass(frozen=True, kw_only=True, eq=False)
class Fingerprints:
    """Fingerprints of N images, in the order of the manifest's samples; the thumbnails may be mapped from a file."""

    id_N: tuple[str, ...]
    thumb_NHW: NDArray[np.uint16]  # N x 64 x 64
    height_N: NDArray[np.int64]
    width_N: NDArray[np.int64]
    channels_N: NDArray[np.int64]
    file_size_N: NDArray[np.int64]  # bytes; 0 where the image has no file of its own
    mean_N: NDArray[np.float64]
    spread_N: NDArray[np.float64]
    margin_N4: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.id_N)

    def small(self, index_n: NDArray[np.int64]) -> NDArray[np.float32]:
        """The grey images at these positions, n x 32 x 32 in [0, 1] (means of 2 x 2 pixels of the thumbnails)."""
        blocks = self.thumb_NHW[index_n].reshape(len(index_n), 32, SIDE // 32, 32, SIDE // 32)
        means: NDArray[np.float32] = blocks.mean(axis=(2, 4), dtype=np.float32) / np.float32(65535.0)
        return means

    @staticmethod
    def of(rows: Sequence[Fingerprint]) -> Fingerprints:
        """Stacks single fingerprints."""
        return Fingerprints(
            id_N=tuple(row.id for row in rows),
            thumb_NHW=np.array([row.thumb for row in rows], dtype=np.uint16).reshape(-1, SIDE, SIDE),
            height_N=np.array([row.height for row in rows], dtype=np.int64),
            width_N=np.array([row.width for row in rows], dtype=np.int64),
            channels_N=np.array([row.channels for row in rows], dtype=np.int64),
            file_size_N=np.array([row.file_size for row in rows], dtype=np.int64),
            mean_N=np.array([row.mean for row in rows], dtype=np.float64),
            spread_N=np.array([row.spread for row in rows], dtype=np.float64),
            margin_N4=np.array([row.margin for row in rows], dtype=np.float64).reshape(-1, 4),
        )

    def subset(self, indices: Iterable[int] | NDArray[np.int64]) -> Fingerprints:
        """The images at these positions, in this order."""
        index_n = np.fromiter((int(i) for i in indices), dtype=np.int64)
        arrays: dict[str, Any] = {name: getattr(self, name)[index_n] for name in _array_names()}
        return Fingerprints(id_N=tuple(self.id_N[i] for i in index_n), **arrays)


def fingerprint(pixels: NDArray[Any], *, file_size: int = 0) -> Fingerprint:
    """The fingerprint of decoded pixels, (H, W) or (H, W, 3), uint8 or uint16; ValueError for anything else."""
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ValueError(f"got pixels of {pixels.dtype} {pixels.shape}; expected uint8 or uint16, (H, W) or (H, W, 3)")
    pixels = one_channel_if_grey(pixels)
    grey_HW = _grey(pixels)
    return Fingerprint(
        id=pixel_digest(pixels),
        thumb=thumbnail(grey_HW),
        height=pixels.shape[0],
        width=pixels.shape[1],
        channels=1 if pixels.ndim == 2 else pixels.shape[2],
        file_size=file_size,
        mean=float(grey_HW.mean(dtype=np.float64)),
        spread=float(grey_HW.std(dtype=np.float64)),
        margin=_margins(grey_HW),
    )


def pixel_digest(pixels: NDArray[Any]) -> str:
    """Identity of an image: 32 hex digits of SHA-256 over type, shape and pixels.

    Three equal channels count as one, so that a grey image has one id however it was stored.
    """
    pixels = np.ascontiguousarray(one_channel_if_grey(pixels))
    state = hashlib.sha256(f"{pixels.dtype.str[1:]} {pixels.shape} ".encode())
    state.update(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).data)
    return state.hexdigest()[:32]


def one_channel_if_grey(pixels: NDArray[Any]) -> NDArray[Any]:
    """(H, W) where the channels are equal, else the same array."""
    if pixels.ndim == 2:
        return pixels
    first = pixels[..., 0]
    if all(np.array_equal(first, pixels[..., channel]) for channel in range(1, pixels.shape[2])):
        return first
    return pixels


def thumbnail(grey_HW: NDArray[np.float32]) -> NDArray[np.uint16]:
    """A grey image in [0, 1] stretched to 64 x 64 with a triangle filter as wide as the reduction (no aliasing)."""
    small = Image.fromarray(grey_HW).resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=None)
    scaled: NDArray[np.uint16] = np.clip(np.rint(np.asarray(small) * 65535.0), 0, 65535).astype(np.uint16)
    return scaled


def _grey(pixels: NDArray[Any]) -> NDArray[np.float32]:
    scale = np.float32(1.0 / np.iinfo(pixels.dtype).max)
    floats = pixels.astype(np.float32) if pixels.ndim == 2 else pixels[..., :3].astype(np.float32) @ LUMA
    floats *= scale
    return floats


def _margins(grey_HW: NDArray[np.float32]) -> tuple[float, float, float, float]:
    row_flat = np.ptp(grey_HW, axis=1) < FLAT
    column_flat = np.ptp(grey_HW, axis=0) < FLAT
    return (_run(row_flat), _run(row_flat[::-1]), _run(column_flat), _run(column_flat[::-1]))


def _run(flat: NDArray[np.bool_]) -> float:
    """Share of leading True values."""
    return 1.0 if flat.all() else float(np.argmin(flat)) / len(flat)


def _array_names() -> tuple[str, ...]:
    return tuple(field.name for field in fields(Fingerprints) if field.name != "id_N")

"""NIfTI (Cox 2004): one slice of a volume as a Picture, the same way up whatever way it was stored.

The frame is RAS+: axis 0 runs to the patient's Right, axis 1 to Anterior, axis 2 to Superior, reached by flips and
swaps of the stored axes alone, never by resampling; how oblique the volume is, is recorded. A slice is laid out as a
radiologist sees it, as the same slice in DICOM would be:

    axis 2 (axial)     rows from anterior to posterior, columns from the patient's right to the left
    axis 1 (coronal)   rows from superior to inferior,  columns from the patient's right to the left
    axis 0 (sagittal)  rows from superior to inferior,  columns from anterior to posterior

Its values are clipped at percentiles of the *whole volume* and spread over 16 bits; `applied` holds the clip and the
"slope" and "intercept" by which a pixel becomes a value again. The percentiles are those of every k-th voxel where
there are more than 8 million. Spacing may differ between rows and columns: it is recorded, never resampled.

Refused: NaN or infinite voxels, a singular affine, complex or coloured voxels, and a fourth dimension of which no
volume was chosen. `rows_columns` names the layout; V is voxels.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.orientations import apply_orientation
from numpy.typing import NDArray

from augury.data import nifti_header
from augury.data.nifti_header import NiftiHeader
from augury.data.picture import Picture, UnreadableImage, number

CLIP = (0.5, 99.5)  # percentiles that become black and white
SAMPLE = 8_000_000  # voxels of which percentiles are taken
AXES = ("sagittal", "coronal", "axial")
_LAYOUT = ("superior-inferior/anterior-posterior", "superior-inferior/right-left", "anterior-posterior/right-left")
_LOCK = threading.Lock()  # else every thread would decompress the same volume at its first slice

CLIPPED = f"was clipped at the percentiles {CLIP[0]} and {CLIP[1]} of its volume and spread over 16 bits"
CONSTANT = "lies in a volume whose percentiles are equal: its least and largest values were taken instead"
UNPLACED = "lies in a volume that does not say how it is oriented: it was taken as stored"
UNEVEN = "has pixels that are not square, and was not resampled"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Grey:
    """A volume in RAS+ as grey levels, with what was done."""

    level_V: NDArray[np.uint16]
    applied: dict[str, str]
    notes: tuple[str, ...]


def read(path: Path, member: str | None = None, *, max_pixels: int | None = None) -> Picture:
    """The slice that a member names ("slice/2/17"), (H, W) uint16. Raises UnreadableImage with the reason."""
    header = nifti_header.read(path, max_pixels=max_pixels)
    axis, index, volume = _place(member, header)
    grey = _grey(path, header, volume)
    rows, columns = _in_plane(header.spacing, axis)
    applied = grey.applied | {
        "axis": AXES[axis], "index": str(index), "rows_columns": _LAYOUT[axis],
        "spacing_mm": f"{number(rows)}/{number(columns)}",
    }  # fmt: skip
    notes = (*grey.notes, UNEVEN) if abs(rows / columns - 1.0) > 0.05 else grey.notes
    share = path.stat().st_size // (header.shape[axis] * header.volumes)
    return Picture(pixels=lay_out(grey.level_V, axis, index=index), file_size=share, applied=applied, notes=notes)


def labels(path: Path, member: str | None = None, *, max_pixels: int | None = None) -> NDArray[Any]:
    """The voxels of a slice as they are, (H, W) whole numbers: what a mask is. UnreadableImage where they are not."""
    header = nifti_header.read(path, max_pixels=max_pixels)
    axis, index, volume = _place(member, header)
    return lay_out(_whole(path, header, volume), axis, index=index)


def extent(path: Path, axis: int, *, volume: int = 0, max_pixels: int | None = None) -> NDArray[np.int64]:
    """The indices along an axis at which a mask volume is anything but 0."""
    whole_V = _whole(path, nifti_header.read(path, max_pixels=max_pixels), volume)
    others = tuple(a for a in range(3) if a != axis)
    return np.flatnonzero(whole_V.any(axis=others))


def lay_out(value_V: NDArray[Any], axis: int, *, index: int) -> NDArray[Any]:
    """One slice of a volume in RAS+ as (H, W), laid out as the module says."""
    across = np.take(value_V, index, axis=axis)  # the remaining axes, ascending
    return np.ascontiguousarray(across[::-1, ::-1].T)


def _in_plane(spacing: tuple[float, float, float], axis: int) -> tuple[float, float]:
    """Between rows, and between columns: the later of the remaining axes runs along the rows' direction."""
    first, second = (spacing[a] for a in range(3) if a != axis)
    return second, first


def _place(member: str | None, header: NiftiHeader) -> tuple[int, int, int]:
    """Axis, index and volume of a member. A volume without slices to choose from (one alone) needs no member."""
    shape, volumes = header.shape, header.volumes
    if member is None and 1 in shape:
        member = f"slice/{max(a for a in range(3) if shape[a] == 1)}/0"
    if member is None:
        raise UnreadableImage(f"holds a volume of {shape} voxels; expected a slice of it, such as 'slice/2/0'")
    parts = member.split("/")
    numbers = [int(part) for part in parts[1:] if part.isascii() and part.isdigit()]
    if parts[0] != "slice" or len(parts) not in (3, 4) or len(numbers) != len(parts) - 1 or numbers[0] > 2:
        raise UnreadableImage(f"has no {member!r}; expected a member such as 'slice/2/0': axis and index")
    axis, index = numbers[:2]
    if volumes > 1 and len(numbers) < 3:
        raise UnreadableImage(
            f"has a fourth dimension of {volumes} volumes; expected one volume: choose it, as in 'volume:0' of the "
            "rule for slices"
        )
    if index >= shape[axis] or (volume := numbers[2] if len(numbers) > 2 else 0) >= volumes:
        raise UnreadableImage(f"has no {member!r}; it holds {volumes} volumes of {shape} voxels")
    return axis, index, volume


def _grey(path: Path, header: NiftiHeader, volume: int) -> _Grey:
    with _LOCK:
        return _cached_grey(str(path), header, volume)


def _whole(path: Path, header: NiftiHeader, volume: int) -> NDArray[Any]:
    with _LOCK:
        return _cached_whole(str(path), header, volume)


@functools.lru_cache(maxsize=2)  # headers compare by identity, and a file that changed has a new one
def _cached_grey(path: str, header: NiftiHeader, volume: int) -> _Grey:
    raw_V = nifti_header.voxels(Path(path), header, volume=volume)
    _check_finite(raw_V)
    (low, high), constant = _clip_of(raw_V)
    level_V = _levels(raw_V, low, high, header=header)
    ends = sorted(end * header.slope + header.intercept for end in (low, high))
    step = (ends[1] - ends[0]) / 65535
    applied = {
        "format": "nifti", "frame": "RAS+", "oblique_degrees": f"{header.oblique:.1f}",
        "volume_clip": f"{number(ends[0])}/{number(ends[1])}",
        "volume_clip_percentiles": "0/100" if constant else f"{number(CLIP[0])}/{number(CLIP[1])}",
        "slope": number(step), "intercept": number(ends[0]),
    } | ({"volume": str(volume)} if header.volumes > 1 else {})  # fmt: skip
    notes = (CONSTANT if constant else CLIPPED, *(() if header.placed else (UNPLACED,)))
    return _Grey(level_V=level_V, applied=applied, notes=notes)


@functools.lru_cache(maxsize=2)
def _cached_whole(path: str, header: NiftiHeader, volume: int) -> NDArray[Any]:
    raw_V = nifti_header.voxels(Path(path), header, volume=volume)
    _check_finite(raw_V)
    plain = header.slope == 1.0 and header.intercept == 0.0
    value_V = raw_V if plain else raw_V.astype(np.float64) * header.slope + header.intercept
    low, high = float(value_V.min()), float(value_V.max())
    if low < 0 or high > 65535 or (value_V.dtype.kind == "f" and not bool((value_V == np.rint(value_V)).all())):
        raise UnreadableImage(
            f"is no mask: its values, from {low:g} to {high:g}, are not whole numbers from 0; expected labels"
        )
    turned: NDArray[Any] = apply_orientation(value_V, header.turn_32)
    return turned.astype(np.uint8 if high <= 255 else np.uint16)


def _check_finite(raw_V: NDArray[Any]) -> None:
    if raw_V.dtype.kind != "f":
        return
    odd = sum(int(np.count_nonzero(~np.isfinite(raw_V[..., k]))) for k in range(raw_V.shape[2]))
    if odd:
        raise UnreadableImage(
            f"lies in a volume with {odd:,} voxels that are NaN or infinite; expected finite numbers: replace them "
            "(numpy.nan_to_num) if they mean the background"
        )


def _clip_of(raw_V: NDArray[Any]) -> tuple[tuple[float, float], bool]:
    """The stored values at which the volume is clipped, and whether these had to be the least and the largest."""
    every = raw_V.T.reshape(-1)  # a view: voxels are stored with the first axis fastest
    low, high = np.percentile(every[:: -(-len(every) // SAMPLE)], CLIP)
    if high > low:
        return (float(low), float(high)), False
    return (float(every.min()), float(every.max())), True


def _levels(raw_V: NDArray[Any], low: float, high: float, *, header: NiftiHeader) -> NDArray[np.uint16]:
    """Slab by slab, since a volume as float64 would take four times its own memory."""
    scale = 65535.0 / (high - low) if high > low else 0.0
    if header.slope < 0:  # then the least value is the largest stored number
        low, scale = high, -scale
    turned: NDArray[Any] = apply_orientation(raw_V, header.turn_32)
    level_V = np.empty(turned.shape, dtype=np.uint16)
    for k in range(turned.shape[2]):
        level_V[..., k] = np.clip(np.rint((turned[..., k].astype(np.float64) - low) * scale), 0, 65535)
    return level_V

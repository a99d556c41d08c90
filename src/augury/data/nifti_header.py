"""What a NIfTI file says of itself, and its voxels: never more bytes of either than its header and the limit allow.

nibabel reads the header's fields; the bytes are read here, because a compressed file may unfold to any size and an
extension may claim any length.
"""

from __future__ import annotations

import functools
import gzip
import math
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from nibabel import Nifti1Header, Nifti2Header
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from numpy.typing import NDArray

from augury.data import limits
from augury.data.picture import UnreadableImage

_LARGEST_OFFSET = 1 << 24  # bytes from the start to the voxels: what claims more is no NIfTI that anyone writes
_LEAST = 1e-6  # volume of a voxel (mm^3) and side of one (mm) below which an affine is singular


@dataclass(frozen=True, kw_only=True, eq=False)
class NiftiHeader:
    """Turned to RAS+: axis 0 runs to the right, 1 to anterior, 2 to superior."""

    shape: tuple[int, int, int]
    volumes: int  # 1 where there is no fourth dimension
    spacing: tuple[float, float, float]  # mm
    affine_44: NDArray[np.float64]  # from voxels in RAS+ to millimetres
    turn_32: NDArray[np.float64]  # nibabel's orientation: what turns the stored axes to RAS+
    oblique: float  # the largest angle between a stored axis and the axis of the frame it was turned to, in degrees
    placed: bool  # whether the file says how it is oriented
    stored: tuple[int, int, int]  # the shape as it is stored
    offset: int  # bytes before the voxels
    dtype: np.dtype[Any]
    slope: float  # value = stored * slope + intercept
    intercept: float

    def same_space(self, other: NiftiHeader) -> bool:
        """Whether two volumes have the same voxels at the same places: no corner further off than half a voxel."""
        if self.shape != other.shape:
            return False
        corner_83 = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (np.array(self.shape) - 1)
        apart_44 = self.affine_44 - other.affine_44
        apart_83 = corner_83 @ apart_44[:3, :3].T + apart_44[:3, 3]
        return float(np.abs(apart_83).max()) < 0.5 * min(self.spacing)


def read(path: Path, *, max_pixels: int | None = None) -> NiftiHeader:
    """The header of a file; UnreadableImage where it is none, is absurd, or asks for more memory than the limit."""
    state = path.stat()
    most = limits.max_unfolded(state.st_size, limit=max_pixels)
    return _read(str(path), state.st_size, state.st_mtime_ns, most)


@functools.lru_cache(maxsize=64)
def _read(path: str, size: int, changed: int, most: int) -> NiftiHeader:
    del changed  # only a part of the key: a file that changed is read again
    with closing(_open(Path(path))) as file:
        fields = _fields(_take(file, 540))
    header = _understood(fields)
    count = math.prod(header.shape) * header.volumes * header.dtype.itemsize
    if count > most:
        limits.check_unfolded(count, compressed=size)
        raise UnreadableImage(f"holds {count:,} bytes of voxels; expected at most {most:,}")
    return header


def voxels(path: Path, header: NiftiHeader, *, volume: int) -> NDArray[Any]:
    """The stored numbers of one volume, as they are stored: first axis fastest."""
    count = math.prod(header.stored)
    length = count * header.dtype.itemsize
    with closing(_open(path)) as file:
        _skip(file, header.offset + volume * length)
        content = _take(file, length)
    if len(content) < length:
        raise UnreadableImage(f"is truncated: {len(content):,} bytes of voxels, its header promises {length:,}")
    flat = np.frombuffer(content, dtype=header.dtype, count=count)
    return flat.reshape(header.stored, order="F")


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")  # type: ignore[return-value]


def _take(file: IO[bytes], length: int) -> bytes:
    try:
        return file.read(length)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableImage("is a gzip file that is damaged or truncated") from error


def _skip(file: IO[bytes], length: int) -> None:
    """Seeking would do, but of a compressed file it reads all the same, and its errors are these."""
    if isinstance(file, gzip.GzipFile):
        while length > 0 and (passed := len(_take(file, min(length, 1 << 20)))):
            length -= passed
    else:
        file.seek(length)


def _fields(start: bytes) -> Any:
    """nibabel's header of the first bytes. Its checks are off: they write to standard error; ours follow."""
    pair = start[344:348] == b"ni1\0" or start[4:8] == b"ni2\0"
    if pair:
        raise UnreadableImage("is half of a pair (.hdr and .img); expected a single .nii or .nii.gz: convert it")
    if start[344:348] == b"n+1\0":
        return Nifti1Header(start[:348], check=False)
    if start[4:8] == b"n+2\0" and len(start) >= 540:
        return Nifti2Header(start[:540], check=False)
    raise UnreadableImage("is a gzip archive of something else than NIfTI; expected a .nii.gz: unpack it")


def _understood(fields: Any) -> NiftiHeader:
    try:
        shape = tuple(int(n) for n in fields.get_data_shape())
        dtype, offset = np.dtype(fields.get_data_dtype()), int(fields.get_data_offset())
        slope, intercept = fields.get_slope_inter()
        affine_44 = np.asarray(fields.get_best_affine(), dtype=np.float64)
    except Exception as error:  # of nibabel's own kinds, and whatever absurd numbers lead to
        raise UnreadableImage(f"has a header that cannot be understood ({type(error).__name__})") from error
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise UnreadableImage(f"has voxels of the type {dtype}; expected whole or real numbers: convert it")
    if not 0 <= offset <= _LARGEST_OFFSET:
        raise UnreadableImage(f"says that its voxels begin at byte {offset:,}; expected a few hundred: it is damaged")
    stored, volumes = _shape(shape)
    turn_32, oblique = _turn(affine_44)
    turned_44 = affine_44 @ inv_ornt_aff(turn_32, stored)
    sides = tuple(float(side) for side in np.linalg.norm(turned_44[:3, :3], axis=0))
    return NiftiHeader(
        shape=_permuted(stored, turn_32), volumes=volumes, spacing=(sides[0], sides[1], sides[2]),
        affine_44=turned_44, turn_32=turn_32, oblique=oblique, stored=stored, offset=offset, dtype=dtype,
        placed=bool(int(fields["sform_code"]) or int(fields["qform_code"])),
        slope=1.0 if slope is None else float(slope), intercept=0.0 if intercept is None else float(intercept),
    )  # fmt: skip


def _shape(shape: tuple[int, ...]) -> tuple[tuple[int, int, int], int]:
    """Three axes and the length of a fourth; axes of length 1 at the end count for nothing."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if not 2 <= len(shape) <= 4 or min(shape) < 1:
        raise UnreadableImage(f"has the shape {shape}; expected two, three or four dimensions")
    whole = (*shape, 1, 1)
    return (shape[0], shape[1], whole[2]), whole[3] if len(shape) == 4 else 1


def _turn(affine_44: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """What turns the stored axes to RAS+, and how oblique they are, in degrees."""
    axes_33 = affine_44[:3, :3]
    sides = np.linalg.norm(axes_33, axis=0)
    if not np.isfinite(affine_44).all() or min(sides) < _LEAST or abs(np.linalg.det(axes_33 / sides)) < _LEAST:
        raise UnreadableImage(
            "has a singular affine: its axes do not span space, so left and right cannot be told; expected a matrix "
            "that can be inverted: repair its sform or qform"
        )
    turn_32 = ornt_transform(io_orientation(affine_44), axcodes2ornt("RAS"))
    nearest = np.abs(axes_33 / sides)[turn_32[:, 0].astype(int), np.arange(3)]
    return turn_32, float(np.degrees(np.arccos(np.clip(nearest.min(), 0.0, 1.0))))


def _permuted(stored: tuple[int, int, int], turn_32: NDArray[np.float64]) -> tuple[int, int, int]:
    order = np.argsort(turn_32[:, 0])
    return stored[order[0]], stored[order[1]], stored[order[2]]

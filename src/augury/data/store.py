"""All pixels of a manifest, decoded and resized once, in one memory-mapped file.

N images, C channels, H height, W width. The store is a folder named by the digest of the samples' ids and the
preparation; it is complete or absent, and opening it again costs a few milliseconds.
"""

from __future__ import annotations

import functools
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image

from augury.data import readers
from augury.data.cache import atomic_folder, cache_folder
from augury.data.fingerprints import one_channel_if_grey, pixel_digest
from augury.data.in_order import Progress, map_in_order
from augury.data.sample import Manifest, Sample, digest_of
from augury.errors import UserError

REVISION = 1  # raised when the pixels of some store would come out otherwise
MARGIN = 4.0 / 255.0  # rows and columns whose range is below this share of full scale are border
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What is done to every image, in this order: crop, clip, resize, channels."""

    size: tuple[int, int]  # height, width
    channels: Literal[1, 3] | None = None  # None: one if every image is grey, or grey in effect
    fit: Literal["stretch", "pad"] = "stretch"  # pad keeps the aspect ratio, with black beside
    clip: tuple[float, float] | None = None  # percentiles of each image that become black and white
    crop_border: bool = False  # cut away empty rows and columns at the margins

    def __post_init__(self) -> None:
        if not all(1 <= side <= 8192 for side in self.size):
            raise UserError(
                f"got a size of {self.size[0]}x{self.size[1]}; expected sides from 1 to 8192: change --size"
            )
        if self.clip is not None and not 0.0 <= self.clip[0] < self.clip[1] <= 100.0:
            raise UserError(f"got clip percentiles {self.clip}; expected 0 <= low < high <= 100: change them")


@dataclass(frozen=True, kw_only=True, eq=False)
class Store:
    """Prepared pixels in the order of the manifest: `pixels_NCHW` is uint8 or uint16, mapped read-only."""

    path: Path  # of the mapped file
    pixels_NCHW: NDArray[Any]
    record: Mapping[str, Any]  # what was applied
    digest: str


@dataclass(frozen=True, slots=True)
class _Form:
    """What all images of a store share. The first guess is the leanest; an image that does not fit widens it."""

    channels: int
    bits: Literal[8, 16]


class _Wider(Exception):
    """A signal, not an error: an image that does not fit the form."""

    def __init__(self, form: _Form) -> None:
        self.form = form


def prepare(
    manifest: Manifest,
    preparation: Preparation,
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Store:
    """The store of these samples, opened if it is there, else made in `folder` (None: in the cache).

    UserError where an image has changed since the manifest was loaded, or where the folder cannot be written.
    """
    digest = digest_of({"ids": [s.id for s in manifest], "preparation": asdict(preparation), "revision": REVISION})
    place = (folder if folder is not None else cache_folder() / "stores") / digest
    stood = place.exists()
    opened = _open(place, digest=digest, count=len(manifest))
    if opened is not None:
        return opened
    if stood:  # and could not be read: it was damaged from outside
        shutil.rmtree(place, ignore_errors=True)
    with atomic_folder(place) as beside:
        _make(manifest, preparation, folder=beside, progress=progress)
    made = _open(place, digest=digest, count=len(manifest))
    if made is None:
        raise UserError(f"the prepared images at {str(place)!r} cannot be read back; expected them whole: try again")
    return made


def _open(folder: Path, *, digest: str, count: int) -> Store | None:
    try:
        record = json.loads((folder / "record.json").read_text())
        pixels_NCHW = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return (
        Store(path=folder / "pixels.npy", pixels_NCHW=pixels_NCHW, record=record, digest=digest)
        if len(pixels_NCHW) == count
        else None
    )


def _make(manifest: Manifest, preparation: Preparation, *, folder: Path, progress: Progress | None) -> None:
    form = _Form(channels=preparation.channels or 1, bits=8)
    while True:  # at most three times: the form only grows
        try:
            _write(manifest, preparation, form=form, path=folder / "pixels.npy", progress=progress)
            break
        except _Wider as wider:
            form = wider.form
    record = {"preparation": asdict(preparation), "images": len(manifest), **asdict(form)}
    (folder / "record.json").write_text(json.dumps(record, indent=1, sort_keys=True))


def _write(manifest: Manifest, preparation: Preparation, *, form: _Form, path: Path, progress: Progress | None) -> None:
    """Writes one image after another. A mapping would end the process (SIGBUS) on a full disk; a write raises."""
    work = functools.partial(_prepare_one, preparation=preparation, form=form)
    with path.open("wb") as file:
        _write_header(file, (len(manifest), form.channels, *preparation.size), bits=form.bits)
        for pixels_CHW in map_in_order(work, manifest.samples, progress=progress):
            file.write(pixels_CHW.tobytes())


def _write_header(file: IO[bytes], shape: tuple[int, ...], *, bits: int) -> None:
    dtype = np.dtype(np.uint8 if bits == 8 else "<u2")
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, header)


def _prepare_one(sample: Sample, *, preparation: Preparation, form: _Form) -> NDArray[Any]:
    pixels = one_channel_if_grey(_decode(sample))
    needed = _Form(
        channels=preparation.channels or max(form.channels, 1 if pixels.ndim == 2 else 3),
        bits=16 if pixels.dtype == np.uint16 else form.bits,
    )
    if needed != form:
        raise _Wider(needed)
    full_scale = float(np.iinfo(pixels.dtype).max)
    if preparation.crop_border:
        pixels = crop_border(pixels)
    if preparation.channels == 1 and pixels.ndim == 3:
        pixels = _to_dtype(pixels.astype(np.float32) @ LUMA, pixels.dtype)
    if preparation.clip is not None:
        pixels = _clip(pixels, preparation.clip)
    pixels = resize(pixels, preparation.size, fit=preparation.fit)
    if form.bits == 16 and full_scale == 255.0:
        pixels = pixels.astype(np.uint16) * 257  # 255 becomes 65535
    stacked = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    return np.ascontiguousarray(np.broadcast_to(stacked, (form.channels, *preparation.size)))


def _decode(sample: Sample) -> NDArray[Any]:
    try:
        pixels = readers.decode(sample.image, sample.member)
    except readers.UnreadableImage as error:
        raise UserError(f"the image {sample.row!r} {error}; it could be read before: bring it back") from error
    if pixel_digest(pixels) != sample.id:
        raise UserError(f"the image {sample.row!r} has changed since it was read; expected the same pixels: run again")
    return pixels


def crop_border(pixels: NDArray[Any]) -> NDArray[Any]:
    """The image without the empty rows and columns at its margins; an image that is empty everywhere stays whole."""
    lively = float(np.iinfo(pixels.dtype).max) * MARGIN
    grey = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    rows = np.flatnonzero(np.ptp(grey, axis=1) >= lively)
    columns = np.flatnonzero(np.ptp(grey, axis=0) >= lively)
    if len(rows) == 0 or len(columns) == 0:
        return pixels
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def resize(pixels: NDArray[Any], size: tuple[int, int], *, fit: Literal["stretch", "pad"]) -> NDArray[Any]:
    """(H, W) or (H, W, 3) at another size, antialiased (Lanczos 3, as wide as the reduction); the type stays."""
    height, width = size
    if fit == "stretch":
        return _lanczos(pixels, height=height, width=width)
    scale = min(height / pixels.shape[0], width / pixels.shape[1])
    inner_height = max(1, min(height, math.floor(pixels.shape[0] * scale + 0.5)))
    inner_width = max(1, min(width, math.floor(pixels.shape[1] * scale + 0.5)))
    inner = _lanczos(pixels, height=inner_height, width=inner_width)
    above, left = (height - inner_height) // 2, (width - inner_width) // 2
    whole = np.zeros((height, width, *pixels.shape[2:]), dtype=pixels.dtype)
    whole[above : above + inner_height, left : left + inner_width] = inner
    return whole


def _lanczos(pixels: NDArray[Any], *, height: int, width: int) -> NDArray[Any]:
    if pixels.shape[:2] == (height, width):
        return pixels
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
    planes = [pixels] if pixels.ndim == 2 else [pixels[..., c] for c in range(pixels.shape[2])]
    resized = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.LANCZOS))
        for plane in planes
    ]
    return _to_dtype(resized[0] if pixels.ndim == 2 else np.stack(resized, axis=-1), pixels.dtype)


def _clip(pixels: NDArray[Any], percentiles: tuple[float, float]) -> NDArray[Any]:
    low, high = np.percentile(pixels, percentiles)
    if high <= low:
        return pixels
    return _to_dtype((pixels.astype(np.float32) - low) / (high - low) * np.iinfo(pixels.dtype).max, pixels.dtype)


def _to_dtype(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    whole: NDArray[Any] = np.clip(np.rint(values), 0, np.iinfo(dtype).max).astype(dtype)
    return whole

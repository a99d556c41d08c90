"""All pixels of a manifest, decoded and resized once, in one memory-mapped file.

N images, C channels, H height, W width. The store is a folder named by the digest of the samples' ids and the
preparation; it is complete or absent, and opening it again costs a few milliseconds. `applied.jsonl` in it says, a line
for each sample, what its reader and its preparation did.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from augury.data import readers
from augury.data.cache import atomic_folder, cache_folder
from augury.data.fingerprints import one_channel_if_grey, pixel_digest
from augury.data.in_order import Progress, map_in_order
from augury.data.preparation.apply import Prepared, apply
from augury.data.preparation.preparation import Preparation
from augury.data.sample import Manifest, Sample, digest_of
from augury.errors import UserError

__all__ = ["REVISION", "Preparation", "Store", "applied", "prepare"]

REVISION = 1  # raised when the pixels of some store would come out otherwise
PIXELS, RECORD, APPLIED = "pixels.npy", "record.json", "applied.jsonl"


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
    digest = digest_of(
        {"samples": [[s.row, s.id] for s in manifest], "preparation": asdict(preparation), "revision": REVISION}
    )
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
        record = json.loads((folder / RECORD).read_text())
        pixels_NCHW = np.load(folder / PIXELS, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return (
        Store(path=folder / PIXELS, pixels_NCHW=pixels_NCHW, record=record, digest=digest)
        if len(pixels_NCHW) == count
        else None
    )


def applied(store: Store) -> Iterator[dict[str, Any]]:
    """What was done to each image, in the order of the manifest: {"row", what its reader did, what preparation did}."""
    with (store.path.parent / APPLIED).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _make(manifest: Manifest, preparation: Preparation, *, folder: Path, progress: Progress | None) -> None:
    form = _Form(channels=preparation.channels or 1, bits=8)
    while True:  # at most three times: the form only grows
        try:
            _write(manifest, preparation, form=form, folder=folder, progress=progress)
            break
        except _Wider as wider:
            form = wider.form
    record = {"preparation": asdict(preparation), "images": len(manifest), **asdict(form)}
    (folder / RECORD).write_text(json.dumps(record, indent=1, sort_keys=True))


def _write(
    manifest: Manifest, preparation: Preparation, *, form: _Form, folder: Path, progress: Progress | None
) -> None:
    """Writes one image after another. A mapping would end the process (SIGBUS) on a full disk; a write raises."""
    work = functools.partial(_prepare_one, preparation=preparation, form=form)
    with (folder / PIXELS).open("wb") as file, (folder / APPLIED).open("w", encoding="utf-8") as said:
        _write_header(file, (len(manifest), form.channels, *preparation.size), bits=form.bits)
        made = map_in_order(work, manifest.samples, progress=progress)
        for sample, one in zip(manifest.samples, made, strict=True):
            file.write(one.pixels.tobytes())
            said.write(json.dumps({"row": sample.row, **one.facts}, ensure_ascii=True) + "\n")


def _write_header(file: IO[bytes], shape: tuple[int, ...], *, bits: int) -> None:
    dtype = np.dtype(np.uint8 if bits == 8 else "<u2")
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, header)


def _prepare_one(sample: Sample, *, preparation: Preparation, form: _Form) -> Prepared:
    """One image as (C, H, W) in the store's form."""
    picture = _decode(sample)
    pixels = one_channel_if_grey(picture.pixels)
    needed = _Form(
        channels=preparation.channels or max(form.channels, 1 if pixels.ndim == 2 else 3),
        bits=16 if pixels.dtype == np.uint16 else form.bits,
    )
    if needed != form:
        raise _Wider(needed)
    try:
        made = apply(pixels, preparation, read=picture.applied)
    except UserError as error:
        raise UserError(f"the image {sample.row!r} {error}") from error
    pixels = made.pixels
    if form.bits == 16 and pixels.dtype == np.uint8:
        pixels = pixels.astype(np.uint16) * 257  # 255 becomes 65535
    stacked = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    whole_CHW = np.ascontiguousarray(np.broadcast_to(stacked, (form.channels, *preparation.size)))
    return Prepared(pixels=whole_CHW, facts={**picture.applied, **made.facts})


def _decode(sample: Sample) -> readers.Picture:
    try:
        picture = readers.read(sample.image, sample.member)
    except readers.UnreadableImage as error:
        raise UserError(f"the image {sample.row!r} {error}; it could be read before: bring it back") from error
    if pixel_digest(picture.pixels) != sample.id:
        raise UserError(f"the image {sample.row!r} has changed since it was read; expected the same pixels: run again")
    return picture

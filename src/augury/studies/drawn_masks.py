"""The masks that a segmenter draws for new images: PNG files as large as the images, and a table of them.

N images, B batch, C channels, H height, W width.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augury.data import png, readers
from augury.data.cache import atomic_folder, write_atomically
from augury.data.mask_store import taken_back
from augury.data.sample import Manifest, Sample
from augury.data.store import Store, applied
from augury.errors import UserError
from augury.predictors.segmenter import THRESHOLD, Segmenter

_BATCH = 64
_OURS = re.compile(r"\d{6,}(_[\w.-]*)?\.png")

Progress = Callable[[str, int, int], None]


def write_masks(
    segmenter: Segmenter, manifest: Manifest, store: Store, *, out: Path, progress: Progress | None = None
) -> Path:
    """Write the masks (0 and 255) into the folder beside `out`, then `out`, a row per image; returns the folder.

    The columns are image, patient (where known), mask (relative to `out`) and pixels, how many the mask has. Crop and
    placement of each image are undone. UserError where the folder holds anything but masks of ours.
    """
    folder = masks_folder(out)
    fresh = _beside(folder)
    shutil.rmtree(fresh, ignore_errors=True)  # of a command that was killed
    with atomic_folder(fresh) as temporary:
        rows = [_write(temporary, i, *drawn) for i, drawn in enumerate(_drawn(segmenter, manifest, store, progress))]
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    write_atomically(out, _table(manifest, rows, folder=folder.name))
    return folder


def masks_folder(out: Path) -> Path:
    """The folder beside a table; UserError where it cannot be written or holds other things than masks of ours."""
    folder = out.with_name(f"{out.stem}.masks")
    for place in (folder, _beside(folder)):
        if place.is_file() or (place.is_dir() and not all(_OURS.fullmatch(path.name) for path in place.iterdir())):
            raise UserError(
                f"the masks go to {str(place)!r}, which holds other things; expected no such folder, or one of masks "
                "that augury wrote; name another --out"
            )
    return folder


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.new")


def _drawn(
    segmenter: Segmenter, manifest: Manifest, store: Store, progress: Progress | None
) -> Iterator[tuple[Sample, NDArray[np.bool_]]]:
    """Each sample with its mask_HW in the pixels of its file, a batch of images in memory at a time."""
    facts = applied(store)
    for first in range(0, len(manifest), _BATCH):
        chunk = manifest[first : first + _BATCH]
        probability_BHW = segmenter.predict(np.ascontiguousarray(store.pixels_NCHW[first : first + len(chunk)]))
        for sample, probability_HW, said in zip(chunk, probability_BHW, islice(facts, len(chunk)), strict=True):
            yield sample, _mask(sample, probability_HW, said)
        if progress is not None:
            progress("drawing masks", first + len(chunk), len(manifest))


def _mask(sample: Sample, probability_HW: NDArray[np.float32], said: Mapping[str, Any]) -> NDArray[np.bool_]:
    height, width = readers.read(sample.image, sample.member).pixels.shape[:2]
    mask_HW: NDArray[np.bool_] = taken_back(probability_HW, said, shape=(height, width)) >= THRESHOLD
    return mask_HW


def _write(folder: Path, place: int, sample: Sample, mask_HW: NDArray[np.bool_]) -> tuple[str, int]:
    """The file's name, which is the row's number and what of the image's name is harmless, and the mask's size."""
    name = re.sub(r"[^A-Za-z0-9.-]", "_", Path(sample.row).stem)[:60]
    file = f"{place:06d}_{name}.png"
    png.write(mask_HW.astype(np.uint8) * np.uint8(255), folder / file)
    return file, int(mask_HW.sum())


def _table(manifest: Manifest, rows: list[tuple[str, int]], *, folder: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    patients = ["patient"] if manifest.patients_known else []
    writer.writerow(["image", *patients, "mask", "pixels"])
    for sample, (file, pixels) in zip(manifest, rows, strict=True):
        writer.writerow([sample.row, *([sample.patient] if patients else []), f"{folder}/{file}", pixels])
    return text.getvalue()

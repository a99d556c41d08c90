"""The masks of a manifest, laid over its prepared images, in one memory-mapped file beside their store.

N images, H height, W width. A mask goes through the very crop and placement that its image went through
(`store.applied`); of a pixel of the store, at least half must be marked.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augury.data import readers
from augury.data.cache import atomic_folder
from augury.data.in_order import Progress, map_in_order
from augury.data.masks import read_mask
from augury.data.preparation import field_of_view
from augury.data.preparation.fitting import letterbox
from augury.data.sample import Manifest, Sample, digest_of
from augury.data.store import Store, applied
from augury.errors import UserError

REVISION = 1  # raised when the masks of some store would come out otherwise
MASKS = "masks.npy"


def prepare_masks(manifest: Manifest, store: Store, *, progress: Progress | None = None) -> NDArray[np.uint8]:
    """mask_NHW, 0 or 255, mapped read-only: the union of each sample's masks; zeros for one without.

    `store` holds the images of this manifest. A mask that marks anything is never empty here: where nothing is half
    covered, the pixel that is covered most is marked. UserError where a mask cannot be used, with the reason.
    """
    if len(manifest) != len(store.pixels_NCHW):
        raise ValueError(f"{len(manifest)} samples but {len(store.pixels_NCHW)} prepared images; give their manifest")
    place = store.path.parent.parent / masks_digest(manifest, store)
    if not place.exists():
        with atomic_folder(place) as beside:
            _write(manifest, store, path=beside / MASKS, progress=progress)
    mask_NHW: NDArray[np.uint8] = np.load(place / MASKS, mmap_mode="r", allow_pickle=False)
    return mask_NHW


def masks_digest(manifest: Manifest, store: Store) -> str:
    """Hex digest of the prepared masks: of the mask files' bytes and of how the images were prepared."""
    return digest_of({"store": store.digest, "masks": mask_files(manifest), "revision": REVISION})


def mask_files(manifest: Manifest) -> list[Any]:
    """What the masks of each sample are, however its images are prepared: its member, and a digest of each file."""
    digest_of_file = functools.cache(lambda path: hashlib.sha256(_bytes(path)).hexdigest())
    return [[sample.member, {name: digest_of_file(path) for name, path in sample.masks.items()}] for sample in manifest]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"the mask {str(path)!r} cannot be read ({error.strerror}); bring it back") from error


def _write(manifest: Manifest, store: Store, *, path: Path, progress: Progress | None) -> None:
    size = store.pixels_NCHW.shape[2:]
    mask_NHW = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(len(manifest), *size))
    work = functools.partial(_one, size=(size[0], size[1]))
    items = list(zip(manifest.samples, applied(store), strict=True))
    for i, mask_HW in enumerate(map_in_order(work, items, progress=progress)):
        mask_NHW[i] = mask_HW
    mask_NHW.flush()


def _one(item: tuple[Sample, Mapping[str, Any]], *, size: tuple[int, int]) -> NDArray[np.uint8]:
    sample, facts = item
    if not sample.masks:
        return np.zeros(size, dtype=np.uint8)
    try:
        shape = readers.read(sample.image, sample.member).pixels.shape[:2]
        mask_HW = read_mask(sample, size=(shape[0], shape[1]))
    except readers.UnreadableImage as error:
        raise UserError(f"the image {sample.row!r} {error}") from error
    return laid_over(mask_HW, facts, size=size)


def laid_over(mask_HW: NDArray[np.uint8], facts: Mapping[str, Any], *, size: tuple[int, int]) -> NDArray[np.uint8]:
    """0 or 255 at the store's size, from a mask in the file's pixels; `facts` has "crop" and "placed" (`Prepared`)."""
    cropped_HW = field_of_view.cut_square((mask_HW > 0).astype(np.float32), tuple(facts["crop"]))
    place = tuple(facts["placed"])
    covered_hw = np.asarray(Image.fromarray(cropped_HW).resize((place[2], place[3]), Image.Resampling.BOX))
    marked_hw = (covered_hw >= 0.5).astype(np.uint8)
    if covered_hw.max() > 0 and not marked_hw.any():
        marked_hw.flat[int(covered_hw.argmax())] = 1
    return letterbox(marked_hw * np.uint8(255), size, place)


def taken_back(
    probability_HW: NDArray[np.float32], facts: Mapping[str, Any], *, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """The way back: probabilities at the store's size as the file's pixels have them, 0 where its crop did not reach.

    `shape` is the file's height and width. Resampled linearly, antialiased where that makes it smaller.
    """
    left, top, width, height = facts["placed"]
    x, y, across, down = facts["crop"]
    inner_hw = np.ascontiguousarray(probability_HW[top : top + height, left : left + width])
    cropped_hw = np.asarray(Image.fromarray(inner_hw).resize((across, down), Image.Resampling.BILINEAR))
    return field_of_view.cut_square(cropped_hw, (-x, -y, shape[1], shape[0]))

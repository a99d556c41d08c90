"""Masks as label maps, (H, W) uint8, as large as their image: whatever does not fit is refused, nothing is rescaled.

Without declared labels a mask is 0 and 1, of files with 0 and 1, 0 and 255, or 0 and 65535; several masks of an image
(BUSI's "mask" and "mask_1") are united. With declared labels its values are those, and masks that give one pixel two
labels are refused. A mask in a file of many images is cut with its image's own member.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import PngImagePlugin

from augury.data import readers
from augury.data.bounded import Bounded
from augury.data.picture import UnreadableImage
from augury.data.sample import Sample, Unreadable

_FULL = ({0, 1}, {0, 255}, {0, 65535})
_SHOWN = 6  # values named in a message


def read_mask(
    source: Sample | Path,
    *,
    size: tuple[int, int],
    member: str | None = None,
    labels: Collection[int] | None = None,
) -> NDArray[np.uint8]:
    """The label map of a sample (the union of all its masks) or of one file, (H, W) uint8.

    `size` is the image's height and width. `labels`: the values that may occur besides 0; None: a mask of one thing.
    A sample without masks gives zeros. Raises UnreadableImage with the reason: another size, other values, another
    place in space, no such member.
    """
    if isinstance(source, Path):
        return _one(source, member, size=size, labels=labels)
    united = np.zeros(size, dtype=np.uint8)
    for name, path in sorted(source.masks.items()):
        try:
            _check_place(source.image, path)
            part = _one(path, source.member, size=size, labels=labels)
        except UnreadableImage as error:
            raise UnreadableImage(f"has a mask {name!r} that {error}") from error
        both = (united > 0) & (part > 0) & (united != part)
        if both.any():
            raise UnreadableImage(
                f"has masks that give {int(both.sum())} pixels two labels; expected one each: correct the mask {name!r}"
            )
        united = np.maximum(united, part)
    return united


def mask_faults(
    samples: Sequence[Sample], sizes: Mapping[str, tuple[int, int]], *, labels: Collection[int] | None = None
) -> tuple[Unreadable, ...]:
    """Every sample whose masks cannot be used, and why; `sizes` are height and width by row."""
    faults = []
    for sample in samples:
        try:
            read_mask(sample, size=sizes[sample.row], labels=labels)
        except UnreadableImage as error:
            faults.append(Unreadable(image=sample.row, why=str(error)))
    return tuple(faults)


def _one(path: Path, member: str | None, *, size: tuple[int, int], labels: Collection[int] | None) -> NDArray[np.uint8]:
    value_HW = mask_values(path, member)
    if value_HW.shape != size:
        height, width = value_HW.shape[:2]
        raise UnreadableImage(
            f"is {width}x{height} pixels, its image {size[1]}x{size[0]}; expected the same: redraw it"
        )
    found = [int(value) for value in np.unique(value_HW)]
    if labels is None:
        if not any(set(found) <= full for full in _FULL):
            raise UnreadableImage(f"has the values {_few(found)}; expected 0 and 1, or 0 and 255: declare its labels")
        return (value_HW > 0).astype(np.uint8)
    strange = set(found) - {0, *labels}
    if strange or max(found) > 255:
        wanted = _few(sorted({0, *labels}))
        raise UnreadableImage(f"has the values {_few(sorted(strange or found))}; expected only {wanted}: correct it")
    return value_HW.astype(np.uint8)


def _few(values: Sequence[int]) -> str:
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(map(str, values[:_SHOWN])) + more


def mask_values(path: Path, member: str | None = None) -> NDArray[Any]:
    """(H, W): the numbers of a mask file, never a picture made of them: stored values, palette indices, voxels.

    Raises UnreadableImage with the reason.
    """
    try:
        with Bounded(path) as file:
            start = file.read(352)
            kind = readers.kind_of(start)
            if kind == "dicom":
                from augury.data.dicom import frames

                return frames.stored(file, frame=readers.index_of(member, readers.FRAME))
    except OSError as error:
        raise UnreadableImage(f"cannot be read ({error.strerror})") from error
    if kind in ("nifti", "gzip"):
        from augury.data import nifti

        return nifti.labels(path, member)
    inside = member if kind == "tiff" or not kind else None  # a PNG belongs to the one image that names it
    return _one_channel(_plain(path, inside, start=start))


def _plain(path: Path, member: str | None, *, start: bytes) -> NDArray[Any]:
    pixels = readers.decode(path, member)
    if pixels.ndim == 2 or not start.startswith(b"\x89PNG"):
        return pixels
    with Bounded(path) as file, PngImagePlugin.PngImageFile(file) as image:
        # A coloured palette is how label maps are kept legible: its indices are the labels.
        return np.array(image) if image.mode == "P" else pixels


def _one_channel(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.ndim == 2:
        return pixels
    if not (pixels == pixels[..., :1]).all():
        raise UnreadableImage("is in colour; expected one channel of labels: save it as grey or with a palette")
    grey: NDArray[Any] = pixels[..., 0]
    return grey


def _check_place(image: Path, mask: Path) -> None:
    """Of two volumes, whether their voxels lie at the same places."""
    if not all(path.name.lower().endswith((".nii", ".nii.gz")) for path in (image, mask)):
        return
    from augury.data import nifti_header

    if not nifti_header.read(image).same_space(nifti_header.read(mask)):
        raise UnreadableImage("lies elsewhere in space than its image, or is of another shape: resample it")

"""One frame of a DICOM file as a Picture: the pixels by `dicom.greys`' rule, and everything that was done to them."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from augury.data.dicom import codecs, greys, palettes
from augury.data.dicom.header import Header, count, in_our_words, parse
from augury.data.dicom.windows import Window
from augury.data.picture import Picture, UnreadableImage

PALETTE = "had a palette, which was resolved"
INKS = "had other colours than RGB (YBR), which were converted"
OVERLAY = "has an overlay (drawings or text beside the pixels), which was ignored"
SUPPLEMENT = "has a supplemental colour palette, which was ignored"
BURNED_IN = "says that text is burned into its pixels"


def read(
    file: BinaryIO, *, frame: int | None = None, window: Window | None = None, max_pixels: int | None = None
) -> Picture:
    """The pixels of one frame (None: of the only one), (H, W) or (H, W, 3), uint8 or uint16.

    `window` in the file's unit, such as Hounsfield units, replaces that of the file. Raises UnreadableImage with the
    reason, in which no word of the header stands that could name someone.
    """
    with in_our_words():
        header = parse(file, max_pixels=max_pixels)
        index = _only(header) if frame is None else frame
        picture = _picture(header, codecs.stored(header, index, max_pixels=max_pixels), index, window=window)
        return replace(picture, file_size=file.seek(0, io.SEEK_END) // header.frames)


def stored(file: BinaryIO, *, frame: int | None = None, max_pixels: int | None = None) -> NDArray[Any]:
    """The numbers of one frame as the file holds them, neither rescaled nor windowed: what a mask is."""
    with in_our_words():
        header = parse(file, max_pixels=max_pixels)
        return codecs.stored(header, _only(header) if frame is None else frame, max_pixels=max_pixels)


def _only(header: Header) -> int:
    if header.frames > 1:
        raise UnreadableImage(
            f"holds {codecs.frames_of(header)} frames; expected one of them, such as the member 'frame/0'"
        )
    return 0


def _picture(header: Header, stored: NDArray[Any], frame: int, *, window: Window | None) -> Picture:
    dataset = header.dataset
    kind = str(dataset.PhotometricInterpretation)
    facts, notes = _facts(header, frame), (*header.notes, *_asides(dataset))
    if kind == "PALETTE COLOR":
        pixels = palettes.resolve(stored, dataset)
        return Picture(pixels=pixels, notes=(*notes, PALETTE), applied=facts)
    if stored.ndim == 3:
        return Picture(pixels=_colour(stored, dataset), notes=notes if kind == "RGB" else (*notes, INKS), applied=facts)
    shown = greys.show(stored, dataset, frame=frame, window=window)
    return Picture(pixels=shown.pixels, notes=(*notes, *shown.notes), applied=facts | shown.applied)


def _facts(header: Header, frame: int) -> dict[str, str]:
    dataset = header.dataset
    facts = {
        "format": "dicom",
        "modality": str(dataset.get("Modality", "") or "")[:16],
        "photometric": str(dataset.PhotometricInterpretation)[:16],
        "transfer_syntax": str(header.syntax),
        "decoder": codecs.DECODERS[header.syntax] or "none needed",
        "lossy": {"01": "yes", "00": "no"}.get(str(dataset.get("LossyImageCompression", "")), ""),
        "deflated": "yes" if header.deflated else "",
        "frame": str(frame) if header.frames > 1 else "",
    }
    return {name: fact for name, fact in facts.items() if fact}


def _asides(dataset: Dataset) -> list[str]:
    """What the file holds besides, and what was not done about it."""
    notes = []
    if any(0x6000 <= tag.group <= 0x60FF for tag in list(dataset.keys())):
        notes.append(OVERLAY)
    if dataset.PhotometricInterpretation != "PALETTE COLOR" and "RedPaletteColorLookupTableDescriptor" in dataset:
        notes.append(SUPPLEMENT)
    if str(dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES":
        notes.append(BURNED_IN)
    return notes


def _colour(stored_HW3: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Full scale by a whole factor, as greys without a window; signed colours do not exist (PS3.3, C.7.6.3)."""
    bits = count(dataset, "BitsStored", default=count(dataset, "BitsAllocated"))
    if stored_HW3.dtype.kind != "u":
        raise UnreadableImage("has signed colours; expected unsigned ones: convert it")
    full, dtype = (255, np.uint8) if bits <= 8 else (65535, np.uint16)
    factor = full // (2**bits - 1)
    colours: NDArray[Any] = (stored_HW3.astype(np.uint32) * factor).clip(0, full).astype(dtype)
    return colours

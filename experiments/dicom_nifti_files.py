"""Every test file that comes with pydicom and nibabel: read as they read it, or refused with a reason.

    python experiments/dicom_nifti_files.py > docs/dicom-nifti.md

The reference is another computation of the same rule: pydicom's own arrays (by whichever decoder it takes first), its
own modality and VOI functions, nibabel's own scaling and reorientation. Differences are in steps of the returned pixel.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

from augury.data import nifti_header, readers
from augury.data.picture import Picture, UnreadableImage

NOT_IMAGES = (".py", ".pyc", ".md", ".txt", ".json", ".rst", ".gitignore", ".m")
HEAD = """# DICOM and NIfTI: what becomes of every test file of pydicom and nibabel

Made by `experiments/dicom_nifti_files.py` with pydicom {pydicom}, nibabel {nibabel}. Every file that comes with these
packages, save source code and plain text ({skipped}), is either read, and compared with their own arrays, or refused
with the reason that the user is told. "Differs by" is the largest difference in any pixel, frame or slice, in steps of
the 8- or 16-bit pixel; up to half a step is rounding and counts as 0, anything more counts as disagreement.

What the comparison can show, and what not: rescale, windows, lookup tables, palettes and NIfTI's scaling and clip are
computed a second time by other code. The decoder is another one (GDCM) for JPEG, JPEG-LS and JPEG 2000, but the same
for RLE and lossless JPEG; conversion from YBR to RGB and the search for the nearest axes (nibabel) are the libraries'
own on both sides. How a slice is laid out is tested apart, in `tests/data/test_nifti.py`. The rule is in
`data/dicom/greys.py` and `data/nifti.py`.

{summary}

| file | what it is | outcome | differs by |
|---|---|---|---|"""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One file of the table."""

    name: str
    what: str
    outcome: str
    apart: float | None = None  # steps; None: refused


def main() -> int:
    """Print the table; 1 where a file was read otherwise than by its own library."""
    warnings.simplefilter("ignore")
    logging.disable()
    lines = [line for root in _roots() for line in _lines(root)]
    read = [line for line in lines if line.apart is not None]
    bad = [line for line in read if line.apart]
    summary = (
        f"{len(lines)} files: {len(read)} read, {len(lines) - len(read)} refused with a reason. Of those read, "
        f"{len(read) - len(bad)} agree to within rounding, {len(bad)} disagree."
    )
    print(
        HEAD.format(
            pydicom=pydicom.__version__, nibabel=nibabel.__version__, skipped=" ".join(NOT_IMAGES), summary=summary
        )
    )
    for line in lines:
        apart = "" if line.apart is None else f"{line.apart:.3g}"
        print(f"| {line.name} | {line.what} | {line.outcome} | {apart} |")
    return 1 if bad else 0


def _roots() -> Iterator[Path]:
    yield Path(str(pydicom.__file__)).parent / "data"
    yield Path(str(nibabel.__file__)).parent


def _lines(root: Path) -> Iterator[Line]:
    for path in sorted(root.rglob("*")):
        is_data = root.name == "data" or "data" in path.relative_to(root).parts[:-1]
        if path.is_file() and is_data and path.suffix not in NOT_IMAGES:
            yield _line(path, root)


def _line(path: Path, root: Path) -> Line:
    name = f"{root.parent.name if root.name == 'data' else root.name}: {path.relative_to(root).as_posix()}"
    with path.open("rb") as file:
        kind = readers.kind_of(file.read(352))
    try:
        if kind == "dicom":
            return _dicom(path, name)
        if kind in ("nifti", "gzip"):
            return _nifti(path, name)
        readers.read(path)
    except UnreadableImage as error:
        return Line(name=name, what=kind or "other", outcome=f"refused: {error}".replace("|", "/"))
    return Line(name=name, what=kind, outcome="read, though it should not be", apart=float("inf"))


def _dicom(path: Path, name: str) -> Line:
    dataset = pydicom.dcmread(path, force=True)
    frames = int(dataset.get("NumberOfFrames") or 1) if "PixelData" in dataset and "badVR" not in path.name else 1
    members = [f"{readers.FRAME}/{i}" for i in range(frames)] if frames > 1 else [None]
    pictures = [readers.read(path, member) for member in members]
    stored = dataset.pixel_array if frames > 1 else dataset.pixel_array[None]
    apart = max(_apart(picture.pixels, _expected(one, dataset)) for picture, one in zip(pictures, stored, strict=True))
    return Line(name=name, what=_what(pictures[0], frames), outcome=_outcome(pictures[0]), apart=apart)


def _what(picture: Picture, frames: int) -> str:
    applied = picture.applied
    parts = [applied.get("modality", ""), pydicom.uid.UID(applied["transfer_syntax"]).name]
    return ", ".join(filter(None, [*parts, applied["photometric"], f"{frames} frames" if frames > 1 else ""]))


def _outcome(picture: Picture) -> str:
    shape = "x".join(map(str, picture.pixels.shape))
    how = "; ".join(picture.notes)
    return f"read, {shape} {picture.pixels.dtype}" + (f": {how}" if how else "")


def _expected(stored: NDArray[Any], dataset: Any) -> NDArray[Any]:
    """The rule of `dicom.greys` in pydicom's own functions."""
    kind = dataset.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        return np.asarray(apply_color_lut(stored, dataset))
    if stored.ndim == 3:
        return stored
    bits, signed = int(dataset.BitsStored), dataset.PixelRepresentation == 1
    full = 255 if bits <= 8 else 65535
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    value = np.asarray(apply_modality_lut(stored, dataset), dtype=np.float64)
    if dataset.get("Modality") == "CT" and "RescaleSlope" in dataset:
        return np.clip((value + 1024) * 16, 0, 65535)
    if "WindowCenter" in dataset or "VOILUTSequence" in dataset:
        shown = np.asarray(apply_voi_lut(value, dataset, index=0), dtype=np.float64)
        slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
        least, most = low * slope + intercept, high * slope + intercept
        shown = (shown - least) / (most - least) * full
    else:
        shown = (stored.astype(np.float64) - low) * (full // (high - low))
    return full - shown if kind == "MONOCHROME1" else shown


def _apart(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest difference, what rounding alone explains counted as none."""
    if found.shape != expected.shape:
        return float("inf")
    apart = float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max())
    return 0.0 if apart <= 0.5000001 else apart


def _nifti(path: Path, name: str) -> Line:
    header = nifti_header.read(path)
    if header.volumes > 1:
        try:
            readers.read(path, "slice/2/0")
        except UnreadableImage as error:
            refused = str(error)
    image = nibabel.as_closest_canonical(nibabel.load(path))
    whole = np.asarray(image.dataobj, dtype=np.float64)
    apart, picture = 0.0, None
    for volume in range(header.volumes):
        value = whole[..., volume] if header.volumes > 1 else whole.reshape(header.shape)
        low, high = np.percentile(value, [0.5, 99.5])
        for axis in range(3):
            for index in range(header.shape[axis]):
                end = f"/{volume}" if header.volumes > 1 else ""
                picture = readers.read(path, f"slice/{axis}/{index}{end}")
                slab = np.clip((np.take(value, index, axis=axis)[::-1, ::-1].T - low) / (high - low), 0, 1) * 65535
                apart = max(apart, _apart(picture.pixels, slab))
    assert picture is not None
    shape = "x".join(map(str, header.shape))
    what = f"{header.dtype}, {header.oblique:.0f} degrees oblique" + (
        f", {header.volumes} volumes" if header.volumes > 1 else ""
    )
    said = f"; without a chosen volume refused: {refused}" if header.volumes > 1 else ""
    return Line(name=name, what=what, outcome=f"read in RAS+, {shape}, all slices of all axes{said}", apart=apart)


if __name__ == "__main__":
    sys.exit(main())

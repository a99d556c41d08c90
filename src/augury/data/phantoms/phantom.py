"""Images whose truth is known exactly. N images, H height, W width."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augury.data.cache import atomic_folder
from augury.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """Rendered images and everything that is true of them."""

    image_NHW: NDArray[np.uint8]
    mask_NHW: NDArray[np.bool_]  # the tumour with its core, without the swelling around it
    label_N: NDArray[np.int64]  # as recorded: wrong where label noise struck
    truth_N: NDArray[np.int64]  # as rendered
    patient_N: NDArray[np.int64]
    scanner_N: NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.image_NHW)


def write(phantom: Phantom, folder: Path) -> Path:
    """A data set on disk: manifest.csv, images/ and masks/ as PNG. Complete or absent; returns the manifest's path.

    UserError where the folder is not empty.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{str(folder)!r} is not empty: expected a new or empty folder; name another or empty it")
    with atomic_folder(folder) as beside:
        (beside / "images").mkdir()
        (beside / "masks").mkdir()
        rows = [_write_one(phantom, i, beside) for i in range(len(phantom))]
        (beside / "manifest.csv").write_text(_table(rows), encoding="utf-8")
    return folder / "manifest.csv"


def _write_one(phantom: Phantom, index: int, folder: Path) -> dict[str, str]:
    """One image and, where there is a lesion, its mask; the row that describes them."""
    name = f"{index:06d}.png"
    Image.fromarray(phantom.image_NHW[index]).save(folder / "images" / name, compress_level=1)
    mask_HW = phantom.mask_NHW[index]
    if mask_HW.any():
        Image.fromarray(mask_HW.astype(np.uint8) * 255).save(folder / "masks" / name, compress_level=1)
    return {
        "image": f"images/{name}",
        "label": phantom.classes[phantom.label_N[index]],
        "patient": f"p{phantom.patient_N[index]:06d}",
        "mask": f"masks/{name}" if mask_HW.any() else "",
        "site": f"scanner{phantom.scanner_N[index]}",
    }


def _table(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=["image", "label", "patient", "mask", "site"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

"""What the pixels of one image say about how it was taken. H height, W width, values in [0, 1].

Figures: medians over 300 images each of brain MRI, breast ultrasound and two sets of fundus photographs, 128 x 128.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augury.data.fingerprints import one_channel_if_grey
from augury.data.preparation.field_of_view import find_circle

SIDE = 128
RING = 3  # pixels of the frame that is looked at
DARK = 0.1
CELL = 4  # pixels of a cell in which speckle is measured
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """Measures of one image."""

    colour: bool
    circle: bool  # a lit circle in a dark frame
    air: float  # share of the frame's pixels that are dark: MRI 0.94, ultrasound 0.21
    above: float  # the same of the upper edge alone: MRI 1.0, ultrasound 0.0
    layers: float  # mean change from row to row over that from column to column: MRI 0.89, ultrasound 1.80
    speckle: float  # correlation of brightness and roughness over cells: MRI 0.25, ultrasound 0.45


def look(pixels: NDArray[Any]) -> Looks:
    """The measures of decoded pixels, (H, W) or (H, W, 3), uint8 or uint16."""
    pixels = one_channel_if_grey(pixels)
    grey_HW = _grey(pixels)
    dark_HW = grey_HW < DARK
    frame_HW = np.ones_like(dark_HW)
    frame_HW[RING:-RING, RING:-RING] = False
    across = float(np.abs(np.diff(grey_HW, axis=1)).mean())
    return Looks(
        colour=pixels.ndim == 3,
        circle=pixels.ndim == 3 and find_circle(pixels) is not None,
        air=float(dark_HW[frame_HW].mean()),
        above=float(dark_HW[:RING].mean()),
        layers=float(np.abs(np.diff(grey_HW, axis=0)).mean()) / max(across, 1e-6),
        speckle=_speckle(grey_HW),
    )


def _grey(pixels: NDArray[Any]) -> Floats:
    """SIDE x SIDE, the 99.5th percentile at 1, so that dim 16-bit images are seen as well."""
    grey = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    small = Image.fromarray(grey.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BOX)
    grey_HW = np.asarray(small)
    return np.clip(grey_HW / max(float(np.percentile(grey_HW, 99.5)), 1.0), 0.0, 1.0)


def _speckle(grey_HW: Floats) -> float:
    """Speckle is multiplicative: its spread grows with the brightness (Wagner et al. 1983). Lit cells only."""
    count = SIDE // CELL
    cell_CP = grey_HW.reshape(count, CELL, count, CELL).transpose(0, 2, 1, 3).reshape(count * count, CELL * CELL)
    mean_C, spread_C = cell_CP.mean(axis=1), cell_CP.std(axis=1)
    lit_C = mean_C > DARK
    if lit_C.sum() < 50 or np.ptp(mean_C[lit_C]) == 0 or np.ptp(spread_C[lit_C]) == 0:
        return 0.0
    return float(np.corrcoef(mean_C[lit_C], spread_C[lit_C])[0, 1])

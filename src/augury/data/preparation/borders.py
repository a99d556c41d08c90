"""Empty rows and columns at the margins of an image. H height, W width."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MARGIN = 4.0 / 255.0  # rows and columns whose range is below this share of full scale are border
Box = tuple[int, int, int, int]  # left, top, width, height


def crop_border(pixels: NDArray[Any]) -> NDArray[Any]:
    """The image without the empty rows and columns at its margins; an image that is empty everywhere stays whole."""
    left, top, width, height = inner_box(pixels)
    return pixels[top : top + height, left : left + width]


def inner_box(pixels: NDArray[Any]) -> Box:
    """Left, top, width and height of what `crop_border` keeps."""
    lively = float(np.iinfo(pixels.dtype).max) * MARGIN
    grey = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    rows = np.flatnonzero(np.ptp(grey, axis=1) >= lively)
    columns = np.flatnonzero(np.ptp(grey, axis=0) >= lively)
    if len(rows) == 0 or len(columns) == 0:
        return 0, 0, pixels.shape[1], pixels.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1

"""Local changes of an image: the median against speckle, and contrast-limited adaptive histogram equalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from skimage.exposure import equalize_adapthist

from augury.data.preparation.windows import to_dtype

CLIP_LIMIT = 0.01  # share of a tile's pixels that one grey value may claim


def median_3x3(pixels: NDArray[Any]) -> NDArray[Any]:
    """Each value the median of its 3 x 3 neighbours, channel by channel; borders repeat."""
    window = (3, 3) if pixels.ndim == 2 else (3, 3, 1)
    filtered: NDArray[Any] = median_filter(pixels, size=window, mode="nearest")
    return filtered


def clahe(pixels: NDArray[Any]) -> NDArray[Any]:
    """Zuiderveld 1994 in 8 x 8 tiles by scikit-image; of colour the brightness (HSV's V) alone, so hues stay.

    The type stays; inside, scikit-image spreads an image over its range and counts 16,384 grey values.
    """
    if np.ptp(pixels) == 0:
        return pixels
    full = float(np.iinfo(pixels.dtype).max)
    return to_dtype(equalize_adapthist(pixels, clip_limit=CLIP_LIMIT) * full, pixels.dtype)

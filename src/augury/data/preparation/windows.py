"""Which part of the values becomes black to white: percentiles of an image, or a Hounsfield window of a CT."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FOREGROUND = 0.02  # of an image's maximum: below it lies air, and what JPEG made of it
HOUNSFIELD: dict[str, tuple[float, float]] = {  # width, level: the settings in general use (Radiopaedia, "Windowing")
    "brain": (80, 40),
    "lung": (1500, -600),
    "bone": (1800, 400),
    "soft_tissue": (400, 50),
}


def clip_values(
    pixels: NDArray[Any], percentiles: tuple[float, float], *, foreground: bool
) -> tuple[float, float] | None:
    """The values at these percentiles of the image, or of its foreground; None where they do not differ."""
    seen = pixels[pixels > FOREGROUND * float(pixels.max())] if foreground else pixels
    if seen.size == 0:
        return None
    low, high = (float(value) for value in np.percentile(seen, percentiles))
    return (low, high) if high > low else None


def hounsfield_values(window: str, *, slope: float, intercept: float) -> tuple[float, float]:
    """The stored values that become black and white, where HU = slope x value + intercept and slope > 0.

    >>> hounsfield_values("brain", slope=1.0, intercept=-1024.0)
    (1024.0, 1104.0)
    """
    width, level = HOUNSFIELD[window]
    return (level - width / 2 - intercept) / slope, (level + width / 2 - intercept) / slope


def stretch(pixels: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """The image with `low` at black and `high` at white, what lies beyond them cut; the type stays."""
    full = float(np.iinfo(pixels.dtype).max)
    return to_dtype((pixels.astype(np.float32) - low) / (high - low) * full, pixels.dtype)


def to_dtype(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Rounded and kept in the type's range."""
    whole: NDArray[Any] = np.clip(np.rint(values), 0, np.iinfo(dtype).max).astype(dtype)
    return whole

"""Images at another size: stretched, or whole inside it with black beside. H height, W width."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augury.data.preparation.borders import Box
from augury.data.preparation.windows import to_dtype

Fit = Literal["stretch", "pad"]


def resize(pixels: NDArray[Any], size: tuple[int, int], *, fit: Fit) -> NDArray[Any]:
    """(H, W) or (H, W, 3) at another size, antialiased (Lanczos 3, as wide as the reduction); the type stays."""
    place = placed(pixels.shape[:2], size, fit=fit)
    return letterbox(lanczos(pixels, height=place[3], width=place[2]), size, place)


def placed(shape: tuple[int, ...], size: tuple[int, int], *, fit: Fit) -> Box:
    """Where an image of `shape` comes to lie in one of `size` (both height, width)."""
    height, width = size
    if fit == "stretch":
        return 0, 0, width, height
    scale = min(height / shape[0], width / shape[1])
    inner_height = max(1, min(height, math.floor(shape[0] * scale + 0.5)))
    inner_width = max(1, min(width, math.floor(shape[1] * scale + 0.5)))
    return (width - inner_width) // 2, (height - inner_height) // 2, inner_width, inner_height


def letterbox(pixels: NDArray[Any], size: tuple[int, int], place: Box) -> NDArray[Any]:
    """The image at its place in a black one."""
    left, top, width, height = place
    if (height, width) == size:
        return pixels
    whole = np.zeros((*size, *pixels.shape[2:]), dtype=pixels.dtype)
    whole[top : top + height, left : left + width] = pixels
    return whole


def lanczos(pixels: NDArray[Any], *, height: int, width: int) -> NDArray[Any]:
    """Stretched to the size, antialiased."""
    if pixels.shape[:2] == (height, width):
        return pixels
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
    planes = [pixels] if pixels.ndim == 2 else [pixels[..., c] for c in range(pixels.shape[2])]
    resized = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.LANCZOS))
        for plane in planes
    ]
    return to_dtype(resized[0] if pixels.ndim == 2 else np.stack(resized, axis=-1), pixels.dtype)

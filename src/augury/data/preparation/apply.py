"""One decoded image made ready for the store, and what was done to it. H height, W width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augury.data.preparation import borders, field_of_view, windows
from augury.data.preparation.fitting import lanczos, letterbox, placed
from augury.data.preparation.preparation import Preparation
from augury.data.preparation.texture import clahe, median_3x3
from augury.errors import UserError

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """Pixels (H, W) or (H, W, 3) at the store's size, and JSON values that say what was done to this image.

    With `crop` (left, top, width, height in the file's pixels) and `placed` (the same in the store's) a point (x, y)
    of the file lies at placed.left + (x - crop.left) * placed.width / crop.width, and so for y.
    """

    pixels: NDArray[Any]
    facts: Mapping[str, Any]


def apply(pixels: NDArray[Any], preparation: Preparation, *, read: Mapping[str, str]) -> Prepared:
    """Everything but the joining of types and channels, in the order that Preparation states.

    `read` is what the reader says of the pixels (Picture.applied). UserError where a Hounsfield window is asked of
    pixels that have no Hounsfield values.
    """
    facts: Facts = {}
    pixels = _cropped(pixels, preparation, facts)
    if preparation.channels == 1 and pixels.ndim == 3:
        pixels = windows.to_dtype(pixels.astype(np.float32) @ LUMA, pixels.dtype)
    if preparation.median:
        pixels, facts["median"] = median_3x3(pixels), 3
    pixels = _windowed(pixels, preparation, read, facts)
    place = placed(pixels.shape[:2], preparation.size, fit=preparation.fit)
    pixels = lanczos(pixels, height=place[3], width=place[2])
    if preparation.clahe:
        pixels, facts["clahe"] = clahe(pixels), True
    if facts.get("field_of_view"):
        pixels = field_of_view.black_outside(pixels)
    facts["placed"] = list(place)
    return Prepared(pixels=letterbox(pixels, preparation.size, place), facts=facts)


def _cropped(pixels: NDArray[Any], preparation: Preparation, facts: Facts) -> NDArray[Any]:
    box = (0, 0, pixels.shape[1], pixels.shape[0])
    if preparation.field_of_view:
        circle = field_of_view.find_circle(pixels)
        facts["field_of_view"] = circle and [round(value, 2) for value in (circle.x, circle.y, circle.radius)]
        if circle is not None:
            facts["crop"] = list(circle.square())
            return field_of_view.cut_square(pixels, circle.square())
    if preparation.crop_border:
        box = borders.inner_box(pixels)
    left, top, width, height = facts["crop"] = list(box)
    return pixels[top : top + height, left : left + width]


def _windowed(pixels: NDArray[Any], preparation: Preparation, read: Mapping[str, str], facts: Facts) -> NDArray[Any]:
    if preparation.window is not None:
        slope, intercept = _scale(read, preparation.window)
        ends = windows.hounsfield_values(preparation.window, slope=slope, intercept=intercept)
        facts["hounsfield"] = preparation.window
    elif preparation.clip is not None:
        found = windows.clip_values(pixels, preparation.clip, foreground=preparation.clip_over == "foreground")
        facts["clip_values"] = found and [round(value, 3) for value in found]
        if found is None:
            return pixels
        ends = found
    else:
        return pixels
    return windows.stretch(pixels, *ends)


def _scale(read: Mapping[str, str], window: str) -> tuple[float, float]:
    """Slope and intercept from pixels to Hounsfield units."""
    if not has_hounsfield(read):
        raise UserError(
            f"has no Hounsfield values, of which the window {window!r} speaks; expected CT as DICOM, or as NIfTI with "
            "its own values: set preparation.window=null"
        )
    return float(read["slope"]), float(read["intercept"])


def has_hounsfield(read: Mapping[str, str]) -> bool:
    """Whether the reader knows the pixels' Hounsfield values. NIfTI has values and names no unit: taken at its word."""
    known = read.get("unit") == "HU" or (read.get("format") == "nifti" and "unit" not in read)
    return known and float(read.get("slope", "0")) > 0 and "intercept" in read

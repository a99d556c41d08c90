"""The bright circle that a fundus camera sees, in a black frame. H height, W width, P points, T trials.

Found from the outline of what is lit: three outline points make a circle, and the circle that most points lie on wins
(Fischler and Bolles 1981, RANSAC), then it is fitted to those points (Kasa 1976). Cut-off tops, notches and dark
patches at the rim are points that lie on no common circle, and so do no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

from augury.data.preparation.borders import Box

SIDE = 192  # pixels of the longer side of the image in which the circle is sought
LIT = (
    0.06,
    0.14,
    0.28,
)  # shares of full scale above which the brightest channel shows tissue; later ones: a grey frame
TRIALS = 160  # three of the outline's points in a row on the circle, if 35 % are: missed once in a thousand times
NEAR = 0.012  # points so near to the circle, as a share of its radius, lie on it
RADII = (0.25, 0.8)  # of the longer side
ARC = 0.3  # least share of the circle's turn on which outline points are found
ON = 0.35  # least share of the outline that lies on the circle
DARK = 0.85  # least share of the pixels outside the circle that are dark
FULL = 0.7  # least share of the pixels inside it that are lit
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """Centre and radius in pixels of the whole image; pixel (0, 0) covers 0 to 1."""

    x: float
    y: float
    radius: float

    def square(self) -> Box:
        """The circle's square: left, top, width, height; it may reach beyond the image where the circle does."""
        side = max(1, round(2 * self.radius))
        return round(self.x - side / 2), round(self.y - side / 2), side, side


def find_circle(pixels: NDArray[Any]) -> Circle | None:
    """The field of view of (H, W) or (H, W, 3) pixels; None where nothing looks like a lit circle in a dark frame."""
    bright_hw, scale = _small(pixels)
    for level in LIT:
        found = _find(_largest_part(bright_hw > level * 255))
        if found is not None:
            x, y, radius = (float(value) / scale for value in found)
            return Circle(x=x, y=y, radius=radius)
    return None


def cut_square(pixels: NDArray[Any], box: Box) -> NDArray[Any]:
    """The box of the image; black where it reaches beyond."""
    left, top, width, height = box
    whole = np.zeros((height, width, *pixels.shape[2:]), dtype=pixels.dtype)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, pixels.shape[1]), min(top + height, pixels.shape[0])
    whole[y0 - top : y1 - top, x0 - left : x1 - left] = pixels[y0:y1, x0:x1]
    return whole


def black_outside(pixels: NDArray[Any]) -> NDArray[Any]:
    """The image, in which the circle fills its square, with black outside the inscribed ellipse."""
    height, width = pixels.shape[:2]
    y_H1 = ((np.arange(height) + 0.5) / height * 2 - 1)[:, None]
    x_1W = ((np.arange(width) + 0.5) / width * 2 - 1)[None, :]
    inside_HW = x_1W**2 + y_H1**2 <= 1.0
    masked: NDArray[Any] = pixels * (inside_HW if pixels.ndim == 2 else inside_HW[..., None])
    return masked.astype(pixels.dtype, copy=False)


def _find(lit_hw: NDArray[np.bool_]) -> Floats | None:
    """x, y, radius of the circle that the lit part fills."""
    point_P2 = _outline(lit_hw)
    if len(point_P2) < 24:
        return None
    found = _vote(point_P2, longest=max(lit_hw.shape))
    return found if found is not None and _convinces(found, point_P2, lit_hw) else None


def _small(pixels: NDArray[Any]) -> tuple[NDArray[np.uint8], float]:
    """The brightest channel in 8 bits, its longer side at most SIDE, and the scale; a median takes away dust."""
    bright = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    bright_HW = (bright >> 8).astype(np.uint8) if bright.dtype == np.uint16 else bright
    scale = min(1.0, SIDE / max(bright_HW.shape))
    if scale < 1.0:
        height, width = (max(1, round(side * scale)) for side in bright_HW.shape)
        bright_HW = np.asarray(Image.fromarray(bright_HW).resize((width, height), Image.Resampling.BOX))
    return np.asarray(Image.fromarray(bright_HW).filter(ImageFilter.MedianFilter(3))), scale


def _largest_part(lit_hw: NDArray[np.bool_]) -> NDArray[np.bool_]:
    part_hw, count = ndimage.label(lit_hw)
    if count == 0:
        return lit_hw
    largest: NDArray[np.bool_] = part_hw == 1 + int(np.argmax(np.bincount(part_hw.ravel())[1:]))
    return largest


def _outline(lit_hw: NDArray[np.bool_]) -> Floats:
    """(x, y) of the first and last lit pixel of each row and column, except where the image itself ends."""
    across, down = _ends(lit_hw), _ends(lit_hw.T)[:, ::-1]
    point_P2 = np.concatenate([across, down])
    height, width = lit_hw.shape
    inside_P = (
        (point_P2[:, 0] > 1) & (point_P2[:, 0] < width - 1) & (point_P2[:, 1] > 1) & (point_P2[:, 1] < height - 1)
    )
    outline_P2: Floats = point_P2[inside_P]
    return outline_P2


def _ends(lit_hw: NDArray[np.bool_]) -> Floats:
    row = np.flatnonzero(lit_hw.any(axis=1))
    first = lit_hw[row].argmax(axis=1)
    last = lit_hw.shape[1] - lit_hw[row][:, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([first, row + 0.5], axis=1), np.stack([last, row + 0.5], axis=1)]).astype(float)


def _vote(point_P2: Floats, *, longest: int) -> Floats | None:
    """x, y, radius of the circle that most points lie on, fitted to them."""
    circle_T3 = _through(point_P2[np.random.default_rng(0).integers(0, len(point_P2), (TRIALS, 3))])
    fits_T = (circle_T3[:, 2] >= RADII[0] * longest) & (circle_T3[:, 2] <= RADII[1] * longest)
    circle_T3 = circle_T3[fits_T]
    if len(circle_T3) == 0:
        return None
    best_3: Floats = circle_T3[int(np.argmax(_votes(circle_T3, point_P2)))]
    for _ in range(3):
        near_P = _near(best_3, point_P2)
        if near_P.sum() < 3:
            return None
        best_3 = _fitted(point_P2[near_P])
    return best_3 if RADII[0] * longest <= best_3[2] <= RADII[1] * longest else None


def _votes(circle_T3: NDArray[Any], point_P2: NDArray[Any]) -> NDArray[np.int64]:
    """Points near each circle: | d^2 - r^2 | is 2 r | d - r | there, and costs no root."""
    circle_T3, point_P2 = circle_T3.astype(np.float32), point_P2.astype(np.float32)  # half the memory, twice the speed
    r_T1 = circle_T3[:, 2:]
    x_TP, y_TP = point_P2[:, 0] - circle_T3[:, :1], point_P2[:, 1] - circle_T3[:, 1:2]
    gap_TP = np.abs(x_TP**2 + y_TP**2 - r_T1**2)
    votes_T: NDArray[np.int64] = (gap_TP <= 2 * r_T1 * np.maximum(0.75, NEAR * r_T1)).sum(axis=1)
    return votes_T


def _through(corner_T32: Floats) -> Floats:
    """Circles through three points each; points on a line give none."""
    a_T2, b_T2, c_T2 = corner_T32[:, 0], corner_T32[:, 1], corner_T32[:, 2]
    b_T2, c_T2 = b_T2 - a_T2, c_T2 - a_T2
    twice_T = 2 * (b_T2[:, 0] * c_T2[:, 1] - b_T2[:, 1] * c_T2[:, 0])
    good_T = np.abs(twice_T) > 1e-6
    a_T2, b_T2, c_T2, twice_T = a_T2[good_T], b_T2[good_T], c_T2[good_T], twice_T[good_T]
    bb_T, cc_T = (b_T2**2).sum(1), (c_T2**2).sum(1)
    x_T = (c_T2[:, 1] * bb_T - b_T2[:, 1] * cc_T) / twice_T
    y_T = (b_T2[:, 0] * cc_T - c_T2[:, 0] * bb_T) / twice_T
    return np.stack([a_T2[:, 0] + x_T, a_T2[:, 1] + y_T, np.hypot(x_T, y_T)], axis=1)


def _near(circle_3: Floats, point_P2: Floats) -> NDArray[np.bool_]:
    distance_P = np.hypot(point_P2[:, 0] - circle_3[0], point_P2[:, 1] - circle_3[1])
    near_P: NDArray[np.bool_] = np.abs(distance_P - circle_3[2]) <= max(0.75, NEAR * circle_3[2])
    return near_P


def _fitted(point_P2: Floats) -> Floats:
    """Kasa 1976: least squares of x^2 + y^2 = 2 a x + 2 b y + c, linear in a, b and c."""
    middle_2 = point_P2.mean(axis=0)  # the sums stay small, so nothing is lost to rounding
    centred_P2 = point_P2 - middle_2
    design_P3 = np.column_stack([2 * centred_P2, np.ones(len(point_P2))])
    a, b, c = np.linalg.lstsq(design_P3, (centred_P2**2).sum(1), rcond=None)[0]
    return np.array([a + middle_2[0], b + middle_2[1], np.sqrt(max(c + a * a + b * b, 0.0))])


def _convinces(circle_3: Floats, point_P2: Floats, lit_hw: NDArray[np.bool_]) -> bool:
    """Enough of the outline on enough of the circle, light inside, dark outside."""
    x, y, radius = circle_3
    near_P = _near(circle_3, point_P2)
    angle_P = np.arctan2(point_P2[near_P, 1] - y, point_P2[near_P, 0] - x)
    arc = len(np.unique(np.floor((angle_P + np.pi) / (2 * np.pi) * 36))) / 36
    y_h, x_w = (np.arange(side) + 0.5 for side in lit_hw.shape)
    distance_hw = np.hypot(x_w[None, :] - x, y_h[:, None] - y)
    inside, outside = lit_hw[distance_hw < 0.97 * radius], lit_hw[distance_hw > 1.03 * radius]
    if inside.size == 0 or outside.size < 0.01 * lit_hw.size:
        return False
    return bool(arc >= ARC and near_P.mean() >= ON and inside.mean() >= FULL and 1 - outside.mean() >= DARK)

"""Lays one thumbnail over another and says how well their fine texture agrees.

B pairs, H = W = side of the thumbnail in pixels, P pixels of a thumbnail. A *view* is an affine map as six numbers
(y0, yy, yx, x0, xy, xx) in units of the side about the image's centre: the point (y, x) of the fixed image lies at
(y0 + yy y + yx x, x0 + xy y + xx x) of the moving one. An *orientation* is a number 0-7: bit 2 transposes, then
bit 1 turns rows around, then bit 0 turns columns around (the eight flips and quarter turns).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, map_coordinates

Floats = NDArray[np.float32]

WHOLE = np.array([0, 1, 0, 0, 0, 1], dtype=np.float32)  # the view that changes nothing
REACH = 0.2  # no view may shift, stretch or shear by more than this share of the side
FINE, BROAD = 0.7, 2.0  # texture: between these scales (pixels of the thumbnail); 0.7 removes noise and JPEG blocks,
# 2.0 removes what all images of an organ share: outline, vignette, field of view
SHAPE_FINE, SHAPE_BROAD = 1.5, 12.0  # what the coarse registration follows
LEVEL = 0.004  # one grey level of 255: contrast below it is not evidence


def oriented(image_BHW: Floats, orientation_B: NDArray[np.int64]) -> Floats:
    """Every image in its own orientation."""
    turned = np.empty_like(image_BHW)
    for code in range(8):
        chosen_B = orientation_B == code
        if chosen_B.any():
            turned[chosen_B] = _orient(image_BHW[chosen_B], code)
    return turned


def texture(image_BHW: Floats, *, fine: float = FINE, broad: float = BROAD, level: float = LEVEL) -> Floats:
    """Fine detail with local contrast divided out, so that a bright rim counts no more than a faint vessel.

    Local contrast well below `level` (share of full scale) is no texture.
    Difference of Gaussians over its local root mean square (contrast normalisation: Jarrett et al., ICCV 2009, sec. 2).
    """
    band_BHW = _band(image_BHW, fine=fine, broad=broad)
    local_BHW: Floats = np.sqrt(_blurred(band_BHW * band_BHW, broad))
    local_BHW += np.float32(level)
    normalised: Floats = band_BHW / local_BHW
    return normalised


def outline(image_BHW: Floats) -> Floats:
    """Shape at half the resolution and unit spread: what the coarse registration follows."""
    half_BHW = _halved(_band(image_BHW, fine=SHAPE_FINE, broad=SHAPE_BROAD))
    spread_B11 = half_BHW.std(axis=(1, 2), keepdims=True)
    scaled: Floats = (half_BHW / (spread_B11 + np.float32(1e-6))).astype(np.float32)
    return scaled


def warp(image_BHW: Floats, view_B6: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Images seen through views (bilinear), and which pixels lie inside the image."""
    count, side, _ = image_BHW.shape
    y_BHW, x_BHW = _coordinates(view_B6, side)
    inside_BHW = (y_BHW >= -0.5) & (y_BHW <= side - 0.5) & (x_BHW >= -0.5) & (x_BHW <= side - 0.5)
    y_BHW, x_BHW = np.clip(y_BHW, 0, side - 1.001), np.clip(x_BHW, 0, side - 1.001)
    row_BHW, column_BHW = y_BHW.astype(np.int32), x_BHW.astype(np.int32)
    down_BHW, right_BHW = y_BHW - row_BHW, x_BHW - column_BHW
    corner_BHW = row_BHW * side + column_BHW + (np.arange(count, dtype=np.int32) * side * side)[:, None, None]
    flat = image_BHW.reshape(-1)
    top_BHW, low_BHW = flat[corner_BHW], flat[corner_BHW + side]
    top_BHW = top_BHW + (flat[corner_BHW + 1] - top_BHW) * right_BHW
    low_BHW = low_BHW + (flat[corner_BHW + side + 1] - low_BHW) * right_BHW
    return top_BHW + (low_BHW - top_BHW) * down_BHW, inside_BHW


def register(fixed_BHW: Floats, moving_BHW: Floats, view_B6: Floats, *, steps: int) -> Floats:
    """Views refined by Gauss-Newton on the squared difference, with gain and offset of the intensities free.

    Forward additive Lucas-Kanade with the mean of both gradients (Baker and Matthews, IJCV 2004, eq. 10; the mean
    gradient: Malis, ICRA 2004, eq. 22).
    """
    gradient_fixed = np.gradient(fixed_BHW, axis=(1, 2))
    for _ in range(steps):
        seen_BHW, inside_BHW = warp(moving_BHW, view_B6)
        gradient_seen = np.gradient(seen_BHW, axis=(1, 2))
        down_BHW, right_BHW = (a + b for a, b in zip(gradient_fixed, gradient_seen, strict=True))
        slope_B8P = _slopes(seen_BHW, down_BHW, right_BHW)
        change_B8 = _solve(slope_B8P, inside_BHW, fixed_BHW - seen_BHW)
        view_B6 = np.clip(view_B6 + np.clip(change_B8[:, :6], -0.08, 0.08), WHOLE - REACH, WHOLE + REACH)
    return view_B6


def agreement(fixed_BHW: Floats, moving_BHW: Floats, view_B6: Floats) -> Floats:
    """Correlation of two textures over the pixels that both images hold, in [-1, 1]; bilinear and quick."""
    seen_BHW, inside_BHW = warp(moving_BHW, view_B6)
    return _correlation(fixed_BHW, seen_BHW, inside_BHW)


def exact_agreement(fixed_BHW: Floats, thumb_BHW: Floats, view_B6: Floats) -> Floats:
    """Of fixed textures with moving *thumbnails*, by cubic splines: no blur of interpolation takes texture away."""
    side = fixed_BHW.shape[1]
    y_BHW, x_BHW = _coordinates(view_B6, side)
    inside_BHW = (y_BHW >= -0.5) & (y_BHW <= side - 0.5) & (x_BHW >= -0.5) & (x_BHW <= side - 0.5)
    seen_BHW = np.empty_like(fixed_BHW)
    for image_HW, y_HW, x_HW, out_HW in zip(thumb_BHW, y_BHW, x_BHW, seen_BHW, strict=True):
        map_coordinates(image_HW, (y_HW, x_HW), output=out_HW, order=3, mode="nearest")
    return _correlation(fixed_BHW, texture(seen_BHW), inside_BHW)


def _orient(image_BHW: Floats, code: int) -> Floats:
    if code & 4:
        image_BHW = image_BHW.transpose(0, 2, 1)
    if code & 2:
        image_BHW = image_BHW[:, ::-1]
    return image_BHW[:, :, ::-1] if code & 1 else image_BHW


def _band(image_BHW: Floats, *, fine: float, broad: float) -> Floats:
    return _blurred(image_BHW, fine) - _blurred(image_BHW, broad)


def _blurred(image_BHW: Floats, scale: float) -> Floats:
    """A Gaussian filter as two products with one small matrix: three times as fast as filtering line by line."""
    blur_HH = _blur(image_BHW.shape[1], scale)
    blurred: Floats = blur_HH @ (image_BHW @ blur_HH.T)
    return blurred


@cache
def _blur(side: int, scale: float) -> Floats:
    """The matrix that filters a line of `side` pixels, mirrored at its ends."""
    blur_HH: Floats = gaussian_filter1d(np.eye(side), scale, axis=0, mode="reflect", truncate=3.0).astype(np.float32)
    return blur_HH


def _halved(image_BHW: Floats) -> Floats:
    count, side, _ = image_BHW.shape
    halved: Floats = image_BHW.reshape(count, side // 2, 2, side // 2, 2).mean(axis=(2, 4))
    return halved


def _grid(side: int) -> Floats:
    """Pixel centres in units of the side about the centre."""
    return (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side) - np.float32(0.5)


def _coordinates(view_B6: Floats, side: int) -> tuple[Floats, Floats]:
    """Where in the moving image, in pixels, every pixel of the fixed one lies."""
    centre = _grid(side)
    v = view_B6[:, :, None, None]
    y_BHW = v[:, 0] + v[:, 1] * centre[:, None] + v[:, 2] * centre
    x_BHW = v[:, 3] + v[:, 4] * centre[:, None] + v[:, 5] * centre
    offset = np.float32(0.5 * side - 0.5)
    return y_BHW * np.float32(side) + offset, x_BHW * np.float32(side) + offset


def _slopes(seen_BHW: Floats, down_BHW: Floats, right_BHW: Floats) -> Floats:
    """Derivatives of a pixel by the six numbers of the view, by gain and by offset."""
    count, side, _ = seen_BHW.shape
    centre, scale = _grid(side), np.float32(0.5 * side)
    slope_B8HW = np.empty((count, 8, side, side), dtype=np.float32)
    for first, gradient_BHW in ((0, down_BHW), (3, right_BHW)):
        np.multiply(gradient_BHW, scale, out=slope_B8HW[:, first])
        np.multiply(slope_B8HW[:, first], centre[:, None], out=slope_B8HW[:, first + 1])
        np.multiply(slope_B8HW[:, first], centre, out=slope_B8HW[:, first + 2])
    slope_B8HW[:, 6], slope_B8HW[:, 7] = seen_BHW, 1.0
    return slope_B8HW.reshape(count, 8, side * side)


def _solve(slope_B8P: Floats, inside_BHW: NDArray[np.bool_], difference_BHW: Floats) -> Floats:
    """The least-squares change, a trace of ridge keeping featureless images solvable."""
    count, _, pixels = slope_B8P.shape
    weighted_B8P = slope_B8P * inside_BHW.reshape(count, 1, pixels)
    square_B88 = weighted_B8P @ slope_B8P.transpose(0, 2, 1)
    ridge_B = 1e-4 * np.trace(square_B88, axis1=1, axis2=2) / 8 + 1e-6
    square_B88 = square_B88 + ridge_B[:, None, None].astype(np.float32) * np.eye(8, dtype=np.float32)
    target_B81 = weighted_B8P @ difference_BHW.reshape(count, pixels, 1)
    change_B8: Floats = np.linalg.solve(square_B88, target_B81)[:, :, 0]
    return change_B8


def _correlation(first_BHW: Floats, second_BHW: Floats, inside_BHW: NDArray[np.bool_]) -> Floats:
    shape = (len(first_BHW), first_BHW.shape[1] * first_BHW.shape[2])
    weight_BP = inside_BHW.reshape(shape).astype(np.float32)
    total_B1 = np.maximum(weight_BP.sum(axis=1, keepdims=True), 1.0)
    a_BP, b_BP = first_BHW.reshape(shape), second_BHW.reshape(shape)
    a_BP = (a_BP - (a_BP * weight_BP).sum(axis=1, keepdims=True) / total_B1) * weight_BP
    b_BP = (b_BP - (b_BP * weight_BP).sum(axis=1, keepdims=True) / total_B1) * weight_BP
    product_B = (a_BP * b_BP).sum(axis=1)
    size_B: Floats = np.sqrt((a_BP * a_BP).sum(axis=1) * (b_BP * b_BP).sum(axis=1))
    correlation_B: Floats = product_B / np.maximum(size_B, np.float32(1e-6))
    return correlation_B

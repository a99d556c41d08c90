"""Whether two textures agree at all once one is slid over the other: cheap, so it is asked before any registration.

P pairs, B images, h = w = 32 pixels, f = 17 frequencies of a real line.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

from augury.data.codes import sampling
from augury.data.registration import Floats, oriented

SIDE = 32
TAPER = 2.0  # pixels lost of a square-root Hann window at either end, so that what slides out counts little
REACH = 2  # pixels of 32 by which a texture may slide beyond what the view says: 6 % of the side
LEVELS = 127.0  # a stored texture is bytes; its largest value becomes 127


def small_textures(detail_BHW: Floats, view_6: Floats) -> Floats:
    """B x 32 x 32: every texture seen through an upright view, tapered, without mean, of unit length."""
    side = detail_BHW.shape[1]
    shrink_hH = _halving(side) @ sampling(side, start=view_6[0], zoom=view_6[1])
    shrink_wW = _halving(side) @ sampling(side, start=view_6[3], zoom=view_6[5])
    window_h = _window()
    small_Bhw = (window_h[:, None] * shrink_hH) @ (detail_BHW @ (window_h[:, None] * shrink_wW).T)
    small_Bhw -= small_Bhw.mean(axis=(1, 2), keepdims=True)
    length_B11 = np.sqrt((small_Bhw * small_Bhw).sum(axis=(1, 2), keepdims=True))
    unit: Floats = small_Bhw / np.maximum(length_B11, np.float32(1e-3))
    return unit


def packed(small_Bhw: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Bytes and the factor of every image: a thousand bytes an image, at an error of the correlation below 0.003."""
    scale_B = np.maximum(np.abs(small_Bhw).max(axis=(1, 2)), np.float32(1e-6)) / np.float32(LEVELS)
    return np.rint(small_Bhw / scale_B[:, None, None]).astype(np.int8), scale_B.astype(np.float32)


def slid(
    fixed_Phw: Floats, moving_Phw: Floats, orientation_P: NDArray[np.int64]
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """The largest correlation of turned fixed textures with moving ones slid by up to REACH, and the slide (y, x).

    Cross-correlation through the Fourier transform (Lewis 1995, sec. 2); `fixed[y] ~ moving[y - slide]`.
    """
    product_Phf = rfft2(oriented(fixed_Phw, orientation_P)) * np.conj(rfft2(moving_Phw))
    around_Phw = np.roll(irfft2(product_Phf, s=(SIDE, SIDE)), (REACH, REACH), axis=(1, 2))
    width = 2 * REACH + 1
    near_Ps = around_Phw[:, :width, :width].reshape(len(fixed_Phw), width * width)
    best_P = near_Ps.argmax(axis=1)
    y_P, x_P = np.divmod(best_P, width)
    score_P: Floats = np.take_along_axis(near_Ps, best_P[:, None], axis=1)[:, 0]
    return score_P, y_P - REACH, x_P - REACH


def _halving(side: int) -> Floats:
    """Means of neighbouring pixels, 32 x side."""
    halving: Floats = np.repeat(np.eye(SIDE, dtype=np.float32), side // SIDE, axis=1) * np.float32(SIDE / side)
    return halving


def _window() -> Floats:
    place = (np.arange(SIDE) + TAPER) / (SIDE - 1 + 2 * TAPER)
    window: Floats = np.sin(np.pi * place).astype(np.float32)  # the square root of Hann's
    return window

"""The perceptual code of an image: what finds near duplicates in any orientation and under small crops.

The code is the low part of the cosine transform of an image's texture. There a flip changes the sign of the odd
coefficients and a transposition exchanges the axes, so that the products of the four parity classes give the best of
all eight orientations from the arithmetic of two. Crops are met by coding an image through a few smaller views too.

N images, V views, B a block of images, C another block, P pairs, K coefficients an axis, D the parity-sorted
coefficients, T 2: as it is and transposed, S 4: the flips.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from augury.data.registration import WHOLE, Floats, texture

LOWEST, HIGHEST = 2.0, 12.0  # half-periods over the side: below lies what images of an organ share
FINE, BROAD = 1.0, 3.0  # scales of the coded texture, pixels of the thumbnail
EMPTY = 1.0  # a code shorter than this says nothing (a flat image has 0, real ones and phantoms 24 and more)
# Signs of the four parity classes (even-even, even-odd, odd-even, odd-odd) under the four flips; flip f is bit 1
# (rows) and bit 0 (columns) of an orientation.
SIGNS_SC = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], dtype=np.float32)


def views() -> Floats:
    """The whole image, nine views of 95 % and four of 90 % of its side (V x 6, legend in registration.py)."""
    nine, four = product((-1, 0, 1), repeat=2), product((-1, 1), repeat=2)
    boxes = [(0.95, a / 60, b / 60) for a, b in nine] + [(0.9, a / 40, b / 40) for a, b in four]
    zoomed = [[y, side, 0, x, 0, side] for side, y, x in boxes]
    return np.array([WHOLE, *zoomed], dtype=np.float32)


def detail(thumb_BHW: NDArray[np.uint16]) -> Floats:
    """The texture that is coded and compared: noise and JPEG blocks are finer, what organs share is broader."""
    return texture(thumb_BHW.astype(np.float32) / np.float32(65535), fine=FINE, broad=BROAD)


def codes_of(detail_BHW: Floats, view_V6: Floats) -> Floats:
    """V x B x D: unit vectors, or zeros for images without texture."""
    return np.stack([code_of(detail_BHW, view_6) for view_6 in view_V6])


def code_of(detail_BHW: Floats, view_6: Floats) -> Floats:
    """B x D; zooming and transforming are one small matrix an axis, since a view is upright here."""
    side = detail_BHW.shape[1]
    vertical_KH = _waves(side) @ sampling(side, start=view_6[0], zoom=view_6[1])
    horizontal_KW = _waves(side) @ sampling(side, start=view_6[3], zoom=view_6[5])
    half_BHK = detail_BHW @ horizontal_KW.T
    code_BD = (vertical_KH @ half_BHK).reshape(len(detail_BHW), -1)[:, layout()[0]]
    length_B1 = np.sqrt((code_BD * code_BD).sum(axis=1, keepdims=True))
    unit: Floats = np.where(length_B1 < EMPTY, np.float32(0), code_BD / np.maximum(length_B1, np.float32(EMPTY)))
    return unit


def sampling(side: int, *, start: float, zoom: float) -> Floats:
    """The matrix that samples a line of `side` pixels through one axis of a view, bilinearly."""
    centre = (np.arange(side) + 0.5) / side - 0.5
    place = np.clip((start + zoom * centre + 0.5) * side - 0.5, 0, side - 1)
    weights: Floats = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(side))).astype(np.float32)
    return weights


@cache
def layout() -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[int, ...]]:
    """Flat positions of the coefficients sorted by parity class; the transposing permutation; the classes' bounds."""
    size = int(HIGHEST)
    u_KK, v_KK = np.mgrid[0:size, 0:size]
    radius_KK = np.hypot(u_KK, v_KK)
    kept = np.flatnonzero((radius_KK >= LOWEST) & (radius_KK < HIGHEST))
    u_D, v_D = kept // size, kept % size
    parity_D = 2 * (u_D % 2) + v_D % 2
    order = kept[np.argsort(parity_D, kind="stable")]
    place = {int(flat): position for position, flat in enumerate(order)}
    transposed = np.array([place[int(flat % size * size + flat // size)] for flat in order], dtype=np.int64)
    bounds = (0, *np.cumsum(np.bincount(parity_D, minlength=4)).tolist())
    return order, transposed, bounds


def similarity(query_VBD: Floats, code_CD: Floats) -> Floats:
    """B x C: largest correlation over views and orientations of a block of queries with a block of codes."""
    _, transposed, bounds = layout()
    best_BC = np.full((query_VBD.shape[1], len(code_CD)), -1.0, dtype=np.float32)
    parts = [np.ascontiguousarray(code_CD[:, low:high].T) for low, high in pairwise(bounds)]
    for query_BD in query_VBD:
        for turned_BD in (query_BD, query_BD[:, transposed]):
            even, right, down, both = (
                np.ascontiguousarray(turned_BD[:, low:high]) @ part
                for (low, high), part in zip(pairwise(bounds), parts, strict=True)
            )
            np.maximum(best_BC, _best_flip(even, right, down, both), out=best_BC)
    return best_BC


def best_fit(query_VPD: Floats, code_PD: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """View and orientation in which every query fits its code best."""
    _, transposed, bounds = layout()
    dots_TVPC = np.stack(
        [np.add.reduceat(query_VPD * turned_PD, bounds[:-1], axis=2) for turned_PD in (code_PD, code_PD[:, transposed])]
    )
    fit_TSVP = np.einsum("tvpc,sc->tsvp", dots_TVPC, SIGNS_SC)
    best_P = fit_TSVP.reshape(int(np.prod(fit_TSVP.shape[:3])), -1).argmax(axis=0)
    turn_P, view_P = np.divmod(best_P, len(query_VPD))  # turn = 4 transposed + flips: an orientation's number
    return view_P.astype(np.int64), turn_P.astype(np.int64)


def oriented_code(code_PD: Floats, orientation: int) -> Floats:
    """The code of an image turned as `registration.oriented` turns it."""
    order, transposed, _ = layout()
    if orientation & 4:
        code_PD = code_PD[:, transposed]
    u_D, v_D = order // int(HIGHEST), order % int(HIGHEST)
    odd_D = (u_D % 2) * (orientation >> 1 & 1) + (v_D % 2) * (orientation & 1)
    turned: Floats = code_PD * np.where(odd_D % 2 == 1, np.float32(-1), np.float32(1))
    return turned


@cache
def _waves(side: int) -> Floats:
    """The lowest cosines of the orthonormal transform, K x side."""
    waves: Floats = dct(np.eye(side), axis=0, norm="ortho")[: int(HIGHEST)].astype(np.float32)
    return waves


def _best_flip(even: Floats, right: Floats, down: Floats, both: Floats) -> Floats:
    """max over signs a, b of even + a down + b right + a b both; overwrites its arguments."""
    total = down + right
    np.abs(total, out=total)
    total += both
    np.subtract(down, right, out=down)
    np.abs(down, out=down)
    down -= both
    np.maximum(total, down, out=total)
    total += even
    return total

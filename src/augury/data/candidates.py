"""Which few pairs of N images may be near duplicates: a perceptual code and one blocked sweep over all pairs.

The code of an image is the low part of the cosine transform of its texture. There a flip changes the sign of the odd
coefficients and a transposition exchanges the axes, so that the products of the four parity classes give the best of
all eight orientations from the arithmetic of two. Crops are met by coding every image through a few smaller views too.

N images, V views, K coefficients an axis, D the parity-sorted coefficients, B a block of rows, C a block of columns.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from augury.data.registration import WHOLE, Floats, texture

Task = TypeVar("Task")
Result = TypeVar("Result")

LOWEST, HIGHEST = 2.0, 12.0  # half-periods over the side: below lies what images of an organ share
CODE_FINE, CODE_BROAD = 1.0, 4.0  # scales of the coded texture, pixels of the thumbnail
CLOSE = 0.65  # codes that correlate less are no candidates (planted twins: 0.70 and more)
EACH = 4  # candidates an image may name
BLOCK = 256  # rows and eight times as many columns: a tile stays in the second-level cache


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Pairs: `moving` seen through `view` looks like `fixed` turned by `orientation` (legend in registration.py)."""

    fixed_P: NDArray[np.int64]
    moving_P: NDArray[np.int64]
    view_P6: Floats
    orientation_P: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.fixed_P)


def views() -> Floats:
    """The whole image, and four views each of 95 % and 90 % of its side."""
    steps = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    boxes = [(0.95, 0.0125 * a, 0.0125 * b) for a, b in steps] + [(0.9, 0.025 * a, 0.025 * b) for a, b in steps]
    zoomed = [[y, side, 0, x, 0, side] for side, y, x in boxes]
    return np.array([WHOLE, *zoomed], dtype=np.float32)


def candidates(thumb_NHW: NDArray[np.uint16], *, workers: int) -> Candidates:
    """For each of one image or more the closest few others, in any orientation and under small crops of either."""
    code_VND = _codes(thumb_NHW, workers=workers)
    blocks = [(start, min(start + BLOCK, len(thumb_NHW))) for start in range(0, len(thumb_NHW), BLOCK)]
    found = parallel(lambda block: _closest(code_VND, *block), blocks, workers=workers)
    moving_P = np.concatenate([rows_p for rows_p, _ in found])
    fixed_P = np.concatenate([columns_p for _, columns_p in found])
    return _one_a_pair(code_VND, moving_P, fixed_P)


def parallel(work: Callable[[Task], Result], tasks: list[Task], *, workers: int) -> list[Result]:
    """The results in order; threads, because numpy's loops release the interpreter."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        return list(pool.map(work, tasks))


def _codes(thumb_NHW: NDArray[np.uint16], *, workers: int) -> Floats:
    blocks = [thumb_NHW[start : start + BLOCK] for start in range(0, len(thumb_NHW), BLOCK)]
    return np.concatenate(parallel(_block_codes, blocks, workers=workers), axis=1)


def _block_codes(thumb_BHW: NDArray[np.uint16]) -> Floats:
    detail_BHW = texture(thumb_BHW.astype(np.float32) / np.float32(65535), fine=CODE_FINE, broad=CODE_BROAD)
    return np.stack([_code(detail_BHW, view_6) for view_6 in views()])


def _code(detail_BHW: Floats, view_6: Floats) -> Floats:
    """Unit vectors; zooming and transforming are one small matrix an axis, since a view is upright here."""
    side = detail_BHW.shape[1]
    vertical_KH = _waves(side) @ _sampling(side, start=view_6[0], zoom=view_6[1])
    horizontal_KW = _waves(side) @ _sampling(side, start=view_6[3], zoom=view_6[5])
    spectrum_BKK = vertical_KH @ detail_BHW @ horizontal_KW.T
    code_BD = spectrum_BKK.reshape(len(detail_BHW), -1)[:, _layout()[0]]
    length_B1 = np.sqrt((code_BD * code_BD).sum(axis=1, keepdims=True))
    unit: Floats = code_BD / np.maximum(length_B1, np.float32(1e-3))
    return unit


def _waves(side: int) -> Floats:
    """The lowest cosines of the orthonormal transform, K x side."""
    waves: Floats = dct(np.eye(side), axis=0, norm="ortho")[: int(HIGHEST)].astype(np.float32)
    return waves


def _sampling(side: int, *, start: float, zoom: float) -> Floats:
    """The matrix that samples a line of `side` pixels through one axis of a view, bilinearly."""
    centre = (np.arange(side) + 0.5) / side - 0.5
    place = np.clip((start + zoom * centre + 0.5) * side - 0.5, 0, side - 1)
    weights: Floats = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(side))).astype(np.float32)
    return weights


@cache
def _layout() -> tuple[NDArray[np.int64], NDArray[np.int64], list[int]]:
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
    bounds = [0, *np.cumsum(np.bincount(parity_D, minlength=4)).tolist()]
    return order, transposed, bounds


def _closest(code_VND: Floats, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows, columns): for the images from start to stop, seen through any view, the closest others."""
    count = code_VND.shape[1]
    best_BN = np.empty((stop - start, count), dtype=np.float32)
    for left in range(0, count, 8 * BLOCK):
        columns = slice(left, min(left + 8 * BLOCK, count))
        best_BN[:, columns] = _tile(code_VND[:, start:stop], code_VND[0, columns])
    best_BN[np.arange(stop - start), np.arange(start, stop)] = -1.0
    each = min(EACH, count - 1)
    if each < 1:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    chosen_BE = np.argpartition(best_BN, count - each, axis=1)[:, count - each :]
    close_BE = np.take_along_axis(best_BN, chosen_BE, axis=1) >= CLOSE
    rows_BE = np.broadcast_to(np.arange(start, stop)[:, None], chosen_BE.shape)
    return rows_BE[close_BE], chosen_BE[close_BE]


def _tile(query_VBD: Floats, code_CD: Floats) -> Floats:
    """Largest correlation over views and orientations of a block of queries with a block of codes."""
    _, transposed, bounds = _layout()
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


def _one_a_pair(code_VND: Floats, moving_P: NDArray[np.int64], fixed_P: NDArray[np.int64]) -> Candidates:
    """The better of (a seen in b) and (b seen in a), with the view and the orientation that fit best."""
    score_P, view_P, orientation_P = _best_fit(code_VND, moving_P, fixed_P)
    low_P, high_P = np.minimum(moving_P, fixed_P), np.maximum(moving_P, fixed_P)
    order = np.lexsort((-score_P, high_P, low_P))
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (np.diff(low_P[order]) != 0) | (np.diff(high_P[order]) != 0)
    kept = order[new]
    return Candidates(
        fixed_P=fixed_P[kept],
        moving_P=moving_P[kept],
        view_P6=views()[view_P[kept]],
        orientation_P=orientation_P[kept],
    )


def _best_fit(
    code_VND: Floats, moving_P: NDArray[np.int64], fixed_P: NDArray[np.int64]
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Score, view and orientation of the best fit of every pair."""
    best_P = np.full(len(moving_P), -1.0, dtype=np.float32)
    view_P, orientation_P = np.zeros(len(moving_P), dtype=np.int64), np.zeros(len(moving_P), dtype=np.int64)
    for orientation in range(8):
        turned_PD = _oriented_code(code_VND[0, fixed_P], orientation)
        for view, code_ND in enumerate(code_VND):
            score_P = np.einsum("pd,pd->p", code_ND[moving_P], turned_PD)
            better_P = score_P > best_P
            best_P[better_P], view_P[better_P], orientation_P[better_P] = score_P[better_P], view, orientation
    return best_P, view_P, orientation_P


def _oriented_code(code_PD: Floats, orientation: int) -> Floats:
    """The code of an image turned as `registration.oriented` turns it."""
    order, transposed, _ = _layout()
    if orientation & 4:
        code_PD = code_PD[:, transposed]
    u_D, v_D = order // int(HIGHEST), order % int(HIGHEST)
    odd_D = (u_D % 2) * (orientation >> 1 & 1) + (v_D % 2) * (orientation & 1)
    turned: Floats = code_PD * np.where(odd_D % 2 == 1, np.float32(-1), np.float32(1))
    return turned

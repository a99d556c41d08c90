"""Which few pairs of N images may be near duplicates, without comparing all with all.

Three sieves, each finer and dearer than the one before: the cells of a perceptual code (cells.py), the code itself
(codes.py), and the texture of 32 x 32 pixels slid over the other (shifts.py). What an image costs does not depend on
how many there are, but for the look at the anchors (0.07 ms an image among 100,000, 1 ms among a million).

Held for every image: 234 bytes of code and 1,028 of texture. Thumbnails are read in blocks and may be memory-mapped.
N images, B queries, V views, D coefficients, P pairs, h = w = 32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augury.data.cells import BLOCK, Cells, build, parallel
from augury.data.codes import best_fit, codes_of, detail, layout, similarity, views
from augury.data.registration import WHOLE, Floats
from augury.data.shifts import SIDE, packed, slid, small_textures

CLOSE = 0.65  # codes that correlate less are no candidates (planted twins: 0.70 and more)
SHORT = 24  # images on a query's short list: those of the closest codes
ALIKE = 0.62  # slid textures that correlate less are no candidates (planted twins of the required kinds: 0.73 and more)
EACH = 4  # candidates an image may name: those of its short list whose textures agree best
CLEAR = 0.85  # but so many more that agree at least so well: else copies take the places of slices of one head
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Pairs: `moving` seen through `view` looks like `fixed` turned by `orientation` (legend in registration.py)."""

    fixed_P: Ints
    moving_P: Ints
    view_P6: Floats
    orientation_P: Ints
    score_P: Floats  # of the slid textures

    def __len__(self) -> int:
        return len(self.fixed_P)

    @staticmethod
    def joined(parts: list[Candidates]) -> Candidates:
        """All pairs of one part or more."""
        return Candidates(
            fixed_P=np.concatenate([part.fixed_P for part in parts]),
            moving_P=np.concatenate([part.moving_P for part in parts]),
            view_P6=np.concatenate([part.view_P6 for part in parts]),
            orientation_P=np.concatenate([part.orientation_P for part in parts]),
            score_P=np.concatenate([part.score_P for part in parts]),
        )

    def at(self, index: Ints) -> Candidates:
        """The pairs at these positions."""
        return Candidates(
            fixed_P=self.fixed_P[index],
            moving_P=self.moving_P[index],
            view_P6=self.view_P6[index],
            orientation_P=self.orientation_P[index],
            score_P=self.score_P[index],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Thumbs:
    """Chosen thumbnails of a stack that may lie on disk: nothing is read until it is asked for."""

    all_NHW: NDArray[np.uint16]
    index_U: Ints

    def __len__(self) -> int:
        return len(self.index_U)

    def __getitem__(self, places: Ints | slice) -> NDArray[np.uint16]:
        read: NDArray[np.uint16] = self.all_NHW[self.index_U[places]]
        return read


@dataclass(frozen=True, kw_only=True, eq=False)
class _Known:
    """What is held of every image."""

    code_ND: NDArray[np.float16]
    small_Nhw: NDArray[np.int8]
    scale_N: Floats

    def small(self, index: Ints) -> Floats:
        restored: Floats = self.small_Nhw[index] * self.scale_N[index][:, None, None]
        return restored


def candidates(thumbs: Thumbs, *, workers: int) -> Candidates:
    """For each of one image or more the few others that look alike, in any orientation and under small crops."""
    known = _known(thumbs, workers=workers)
    cells = build(known.code_ND, workers=workers)
    blocks = [cells.order_N[start : start + BLOCK] for start in range(0, len(cells.order_N), BLOCK)]
    none = np.empty(0, dtype=np.int64)
    found = parallel(lambda index_b: _of_block(thumbs, known, cells, np.sort(index_b)), blocks, workers=workers)
    nothing = Candidates(
        fixed_P=none, moving_P=none, view_P6=views()[none], orientation_P=none, score_P=np.empty(0, dtype=np.float32)
    )
    return _one_a_pair(Candidates.joined([nothing, *found]))


def _known(thumbs: Thumbs, *, workers: int) -> _Known:
    count = len(thumbs)
    whole_16 = views()[:1]
    code_ND = np.empty((count, len(layout()[0])), dtype=np.float16)
    small_Nhw, scale_N = np.empty((count, SIDE, SIDE), dtype=np.int8), np.empty(count, dtype=np.float32)

    def fill(part: slice) -> None:
        detail_BHW = detail(thumbs[part])
        code_ND[part] = codes_of(detail_BHW, whole_16)[0]
        small_Nhw[part], scale_N[part] = packed(small_textures(detail_BHW, WHOLE))

    parallel(fill, [slice(start, start + BLOCK) for start in range(0, count, BLOCK)], workers=workers)
    return _Known(code_ND=code_ND, small_Nhw=small_Nhw, scale_N=scale_N)


def _of_block(thumbs: Thumbs, known: _Known, cells: Cells, index_B: Ints) -> Candidates:
    """The candidates of some queries, which see the others through every view."""
    detail_BHW = detail(thumbs[index_B])
    query_VBD = codes_of(detail_BHW, views())
    query_P, fixed_P = _short_list(known, cells, query_VBD, index_B)
    view_P, orientation_P = best_fit(query_VBD[:, query_P], known.code_ND[fixed_P].astype(np.float32))
    moving_VBhw = np.stack([small_textures(detail_BHW, view_6) for view_6 in views()])
    score_P, y_P, x_P = slid(known.small(fixed_P), moving_VBhw[view_P, query_P], orientation_P)
    view_P6 = _slid_views(views()[view_P], y_P, x_P)
    kept = _named(query_P, score_P)
    return Candidates(
        fixed_P=fixed_P[kept],
        moving_P=index_B[query_P[kept]],
        view_P6=view_P6[kept],
        orientation_P=orientation_P[kept],
        score_P=score_P[kept],
    )


def _named(query_P: Ints, score_P: Floats) -> Ints:
    """Positions of the pairs that a query names: the clear ones, and the best of the others."""
    clear_P = np.where(score_P >= CLEAR, score_P, -1.0)
    others_P = np.where(score_P < CLEAR, score_P, -1.0)
    best = [_best_of_each(query_P, part_P, least=ALIKE, most=EACH) for part_P in (clear_P, others_P)]
    return np.concatenate(best)


def _slid_views(view_P6: Floats, y_P: Ints, x_P: Ints) -> Floats:
    """Views with a slide added: what slides down by y shows at any place what lay zoom * y above."""
    view_P6[:, 0] -= view_P6[:, 1] * y_P / SIDE
    view_P6[:, 3] -= view_P6[:, 5] * x_P / SIDE
    return view_P6


def _short_list(known: _Known, cells: Cells, query_VBD: Floats, index_B: Ints) -> tuple[Ints, Ints]:
    """(places in the block, images): for every query the few images in the cells it visits whose codes are closest."""
    visited_BM = cells.visited(query_VBD)
    rows: list[Ints] = []
    images: list[Ints] = []
    scores: list[Floats] = []
    for cell in np.unique(visited_BM).tolist():
        visitors_b = np.flatnonzero((visited_BM == cell).any(axis=1))
        member_c = cells.order_N[cells.members(cell)]
        code_cD = known.code_ND[member_c].astype(np.float32)
        fit_bc = similarity(query_VBD[:, visitors_b], code_cD)
        fit_bc[index_B[visitors_b][:, None] == member_c] = -1.0
        b, c = _largest(fit_bc, most=SHORT)
        rows.append(visitors_b[b])
        images.append(member_c[c])
        scores.append(fit_bc[b, c])
    row_P, score_P = np.concatenate(rows), np.concatenate(scores)
    kept = _best_of_each(row_P, score_P, least=CLOSE, most=SHORT)
    return row_P[kept], np.concatenate(images)[kept]


def _largest(fit_bc: Floats, *, most: int) -> tuple[Ints, Ints]:
    """Where the largest few of every row stand, as far as they are close."""
    count = fit_bc.shape[1]
    if count > most:
        chosen = np.argpartition(fit_bc, count - most, axis=1)[:, count - most :]
        row, place = np.nonzero(np.take_along_axis(fit_bc, chosen, axis=1) >= CLOSE)
        return row, chosen[row, place]
    row, column = np.nonzero(fit_bc >= CLOSE)
    return row, column


def _best_of_each(row_P: Ints, score_P: Floats, *, least: float, most: int) -> Ints:
    """Positions of the best few pairs of every row that reach the least score."""
    order = np.lexsort((-score_P, row_P))
    order = order[score_P[order] >= least]
    sorted_p = row_P[order]
    rank_p = np.arange(len(order)) - np.searchsorted(sorted_p, sorted_p)
    return order[rank_p < most]


def _one_a_pair(found: Candidates) -> Candidates:
    """The better of (a seen in b) and (b seen in a), ordered by the pair."""
    low_P, high_P = np.minimum(found.moving_P, found.fixed_P), np.maximum(found.moving_P, found.fixed_P)
    order = np.lexsort((found.fixed_P, -found.score_P, high_P, low_P))
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (np.diff(low_P[order]) != 0) | (np.diff(high_P[order]) != 0)
    return found.at(order[new])

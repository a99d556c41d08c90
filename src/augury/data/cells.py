"""An inverted file over perceptual codes: every image lies in the cell of the anchor it resembles most.

A query then meets the members of the few cells whose anchors it resembles, not the whole set (Sivic and Zisserman,
ICCV 2003; Jegou et al., PAMI 2011, sec. IV). Likeness is the best over all orientations and, for a query, over its
views: so a turned or cropped copy comes to the cell of its original. Anchors are images of the set itself, evenly
drawn: where images lie densely, anchors do too, and cells stay small.

N images, K cells, D coefficients, B queries, M cells a query visits.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from augury.data.codes import similarity
from augury.data.registration import Floats

Task = TypeVar("Task")
Result = TypeVar("Result")

MEMBERS = 256  # images a cell holds on average
VISITS = 12  # cells a query visits: sets of up to MEMBERS x VISITS images are compared all with all
BLOCK = 512


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """`order_N` lists the images cell by cell; cell k holds order_N[start_K1[k] : start_K1[k + 1]]."""

    anchor_KD: Floats
    order_N: NDArray[np.int64]
    start_K1: NDArray[np.int64]

    def members(self, cell: int) -> slice:
        """Where the images of a cell stand in `order_N`."""
        return slice(int(self.start_K1[cell]), int(self.start_K1[cell + 1]))

    def visited(self, query_VBD: Floats) -> NDArray[np.int64]:
        """B x M: the cell that every query would lie in, so that a turned copy is always met, and the next likely."""
        count = len(self.anchor_KD)
        visits = min(VISITS, count)
        if visits == count:
            everything: NDArray[np.int64] = np.broadcast_to(np.arange(count), (query_VBD.shape[1], count))
            return everything
        likeness_BK = similarity(query_VBD, self.anchor_KD)
        own_B = similarity(query_VBD[:1], self.anchor_KD).argmax(axis=1)
        likeness_BK[np.arange(len(own_B)), own_B] = np.inf
        chosen: NDArray[np.int64] = np.argpartition(likeness_BK, count - visits, axis=1)[:, count - visits :]
        return chosen


def build(code_ND: NDArray[np.float16], *, workers: int) -> Cells:
    """The cells of these codes; images without a code (all zeros) lie in none."""
    coded_n = np.flatnonzero(code_ND.any(axis=1))
    count = max(1, len(coded_n) // MEMBERS)
    drawn = coded_n[(np.arange(count) * len(coded_n)) // count] if len(coded_n) else coded_n
    anchor_KD = code_ND[drawn].astype(np.float32)
    blocks = [coded_n[start : start + BLOCK] for start in range(0, len(coded_n), BLOCK)]

    def nearest(index_b: NDArray[np.int64]) -> NDArray[np.int64]:
        own_b: NDArray[np.int64] = similarity(code_ND[index_b].astype(np.float32)[None], anchor_KD).argmax(axis=1)
        return own_b

    cell_n = np.concatenate([np.empty(0, dtype=np.int64), *parallel(nearest, blocks, workers=workers)])
    return Cells(
        anchor_KD=anchor_KD,
        order_N=coded_n[np.argsort(cell_n, kind="stable")],
        start_K1=np.searchsorted(np.sort(cell_n), np.arange(len(anchor_KD) + 1)).astype(np.int64),
    )


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel(work: Callable[[Task], Result], tasks: list[Task], *, workers: int) -> list[Result]:
    """The results in order; threads, because numpy's loops release the interpreter."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        return list(pool.map(work, tasks))

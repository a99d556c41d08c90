"""Nearest neighbours in feature space, by blocked matrix products; the distances that come out are exact.

N query rows, M base rows, D features, k neighbours, C candidates, P pairs.

|x - y|^2 = |x|^2 + |y|^2 - 2 x.y is quick in float32 and wrong by up to `_slack` of it. So the products only name
candidates, and the distances of those that can be among the k are computed again from the differences, in float64. A
row whose candidates do not settle the matter (many neighbours equally far) is searched again in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.floating]
IntArray = NDArray[np.int64]
Engine = Literal["auto", "torch", "faiss"]
BLOCK, BLOCK_DEVICE = 1 << 24, 1 << 29  # bytes of one block of products: what a processor's cache holds; on a device
_SPARE = 4  # candidates beyond k
_COLUMNS = 4096


def nearest(
    query_ND: Floats,
    base_MD: Floats,
    *,
    k: int = 1,
    own: bool = False,
    device: str = "cpu",
    block: int | None = None,
    engine: Engine = "auto",
) -> tuple[NDArray[np.float32], IntArray]:
    """The k nearest base rows of every query row: Euclidean distance_Nk, ascending, and index_Nk.

    `own` says that both are the same rows, and then no row is its own neighbour. Of rows equally far any may come.
    Memory beyond a centred float32 copy of both tables is a few times `block` bytes (None: 16 MiB, 512 MiB off the
    processor). Engine `auto` takes faiss where it is installed and the device is the processor.

    Raises:
        ValueError: tables of different width, something not finite, or fewer than k neighbours to find.
    """
    check_features(query_ND, base_MD)
    if own and len(query_ND) != len(base_MD):
        raise ValueError(f"got {len(query_ND)} and {len(base_MD)} rows, expected the same rows twice where own is True")
    available = len(base_MD) - own
    if not 1 <= k <= available:
        raise ValueError(f"got k = {k}, expected 1 to {available}, the rows that can be a neighbour")
    tables = Centred.of(query_ND, base_MD, device=device, block=block)
    own_N = np.arange(len(query_ND)) if own else None
    count = min(k + _SPARE, available)
    if _takes_faiss(engine, device):
        square_NC, index_NC = _faiss_candidates(tables, count, own_N=own_N)
    else:
        square_NC, index_NC = _candidates(tables, count, own_N=own_N)
    unsure_N = _unsure(tables, square_NC, k=k) if count < available else np.zeros(len(query_ND), dtype=bool)
    distance_Nk, index_Nk = _settle(tables, square_NC, index_NC, k=k)
    if unsure_N.any():
        again = Centred.of(query_ND[unsure_N], base_MD, device=device, block=block, precise=True)
        own_n = None if own_N is None else own_N[unsure_N]
        distance_Nk[unsure_N], index_Nk[unsure_N] = _settle(again, *_candidates(again, count, own_N=own_n), k=k)
    return distance_Nk, index_Nk


def pair_distances(query_ND: Floats, base_MD: Floats, *, row_P: IntArray, column_P: IntArray) -> NDArray[np.float32]:
    """Euclidean distance_P of the named pairs, from their differences summed in float64.

    The square is rounded to float32 before the root is taken, as in scikit-learn: comparisons come out as there.
    """
    square_P = np.empty(len(row_P), dtype=np.float32)
    for part in slices(len(row_P), max(1, BLOCK // (16 * query_ND.shape[1]))):
        gap_pD = query_ND[row_P[part]].astype(np.float64) - base_MD[column_P[part]]
        square_P[part] = np.einsum("pd,pd->p", gap_pD, gap_pD)
    return np.sqrt(square_P)


def nearest_groups(
    query_ND: Floats, base_MD: Floats, *, group_M: IntArray, k: int, device: str = "cpu", block: int | None = None
) -> tuple[NDArray[np.float32], IntArray]:
    """The k groups of base rows with the nearest member, for every query row: distance_Nk, ascending, and group_Nk.

    Products in float64; distances that these cannot tell from 0 are 0, so that copies tie.

    Raises:
        ValueError: tables of different width, something not finite, no group per base row, fewer than k groups.
    """
    check_features(query_ND, base_MD)
    code_G, group_M = np.unique(group_M, return_inverse=True)
    if len(group_M) != len(base_MD) or not 1 <= k <= len(code_G):
        raise ValueError(f"got {len(group_M)} rows of {len(code_G)} groups, expected {len(base_MD)} and at least {k}")
    order_M = np.argsort(group_M, kind="stable")
    tables = Centred.of(query_ND, base_MD[order_M], device=device, block=block, precise=True)
    distance_Nk = np.empty((len(query_ND), k), dtype=np.float32)
    group_Nk = np.empty((len(query_ND), k), dtype=np.int64)
    for row, square_nG in _group_squares(tables, group_M[order_M], groups=len(code_G)):
        square_nG[square_nG <= tables.slack_N[row, None]] = 0.0
        near_nk = np.argpartition(square_nG, k - 1, axis=1)[:, :k]
        distance_nk = (np.sqrt(np.take_along_axis(square_nG, near_nk, axis=1)) / tables.scale).astype(np.float32)
        order_nk = np.lexsort((near_nk, distance_nk), axis=1)
        distance_Nk[row] = np.take_along_axis(distance_nk, order_nk, axis=1)
        group_Nk[row] = code_G[np.take_along_axis(near_nk, order_nk, axis=1)]
    return distance_Nk, group_Nk


def check_features(*tables: Floats) -> None:
    """ValueError unless all are finite tables of one width with a row at least."""
    shapes = [table.shape for table in tables]
    if any(len(shape) != 2 or 0 in shape for shape in shapes) or len({shape[1] for shape in shapes}) != 1:
        raise ValueError(f"got features of shapes {shapes}, expected tables N x D of the same width D")
    if not all(np.isfinite(table[part]).all() for table in tables for part in slices(len(table), _COLUMNS)):
        raise ValueError("a feature is not finite; repair the encoder before comparing sets")


def slices(count: int, step: int) -> Iterator[slice]:
    """Consecutive slices of at most `step` that cover `count` things."""
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


@dataclass(frozen=True, kw_only=True)
class Centred:
    """Both tables with the base's mean taken off and scaled into [-1, 1], as tensors, with squared norms and slack."""

    query_ND: Floats
    base_MD: Floats
    x_ND: Tensor
    y_MD: Tensor
    x_N: Tensor  # squared norms
    y_M: Tensor
    scale: float  # what the features were multiplied by
    slack_N: NDArray[np.float64]  # no squared distance of a row is off by more
    slack_M: NDArray[np.float64]
    block: int

    @classmethod
    def of(
        cls, query_ND: Floats, base_MD: Floats, *, device: str = "cpu", block: int | None = None, precise: bool = False
    ) -> Centred:
        """Float64 where `precise`, else float32; float64 too where the user allowed float32 products to be inexact."""
        inexact = device != "cpu" and torch.get_float32_matmul_precision() != "highest"
        kind = np.float64 if precise or inexact else np.float32
        mean_D = base_MD.mean(axis=0, dtype=np.float64)
        tables = (base_MD,) if query_ND is base_MD else (query_ND, base_MD)
        largest = max(
            float(np.abs(table[part] - mean_D).max()) for table in tables for part in slices(len(table), _COLUMNS)
        )
        scale = 1.0 / largest if largest > 0 else 1.0
        x_ND = _scaled(query_ND, mean_D, scale=scale, kind=kind, device=device)
        y_MD = x_ND if query_ND is base_MD else _scaled(base_MD, mean_D, scale=scale, kind=kind, device=device)
        x_N, y_M = (x_ND * x_ND).sum(1), (y_MD * y_MD).sum(1)
        far_x, far_y = x_N.max().sqrt(), y_M.max().sqrt()
        unit = float(np.finfo(kind).eps) / 2
        return cls(
            query_ND=query_ND, base_MD=base_MD, x_ND=x_ND, y_MD=y_MD, x_N=x_N, y_M=y_M, scale=scale,
            slack_N=_slack(x_N.sqrt(), far_y, width=x_ND.shape[1], unit=unit),
            slack_M=_slack(y_M.sqrt(), far_x, width=x_ND.shape[1], unit=unit),
            block=block or (BLOCK if device == "cpu" else BLOCK_DEVICE),
        )  # fmt: skip

    def squares(self, *, half: bool = False) -> Iterator[tuple[slice, slice, Tensor]]:
        """Squared distances block by block, with their rows and columns.

        `half`, of a table and itself: only columns from a block's first row on, since the rest are the same again.
        """
        columns = min(len(self.y_MD), _COLUMNS)
        rows = max(1, self.block // (self.x_ND.element_size() * columns))
        for row in slices(len(self.x_ND), rows):
            first = row.start if half else 0
            for part in slices(len(self.y_MD) - first, columns):
                column = slice(first + part.start, first + part.stop)
                square_nm = torch.addmm(self.y_M[column], self.x_ND[row], self.y_MD[column].T, alpha=-2)
                yield row, column, square_nm.add_(self.x_N[row, None])


def _scaled(
    table_ND: Floats, mean_D: NDArray[np.float64], *, scale: float, kind: type[np.floating], device: str
) -> Tensor:
    scaled_ND = np.empty(table_ND.shape, dtype=kind)
    for part in slices(len(table_ND), _COLUMNS):
        scaled_ND[part] = (table_ND[part] - mean_D) * scale
    return torch.from_numpy(scaled_ND).to(device)


def _slack(norm_N: Tensor, farthest: Tensor, *, width: int, unit: float) -> NDArray[np.float64]:
    """Bound on the error of |x|^2 + |y|^2 - 2 x.y: that of three sums of D products (Higham 2002, section 3.1)."""
    both_N = (norm_N + farthest).double().cpu().numpy() ** 2
    gamma = width * unit / (1 - width * unit)
    slack_N: NDArray[np.float64] = (gamma + 8 * unit) * both_N
    return slack_N


def _candidates(tables: Centred, count: int, *, own_N: IntArray | None) -> tuple[Floats, IntArray]:
    """The `count` smallest squared distances of every row as the products give them, ascending, and their columns."""
    best = _Best(len(tables.x_ND), count, like=tables.x_ND)
    half = own_N is not None and tables.x_ND is tables.y_MD
    for row, column, square_nm in tables.squares(half=half):
        if own_N is not None:
            here_n = np.flatnonzero((own_N[row] >= column.start) & (own_N[row] < column.stop))
            square_nm[torch.from_numpy(here_n), torch.from_numpy(own_N[row][here_n] - column.start)] = torch.inf
        best.meet(row, square_nm, first=column.start)
        new = max(column.start, row.stop)
        if half and new < column.stop:
            best.meet(slice(new, column.stop), square_nm[:, new - column.start :].T.contiguous(), first=row.start)
    return best.square_NC.cpu().numpy(), best.index_NC.cpu().numpy()


class _Best:
    """The nearest columns that every row has met so far."""

    def __init__(self, rows: int, count: int, *, like: Tensor) -> None:
        self.square_NC = like.new_full((rows, count), torch.inf)
        self.index_NC = torch.zeros((rows, count), dtype=torch.int64, device=like.device)

    def meet(self, row: slice, square_nm: Tensor, *, first: int) -> None:
        """These rows meet the columns from `first` on."""
        count = self.square_NC.shape[1]
        found_nc, place_nc = square_nm.topk(min(count, square_nm.shape[1]), dim=1, largest=False)
        both_nc = torch.cat([self.square_NC[row], found_nc], dim=1)
        self.square_NC[row], order_nC = both_nc.topk(count, dim=1, largest=False)
        self.index_NC[row] = torch.cat([self.index_NC[row], place_nc + first], dim=1).gather(1, order_nC)


def _group_squares(tables: Centred, group_M: IntArray, *, groups: int) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """For a block of rows the smallest squared distance to each group; base rows come sorted by group."""
    square_nG = np.empty((0, groups))
    for row, column, square_nm in tables.squares():
        if column.start == 0:
            square_nG = np.full((row.stop - row.start, groups), np.inf)
        found_g, start_g = np.unique(group_M[column], return_index=True)
        square_ng = np.minimum.reduceat(square_nm.cpu().numpy(), start_g, axis=1)
        square_nG[:, found_g] = np.minimum(square_nG[:, found_g], square_ng)
        if column.stop == len(group_M):
            yield row, square_nG


def _takes_faiss(engine: Engine, device: str) -> bool:
    if engine not in ("auto", "torch", "faiss"):
        raise ValueError(f"got engine {engine!r}, expected auto, torch or faiss")
    installed = find_spec("faiss") is not None
    if engine == "faiss" and not (installed and device == "cpu"):
        raise ValueError("engine 'faiss' needs the package faiss-cpu and device 'cpu'; install it or take 'torch'")
    return engine != "torch" and installed and device == "cpu"


def _faiss_candidates(tables: Centred, count: int, *, own_N: IntArray | None) -> tuple[Floats, IntArray]:
    """The same by faiss (Douze et al. 2024); it is asked for one more, since it may find the row itself."""
    import faiss

    asked = count if own_N is None else count + 1
    square_NC, index_NC = faiss.knn(tables.x_ND.float().numpy(), tables.y_MD.float().numpy(), asked)
    if own_N is not None:
        square_NC[index_NC == own_N[:, None]] = np.inf
        order_NC = np.argsort(square_NC, axis=1, kind="stable")[:, :count]
        square_NC, index_NC = (np.take_along_axis(table, order_NC, axis=1) for table in (square_NC, index_NC))
    return square_NC, index_NC.astype(np.int64)


def _unsure(tables: Centred, square_NC: Floats, *, k: int) -> NDArray[np.bool_]:
    """Rows in which something that is no candidate could be among the k nearest."""
    unsure_N: NDArray[np.bool_] = square_NC[:, -1] <= square_NC[:, k - 1] + 2 * tables.slack_N
    return unsure_N


def _settle(tables: Centred, square_NC: Floats, index_NC: IntArray, *, k: int) -> tuple[NDArray[np.float32], IntArray]:
    """The k nearest by exact distances, of the candidates that are near enough to be among them; ties by index."""
    row_P, place_P = np.nonzero(square_NC <= (square_NC[:, k - 1] + 2 * tables.slack_N)[:, None])
    distance_NC = np.full(square_NC.shape, np.inf, dtype=np.float32)
    distance_NC[row_P, place_P] = pair_distances(
        tables.query_ND, tables.base_MD, row_P=row_P, column_P=index_NC[row_P, place_P]
    )
    order_Nk = np.lexsort((index_NC, distance_NC), axis=1)[:, :k]
    return np.take_along_axis(distance_NC, order_Nk, axis=1), np.take_along_axis(index_NC, order_Nk, axis=1)

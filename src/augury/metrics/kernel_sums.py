"""Sums of the kernel of KID over blocks of two sets: all that its value and its jackknife need.

N, M images, D features, B, C blocks of images.

KID is a small difference of large sums. So the common mean m is taken off the features, x' = x - m, and the kernel
(c + g)^3 is written as its constant, its linear part (both in float64) and what float32 then may round.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augury.metrics.neighbours import check_features, slices

Array = NDArray[np.float64]
Floats = NDArray[np.floating]
IntArray = NDArray[np.int64]
PRECISE = 1 << 16  # pairs; up to so many float64 costs nothing
_ROWS, _COLUMNS = 200, 4096  # of one block of the kernel


@dataclass(frozen=True, kw_only=True)
class KernelSums:
    """Sums of the kernel over pairs of blocks, pairs of one group left out: all that leaving blocks out needs."""

    xx_BB: Array
    yy_BB: Array
    xy_BB: Array
    size_x_B: IntArray
    size_y_B: IntArray
    alike_x_B: IntArray  # pairs left out: of an image with itself, and with the others of its group
    alike_y_B: IntArray

    @property
    def value(self) -> float:
        """The unbiased MMD^2 of the whole sets."""
        return self._mmd(self.xx_BB.sum(), self.xy_BB.sum(), self.size_x_B.sum(), self.alike_x_B.sum())

    def without_x(self) -> list[float]:
        """The value without each block of x."""
        left_B = self.xx_BB.sum() - 2 * self.xx_BB.sum(1) + self.xx_BB.diagonal()
        cross_B, n, alike = self.xy_BB.sum() - self.xy_BB.sum(1), self.size_x_B.sum(), self.alike_x_B.sum()
        return [
            self._mmd(left, cross, n - size, alike - alike_b)
            for left, cross, size, alike_b in zip(left_B, cross_B, self.size_x_B, self.alike_x_B, strict=True)
        ]

    def _mmd(self, xx: float, xy: float, n: int, alike: int) -> float:
        """With all of y, and n items of x."""
        m = self.size_y_B.sum()
        pairs_x, pairs_y = n**2 - alike, m**2 - self.alike_y_B.sum()
        if min(pairs_x, pairs_y) < 1:
            raise ValueError(f"got {n} and {m} items, expected two of each set at least, of different groups")
        return float(xx / pairs_x + self.yy_BB.sum() / pairs_y - 2 * xy / (n * m))

    def without_y(self) -> list[float]:
        """The value without each block of y."""
        swapped = KernelSums(
            xx_BB=self.yy_BB, yy_BB=self.xx_BB, xy_BB=self.xy_BB.T, size_x_B=self.size_y_B, size_y_B=self.size_x_B,
            alike_x_B=self.alike_y_B, alike_y_B=self.alike_x_B,
        )  # fmt: skip
        return swapped.without_x()


def kernel_sums(
    x_ND: Floats,
    y_MD: Floats,
    *,
    block_x_N: IntArray | None = None,
    block_y_M: IntArray | None = None,
    group_x_N: NDArray[np.generic] | None = None,
    group_y_M: NDArray[np.generic] | None = None,
    device: str = "cpu",
) -> KernelSums:
    """Sums of the kernel of `kid` by blocks (0, 1, ... as `jackknife.blocks` gives them; None: one block).

    A block holds whole groups; None takes every image for a group of its own.
    """
    check_features(x_ND, y_MD)
    precise = len(x_ND) * len(y_MD) <= PRECISE
    x, y = features(x_ND, y_MD, device=device, precise=precise)
    block_x_N = np.zeros(len(x_ND), dtype=np.int64) if block_x_N is None else block_x_N
    block_y_M = np.zeros(len(y_MD), dtype=np.int64) if block_y_M is None else block_y_M
    sums = block_sums(x, y, block_x_N=block_x_N, block_y_M=block_y_M)
    return replace(
        sums,
        xx_BB=sums.xx_BB - np.diag(_within_groups(x, block_x_N, group_x_N)),
        yy_BB=sums.yy_BB - np.diag(_within_groups(y, block_y_M, group_y_M)),
        alike_x_B=_alike(block_x_N, group_x_N),
        alike_y_B=_alike(block_y_M, group_y_M),
    )


def _within_groups(x: Features, block_N: IntArray, group_N: NDArray[np.generic] | None) -> Array:
    """Sum of the kernel over pairs of different images of one group, by block."""
    sum_B = np.zeros(int(block_N.max()) + 1)
    if group_N is None:
        return sum_B
    for rows in _rows_of(group_N):
        if len(rows) > 1:
            part = x.rows(rows)
            one = np.array([len(rows)])
            sums = part.totals(one)
            total = sums.straight(sums)[0, 0] + float(part.curved(part).double().sum())
            sum_B[block_N[rows[0]]] += total - part.own_N.sum()
    return sum_B


def _alike(block_N: IntArray, group_N: NDArray[np.generic] | None) -> IntArray:
    """Pairs of images of one group, each with itself too, by block."""
    if group_N is None:
        return np.bincount(block_N)
    rows_of = _rows_of(group_N)
    if any(len(np.unique(block_N[rows])) > 1 for rows in rows_of):
        raise ValueError("a group lies in two blocks; make blocks of whole groups with jackknife.blocks")
    alike_B = np.zeros(int(block_N.max()) + 1, dtype=np.int64)
    np.add.at(alike_B, [block_N[rows[0]] for rows in rows_of], [len(rows) ** 2 for rows in rows_of])
    return alike_B


def _rows_of(group_N: NDArray[np.generic]) -> list[IntArray]:
    _, code_N, size_G = np.unique(group_N, return_inverse=True, return_counts=True)
    return np.split(np.argsort(code_N, kind="stable"), np.cumsum(size_G)[:-1])


@dataclass(frozen=True)
class Features:
    """Of one set z = x' / sqrt(D) and u = m.x' / D, and of both c = m.m / D + 1: x.y / D + 1 = c + (z.z + u + u)."""

    z_ND: Tensor
    u_N: Array
    own_N: Array  # k(x, x): what an image's pair with itself adds, straight and curved
    c: float

    def rows(self, index_n: IntArray) -> Features:
        """These images, copied."""
        z_nD = self.z_ND[torch.from_numpy(index_n).to(self.z_ND.device)]
        return Features(z_nD, self.u_N[index_n], self.own_N[index_n], self.c)

    def part(self, rows: slice) -> Features:
        """These images, not copied."""
        return Features(self.z_ND[rows], self.u_N[rows], self.own_N[rows], self.c)

    def curved(self, other: Features) -> Tensor:
        """(c + g)^3 less its constant and linear part, g^2 (3 c + g), for all pairs with the other set."""
        u_n, u_m = (self.z_ND.new_tensor(one.u_N) for one in (self, other))
        g_nm = torch.addmm(u_m, self.z_ND, other.z_ND.T).add_(u_n[:, None])
        return (g_nm + 3 * self.c).mul_(g_nm).mul_(g_nm)

    def totals(self, size_B: IntArray) -> Totals:
        """Sums over blocks of these sizes."""
        stop_B = np.cumsum(size_B)
        parts = [slice(stop - size, stop) for stop, size in zip(stop_B, size_B, strict=True)]
        z_BD = torch.stack([self.z_ND[part].sum(0, dtype=torch.float64) for part in parts]).cpu().numpy()
        return Totals(np.array([self.u_N[part].sum() for part in parts]), z_BD, size_B, self.c)


@dataclass(frozen=True)
class Totals:
    """Sums of u and z over blocks, in float64."""

    u_B: Array
    z_BD: Array
    size_B: IntArray
    c: float

    def straight(self, other: Totals) -> Array:
        """Sums of c^3 + 3 c^2 g over pairs of blocks, from sums over single images."""
        gap_BC = np.outer(self.u_B, other.size_B) + np.outer(self.size_B, other.u_B) + self.z_BD @ other.z_BD.T
        sum_BC: Array = self.c**3 * np.outer(self.size_B, other.size_B) + 3 * self.c**2 * gap_BC
        return sum_BC


def features(x_ND: Floats, y_MD: Floats, *, device: str, precise: bool) -> tuple[Features, Features]:
    """Both sets, centred together; `precise` in float64."""
    width = x_ND.shape[1]
    mean_D = (x_ND.mean(0, dtype=np.float64) + y_MD.mean(0, dtype=np.float64)) / 2
    inexact = device != "cpu" and torch.get_float32_matmul_precision() != "highest"
    kind, c = np.float64 if precise or inexact else np.float32, float(mean_D @ mean_D / width + 1)
    made = []
    for table_ND in (x_ND, y_MD):
        z_ND, u_N, own_N = np.empty(table_ND.shape, dtype=kind), np.empty(len(table_ND)), np.empty(len(table_ND))
        for rows in slices(len(table_ND), _COLUMNS):
            centred_nD = table_ND[rows] - mean_D
            z_ND[rows], u_N[rows] = centred_nD / np.sqrt(width), centred_nD @ mean_D / width
            own_N[rows] = (c + np.einsum("nd,nd->n", centred_nD, centred_nD) / width + 2 * u_N[rows]) ** 3
        made.append(Features(torch.from_numpy(z_ND).to(device), u_N, own_N, c))
    return made[0], made[1]


def block_sums(x: Features, y: Features, *, block_x_N: IntArray, block_y_M: IntArray) -> KernelSums:
    """The sums where every image is a group of its own."""
    x, y = _sorted(x, block_x_N), _sorted(y, block_y_M)
    size_x_B, size_y_B = np.bincount(block_x_N), np.bincount(block_y_M)
    total_x, total_y = x.totals(size_x_B), y.totals(size_y_B)
    block_y_M, xy_BB = np.sort(block_y_M), total_x.straight(total_y)
    for block, rows in _runs(size_x_B):
        for columns in slices(len(block_y_M), _COLUMNS):
            curved_nm = x.part(rows).curved(y.part(columns))
            xy_BB[block] += _by_block(curved_nm, block_y_M[columns], count=len(size_y_B))
    return KernelSums(
        xx_BB=_within(x, total_x), yy_BB=_within(y, total_y), xy_BB=xy_BB, size_x_B=size_x_B, size_y_B=size_y_B,
        alike_x_B=size_x_B, alike_y_B=size_y_B,
    )  # fmt: skip


def _sorted(x: Features, block_N: IntArray) -> Features:
    in_order = bool((np.diff(block_N) >= 0).all())
    return x if in_order else x.rows(np.argsort(block_N, kind="stable"))


def _within(x: Features, total: Totals) -> Array:
    """Sums over pairs of different images of one sorted set: a pair is computed once and counted both ways."""
    size_B, count = total.size_B, len(total.size_B)
    block_N = np.repeat(np.arange(count), size_B)
    sum_BB = total.straight(total) - np.diag(np.bincount(block_N, x.own_N, count))
    for block, rows in _runs(size_B):
        part = x.part(rows)
        sum_BB[block, block] += float(part.curved(part).sum(0).double().sum())
        for later in slices(len(block_N) - rows.stop, _COLUMNS):
            columns = slice(rows.stop + later.start, rows.stop + later.stop)
            sum_B = _by_block(part.curved(x.part(columns)), block_N[columns], count=count)
            sum_BB[block] += sum_B
            sum_BB[:, block] += sum_B
    return sum_BB


def _by_block(value_nm: Tensor, block_m: IntArray, *, count: int) -> Array:
    """Column sums, added up by the columns' block: float32 only over a column's rows."""
    sum_B: Array = np.bincount(block_m, value_nm.sum(0).double().cpu().numpy(), count).astype(np.float64)
    return sum_B


def _runs(size_B: IntArray) -> list[tuple[int, slice]]:
    """Each block's rows, at most `_ROWS` at a time."""
    start_B = np.cumsum(size_B) - size_B
    return [
        (block, slice(int(start_B[block]) + part.start, int(start_B[block]) + part.stop))
        for block in range(len(size_B))
        for part in slices(int(size_B[block]), _ROWS)
    ]

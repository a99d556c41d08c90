"""How near a set of synthetic images is to real ones: the kernel distance of their features.

Pure functions on arrays. N, M images, D features, B blocks of images.

KID is a small difference of large sums. So the common mean m is taken off the features, x' = x - m, and the kernel
(c + g)^3 is written as its constant, its linear part (both in float64) and what float32 then may round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augury.metrics.estimate import Estimate, Unit
from augury.metrics.jackknife import several
from augury.metrics.neighbours import check_features, slices

Array = NDArray[np.float64]
Floats = NDArray[np.floating]
IntArray = NDArray[np.int64]
_PRECISE = 1 << 16  # pairs; up to so many float64 costs nothing
_ROWS, _COLUMNS = 200, 4096  # of one block of the kernel


@dataclass(frozen=True, kw_only=True)
class Kid:
    """Kernel inception distance: its mean over subsets, their standard deviation, and how they were drawn."""

    value: float
    sd: float
    subsets: int
    subset_size: int


def kid(
    x_ND: Floats,
    y_MD: Floats,
    *,
    subsets: int = 100,
    subset_size: int | None = None,
    seed: int,
    device: str = "cpu",
) -> Kid:
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / D + 1)^3 (Binkowski 2018, equation 4).

    0 in expectation where both sets are draws of one distribution; it may fall below 0. None takes subsets of
    min(1000, 65 % of the smaller set). `kid_estimate` gives the whole sets' value with its interval.

    Raises:
        ValueError: other than two tables of the same features, or a subset size that the sets do not hold.
    """
    check_features(x_ND, y_MD)
    smaller = min(len(x_ND), len(y_MD))
    size = min(1000, int(0.65 * smaller)) if subset_size is None else subset_size
    if not 2 <= size <= smaller:
        raise ValueError(f"got subsets of {size}, expected at least 2 and at most {smaller}, the smaller set")
    rng, values = np.random.default_rng(seed), []
    x, y = _features(x_ND, y_MD, device=device, precise=size**2 <= _PRECISE)
    one_N = np.zeros(size, dtype=np.int64)
    for _ in range(subsets):
        drawn_x, drawn_y = x.rows(rng.permutation(len(x_ND))[:size]), y.rows(rng.permutation(len(y_MD))[:size])
        values.append(_sums(drawn_x, drawn_y, block_x_N=one_N, block_y_M=one_N).value)
    return Kid(value=float(np.mean(values)), sd=float(np.std(values)), subsets=subsets, subset_size=size)


def squared_mmd(x_ND: Floats, y_MD: Floats, *, device: str = "cpu") -> float:
    """The unbiased estimate of MMD^2 (Gretton 2012, equation 3) with the cubic kernel of `kid`, of the whole sets."""
    return kernel_sums(x_ND, y_MD, device=device).value


def kid_estimate(
    x_ND: Floats,
    y_MD: Floats,
    *,
    block_x_N: IntArray,
    block_y_M: IntArray,
    n: int,
    unit: Unit = "group",
    level: float = 0.95,
    device: str = "cpu",
) -> Estimate:
    """`squared_mmd` of the whole sets with its interval: the jackknife over blocks of either, from one pass.

    n is the number of units behind it. ValueError where a set has a single block or features do not fit.
    """
    sums = kernel_sums(x_ND, y_MD, block_x_N=block_x_N, block_y_M=block_y_M, device=device)
    return several(sums.value, [sums.without_x(), sums.without_y()], n=n, unit=unit, level=level)


@dataclass(frozen=True, kw_only=True)
class KernelSums:
    """Sums of the kernel over pairs of blocks, an image with itself left out: all that leaving blocks out needs."""

    xx_BB: Array
    yy_BB: Array
    xy_BB: Array
    size_x_B: IntArray
    size_y_B: IntArray

    @property
    def value(self) -> float:
        """The unbiased MMD^2 of the whole sets."""
        return _mmd(self.xx_BB.sum(), self.yy_BB.sum(), self.xy_BB.sum(), self.size_x_B.sum(), self.size_y_B.sum())

    def without_x(self) -> list[float]:
        """The value without each block of x."""
        left_B = self.xx_BB.sum() - 2 * self.xx_BB.sum(1) + self.xx_BB.diagonal()
        cross_B, count = self.xy_BB.sum() - self.xy_BB.sum(1), self.size_x_B.sum()
        return [
            _mmd(left, self.yy_BB.sum(), cross, count - size, self.size_y_B.sum())
            for left, cross, size in zip(left_B, cross_B, self.size_x_B, strict=True)
        ]

    def without_y(self) -> list[float]:
        """The value without each block of y."""
        swapped = KernelSums(
            xx_BB=self.yy_BB, yy_BB=self.xx_BB, xy_BB=self.xy_BB.T, size_x_B=self.size_y_B, size_y_B=self.size_x_B
        )
        return swapped.without_x()


def _mmd(xx: float, yy: float, xy: float, n: int, m: int) -> float:
    if min(n, m) < 2:
        raise ValueError(f"got {n} and {m} items, expected two of each set at least")
    return float(xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m))


def kernel_sums(
    x_ND: Floats,
    y_MD: Floats,
    *,
    block_x_N: IntArray | None = None,
    block_y_M: IntArray | None = None,
    device: str = "cpu",
) -> KernelSums:
    """Sums of the kernel of `kid` by blocks (0, 1, ... as `jackknife.blocks` gives them; None: one block)."""
    check_features(x_ND, y_MD)
    precise = len(x_ND) * len(y_MD) <= _PRECISE
    x, y = _features(x_ND, y_MD, device=device, precise=precise)
    return _sums(
        x, y,
        block_x_N=np.zeros(len(x_ND), dtype=np.int64) if block_x_N is None else block_x_N,
        block_y_M=np.zeros(len(y_MD), dtype=np.int64) if block_y_M is None else block_y_M,
    )  # fmt: skip


@dataclass(frozen=True)
class _Features:
    """Of one set z = x' / sqrt(D) and u = m.x' / D, and of both c = m.m / D + 1: x.y / D + 1 = c + (z.z + u + u)."""

    z_ND: Tensor
    u_N: Array
    c: float

    def rows(self, index_n: IntArray) -> _Features:
        """These images, copied."""
        return _Features(self.z_ND[torch.from_numpy(index_n).to(self.z_ND.device)], self.u_N[index_n], self.c)

    def part(self, rows: slice) -> _Features:
        """These images, not copied."""
        return _Features(self.z_ND[rows], self.u_N[rows], self.c)

    def curved(self, other: _Features) -> Tensor:
        """(c + g)^3 less its constant and linear part, g^2 (3 c + g), for all pairs with the other set."""
        u_n, u_m = (self.z_ND.new_tensor(one.u_N) for one in (self, other))
        g_nm = torch.addmm(u_m, self.z_ND, other.z_ND.T).add_(u_n[:, None])
        return (g_nm + 3 * self.c).mul_(g_nm).mul_(g_nm)

    def straight(self, other: _Features, size_B: IntArray, size_C: IntArray) -> Array:
        """Sums of c^3 + 3 c^2 g over pairs of blocks of these sizes, in float64 from sums over single images."""
        (u_B, z_BD), (u_C, z_CD) = self._totals(size_B), other._totals(size_C)
        gap_BC = np.outer(u_B, size_C) + np.outer(size_B, u_C) + z_BD @ z_CD.T
        sum_BC: Array = self.c**3 * np.outer(size_B, size_C) + 3 * self.c**2 * gap_BC
        return sum_BC

    def _totals(self, size_B: IntArray) -> tuple[Array, Array]:
        stop_B = np.cumsum(size_B)
        parts = [slice(stop - size, stop) for stop, size in zip(stop_B, size_B, strict=True)]
        z_BD = torch.stack([self.z_ND[part].sum(0, dtype=torch.float64) for part in parts]).cpu().numpy()
        return np.array([self.u_N[part].sum() for part in parts]), z_BD

    def own(self) -> Array:
        """What an image's pair with itself adds, straight and curved: k(x, x)_N."""
        g_N = (self.z_ND.double() ** 2).sum(1).cpu().numpy() + 2 * self.u_N
        own_N: Array = (self.c + g_N) ** 3
        return own_N


def _features(x_ND: Floats, y_MD: Floats, *, device: str, precise: bool) -> tuple[_Features, _Features]:
    width = x_ND.shape[1]
    mean_D = (x_ND.mean(0, dtype=np.float64) + y_MD.mean(0, dtype=np.float64)) / 2
    inexact = device != "cpu" and torch.get_float32_matmul_precision() != "highest"
    kind, c = np.float64 if precise or inexact else np.float32, float(mean_D @ mean_D / width + 1)
    made = []
    for table_ND in (x_ND, y_MD):
        z_ND, u_N = np.empty(table_ND.shape, dtype=kind), np.empty(len(table_ND))
        for rows in slices(len(table_ND), _COLUMNS):
            centred_nD = table_ND[rows] - mean_D
            z_ND[rows], u_N[rows] = centred_nD / np.sqrt(width), centred_nD @ mean_D / width
        made.append(_Features(torch.from_numpy(z_ND).to(device), u_N, c))
    return made[0], made[1]


def _sums(x: _Features, y: _Features, *, block_x_N: IntArray, block_y_M: IntArray) -> KernelSums:
    x, y = x.rows(np.argsort(block_x_N, kind="stable")), y.rows(np.argsort(block_y_M, kind="stable"))
    size_x_B, size_y_B = np.bincount(block_x_N), np.bincount(block_y_M)
    block_y_M, xy_BB = np.sort(block_y_M), x.straight(y, size_x_B, size_y_B)
    for block, rows in _runs(size_x_B):
        for columns in slices(len(block_y_M), _COLUMNS):
            curved_nm = x.part(rows).curved(y.part(columns))
            xy_BB[block] += _by_block(curved_nm, block_y_M[columns], count=len(size_y_B))
    return KernelSums(
        xx_BB=_within(x, size_x_B), yy_BB=_within(y, size_y_B), xy_BB=xy_BB, size_x_B=size_x_B, size_y_B=size_y_B
    )


def _within(x: _Features, size_B: IntArray) -> Array:
    """Sums over pairs of different images of one sorted set: a pair is computed once and counted both ways."""
    block_N, count = np.repeat(np.arange(len(size_B)), size_B), len(size_B)
    sum_BB = x.straight(x, size_B, size_B) - np.diag(np.bincount(block_N, x.own(), count))
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

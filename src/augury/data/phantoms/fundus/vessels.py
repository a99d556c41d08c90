"""Retinal vessels of an eye: four arcades of an artery and a vein each, branching twice. B eyes, N points.

The temporal arcades leave the disc steeply and bend around the macula, nearly parabolas there (Oloumi, Rangayyan and
Ells 2012); side branches are thinner than their parent (Murray 1926 gives the law for even branchings). Lengths in mm
on the retina (see `view`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
TRUNKS = 8  # four quadrants, an artery and a vein in each
BRANCHES, TWIGS = 7, 4  # of each trunk, of each branch
_NUMBERS = 6  # random numbers of each vessel
COUNT = TRUNKS * (1 + BRANCHES + BRANCHES * TWIGS)
AVASCULAR = 0.35  # mm around the fovea


@dataclass(frozen=True)
class Tree:
    """Points along the vessels of all eyes."""

    eye: NDArray[np.int64]
    x: Floats
    y: Floats
    radius: Floats
    vein: NDArray[np.bool_]
    trunk: NDArray[np.bool_]


@dataclass(frozen=True)
class _Lines:
    """M vessels of every eye, each of P points: BMP, numbers of a vessel BM1."""

    x: Floats
    y: Floats
    heading: Floats
    radius: Floats
    vein: NDArray[np.bool_]
    side: Floats  # 1 above, -1 below


def draw_numbers(shared: np.random.Generator, own: np.random.Generator, *, change: float) -> Floats:
    """normal_VQ of an eye's vessels: the fellow eye has the same but for a share."""
    shape = (COUNT, _NUMBERS)
    mixed = np.sqrt(1 - change**2) * shared.standard_normal(shape) + change * own.standard_normal(shape)
    out: Floats = mixed.astype(np.float32)
    return out


def grow(
    normal_BVQ: Floats, disc_B2: Floats, *, arcade_B: Floats, tortuous_B: Floats, beading_B: Floats, pixel: float
) -> Tree:
    """The vessels; `pixel` (mm) sets how closely their points lie."""
    trunks = _trunks(normal_BVQ[:, :TRUNKS], disc_B2, arcade_B, tortuous_B, beading_B, pixel=pixel)
    end = TRUNKS * (1 + BRANCHES)
    branches = _daughters(
        trunks, normal_BVQ[:, TRUNKS:end], count=BRANCHES, length=3.1, tortuous_B=tortuous_B, pixel=pixel
    )
    twigs = _daughters(branches, normal_BVQ[:, end:], count=TWIGS, length=1.5, tortuous_B=tortuous_B, pixel=pixel)
    return _points([trunks, branches, twigs])


def _trunks(
    normal_BMQ: Floats, disc_B2: Floats, arcade_B: Floats, tortuous_B: Floats, beading_B: Floats, *, pixel: float
) -> _Lines:
    """Along y = +-sqrt(2 a |x|) from the disc: towards the fovea's side above and below it, and steeper to the nose."""
    side_M = np.array([1, 1, -1, -1, 1, 1, -1, -1], dtype=np.float32)
    temporal_M = np.array([1, 1, 1, 1, 0, 0, 0, 0], dtype=bool)
    vein_M = np.tile(np.array([False, True]), 4)
    along = np.linspace(0, 1, _count(11.0, pixel, 0.06), dtype=np.float32)
    n = [normal_BMQ[:, :, q, None] for q in range(_NUMBERS)]
    height = 3.3 * arcade_B[:, None, None] * (1 + 0.10 * n[0]) * np.where(vein_M, 1.08, 0.94)[:, None]
    rise = height * (1 - (1 - along) ** 2.3)
    run = 10.5 * along ** (1.75 + 0.15 * n[1])
    steep = 5.0 * along * (0.9 + 0.15 * n[1])
    aside = steep * (0.75 + 0.25 * n[2]).clip(0.1) + 0.05 * steep**2
    x = disc_B2[:, :1, None] + np.where(temporal_M[:, None], -run, aside) + 0.08 * n[2] * np.minimum(1, 4 * along)
    y = disc_B2[:, 1:, None] - side_M[:, None] * np.where(temporal_M[:, None], rise, steep)
    radius = np.where(vein_M, 0.080, 0.056)[:, None] * (1 + 0.1 * n[4]) * (1 - 0.5 * along)
    beads = 1 + beading_B[:, None, None] * vein_M[:, None] * np.sin(55 * along + 6 * n[5])
    x, y = _wavy(x, y, n[4], n[5], amount=0.055 * tortuous_B[:, None, None], span=8.0, along=along)
    heading = np.arctan2(np.gradient(y, axis=-1), np.gradient(x, axis=-1))
    shape = x.shape
    return _Lines(
        x=x, y=y, heading=heading, radius=np.broadcast_to(radius * beads, shape),
        vein=np.broadcast_to(vein_M[None, :, None], (*shape[:2], 1)),
        side=np.broadcast_to(side_M[None, :, None], (*shape[:2], 1)),
    )  # fmt: skip


def _daughters(
    parent: _Lines, normal_BVQ: Floats, *, count: int, length: float, tortuous_B: Floats, pixel: float
) -> _Lines:
    """`count` branches from each parent, to alternate sides, bending back into their parent's direction."""
    eyes, parents, points = parent.x.shape
    n = [normal_BVQ[..., q].reshape(eyes, parents, count, 1) for q in range(_NUMBERS)]
    place = (np.arange(count, dtype=np.float32) + 0.75) / (count + 0.6)
    start = np.clip(((place[:, None] + 0.05 * n[0]) * (points - 1)), 0.06 * points, points - 1).astype(np.int64)

    def at(values: Floats) -> Floats:
        return np.take_along_axis(values[:, :, None, :], start, axis=3)

    turn_side = np.where(np.arange(count) % 2 == 0, 1.0, -1.0).astype(np.float32)[:, None]
    along = np.linspace(0, 1, _count(length, pixel, 0.04), dtype=np.float32)
    angle = turn_side * (0.85 + 0.22 * n[1]) * (1 - 0.75 * along + 0.25 * along**2)
    heading = at(parent.heading) + angle + 0.35 * n[2] * along
    reach = length * np.exp(0.35 * n[3]) * (1.1 - 0.45 * place[:, None])
    step = reach / along.size
    x = at(parent.x) + np.cumsum(step * np.cos(heading), axis=-1)
    y = at(parent.y) + np.cumsum(step * np.sin(heading), axis=-1)
    radius = at(parent.radius) * (0.66 + 0.07 * n[4]).clip(0.35, 0.85) * (1 - 0.5 * along)
    x, y = _wavy(x, y, n[4], n[5], amount=0.05 * tortuous_B[:, None, None, None], span=length, along=along)
    flat = (eyes, parents * count, along.size)
    return _Lines(
        x=x.reshape(flat), y=y.reshape(flat), heading=heading.reshape(flat), radius=radius.reshape(flat),
        vein=np.repeat(parent.vein, count, axis=1), side=np.repeat(parent.side, count, axis=1),
    )  # fmt: skip


def _wavy(
    x: Floats, y: Floats, first: Floats, second: Floats, *, amount: Floats, span: float, along: Floats
) -> tuple[Floats, Floats]:
    """Points moved across the course by two waves of about 2 and 1 mm."""
    swing = np.sin(along * span * 3.1 + 9 * first) + 0.6 * np.sin(along * span * 6.3 + 9 * second)
    swing = amount * swing * np.minimum(1, 3 * along)
    dx, dy = np.gradient(x, axis=-1), np.gradient(y, axis=-1)
    scale = swing / np.sqrt(dx**2 + dy**2 + 1e-12)
    return (x - dy * scale).astype(np.float32), (y + dx * scale).astype(np.float32)


def _count(length: float, pixel: float, radius: float) -> int:
    """Points so close that tubes of about this radius look continuous."""
    return max(8, int(np.ceil(length / max(0.8 * pixel, 0.4 * radius))))


def _points(generations: list[_Lines]) -> Tree:
    """All points outside the fovea's avascular zone; a vessel that enters it ends there."""
    parts = []
    for index, lines in enumerate(generations):
        entered = np.cumsum(lines.x**2 + lines.y**2 < AVASCULAR**2, axis=-1) > 0
        eye = np.broadcast_to(np.arange(len(lines.x))[:, None, None], lines.x.shape)
        vein = np.broadcast_to(lines.vein, lines.x.shape)
        keep = ~entered
        trunk = np.full(int(keep.sum()), index == 0)
        parts.append(
            (eye[keep], lines.x[keep], lines.y[keep], lines.radius[keep].astype(np.float32), vein[keep], trunk)
        )
    return Tree(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

"""Macular degeneration of an eye as things in space: the photograph sees their front, the B-scan their section.

Kinds: 0 normal, 1 dry (drusen), 2 PCV (polyps, peaked detachments of the pigment epithelium), 3 wet (flat
detachment by a membrane, fluid, blood). Lengths in mm: x to the nose, y down, height above Bruch's membrane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NORMAL, DRY, PCV, WET = range(4)
PARTS = ("drusen", "ped", "fluid", "polyp", "blood", "exudate")
Floats = NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True)
class Domes:
    """Things with a round base: half an ellipsoid each (of a polyp and a cyst, the whole)."""

    x: Floats
    y: Floats
    radius: Floats
    height: Floats  # of the top above the base; a polyp's and a cyst's half height
    base: Floats  # share of the layer's depth at which a cyst or an exudate lies

    def profile(self, x_W: Floats, y: float) -> Floats:
        """height_LW of each thing along the line at y."""
        square = (x_W[None, :] - self.x[:, None]) ** 2 + (y - self.y[:, None]) ** 2
        return self.height[:, None] * np.sqrt(np.maximum(0, 1 - square / self.radius[:, None] ** 2))


Disease = dict[str, Domes]  # by part, and "cyst" for fluid within the retina, "speck" for innocent small drusen


def plan(rng: Rng, *, kind: int, difficulty: float) -> Disease:
    """Everything in one eye. A part that the eye does not have is an empty one."""
    scale = 1.15 - 0.55 * difficulty
    innocent = rng.poisson(0.5 + 6 * difficulty)  # drawn first: the same whatever the kind
    specks = _domes(rng, innocent, np.zeros(2), spread=1.8, radius=(0.015, 0.045), height=(0.008, 0.02), scale=1.0)
    centre = rng.normal(0, 0.7, 2)
    exudative = kind in (PCV, WET)
    wide, high = ((0.40, 0.85), (0.13, 0.30)) if kind == PCV else ((0.6, 1.3), (0.07, 0.16))
    detached = _domes(rng, 1 if exudative else 0, centre, spread=0.15, radius=wide, height=high, scale=scale)
    drusen = {NORMAL: 0, DRY: 6 + rng.poisson(22 * scale), PCV: rng.poisson(1.5), WET: rng.poisson(5)}[kind]
    polyps = 1 + rng.poisson(1.2) if kind == PCV else 0
    wet = rng.random(4) < np.array([0.75, 0.55 if kind == WET else 0.1, 0.5, 0.45])
    fluid, cysts, blood, exudates = wet & exudative
    return {
        "drusen": _domes(rng, drusen, np.zeros(2), spread=1.1, radius=(0.04, 0.16), height=(0.03, 0.085), scale=scale),
        "ped": detached,
        "fluid": _domes(rng, int(fluid), centre, spread=0.3, radius=(0.8, 1.6), height=(0.06, 0.2), scale=scale),
        "cyst": _domes(
            rng, (3 + rng.poisson(5)) * int(cysts), centre, spread=0.5, radius=(0.06, 0.2), height=(0.02, 0.06),
            scale=scale,
        ),
        "polyp": _polyps(rng, detached, polyps, scale=scale),
        "blood": _domes(
            rng, int(blood) * (1 + rng.poisson(0.6)), centre, spread=0.8, radius=(0.25, 0.9), height=(0.05, 0.12),
            scale=scale,
        ),
        "exudate": _domes(
            rng, (8 + rng.poisson(14)) * int(exudates), centre, spread=1.2, radius=(0.03, 0.09), height=(0.015, 0.03),
            scale=1.0,
        ),
        "speck": specks,
    }  # fmt: skip


def hidden(disease: Disease) -> Disease:
    """The same eye without its disease: innocent specks stay."""
    none = np.zeros(0)
    return {part: domes if part == "speck" else Domes(none, none, none, none, none) for part, domes in disease.items()}


def aim(disease: Disease) -> float:
    """The y through which the first B-scan is laid: the middle of what is detached, a druse, else the fovea."""
    for part in ("polyp", "ped", "fluid", "drusen"):
        if len(disease[part].x):
            return float(disease[part].y[0])
    return 0.0


def _domes(
    rng: Rng, count: int, centre: Floats, *, spread: float, radius: tuple[float, float], height: tuple[float, float],
    scale: float,
) -> Domes:  # fmt: skip
    size = scale * np.exp(rng.uniform(math.log(radius[0]), math.log(radius[1]), count))
    return Domes(
        x=centre[0] + rng.normal(0, spread, count),
        y=centre[1] + rng.normal(0, spread, count),
        radius=size,
        height=scale * rng.uniform(height[0], height[1], count),
        base=rng.uniform(0.15, 0.85, count),
    )


def _polyps(rng: Rng, detached: Domes, count: int, *, scale: float) -> Domes:
    """Round aneurysms below the pigment epithelium, at the slopes of the detachment."""
    if not len(detached.x):
        count = 0
    angle, out = rng.uniform(0, 2 * math.pi, count), rng.uniform(0.0, 0.65, count)
    reach = detached.radius[:1].repeat(count) * out
    radius = scale * rng.uniform(0.10, 0.2, count)
    return Domes(
        x=detached.x[:1].repeat(count) + reach * np.cos(angle),
        y=detached.y[:1].repeat(count) + reach * np.sin(angle),
        radius=radius,
        height=0.6 * radius,
        base=np.zeros(count),
    )

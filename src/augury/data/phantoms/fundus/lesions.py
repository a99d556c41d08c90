"""Diabetic retinopathy of an eye: how many lesions of which kind make a grade, and where they lie. L lesions.

Grades after the international scale (Wilkinson et al. 2003): 0 none; 1 microaneurysms only; 2 more than these, less
than 3; 3 many haemorrhages in every quadrant, beaded veins; 4 new vessels or blood before the retina. Lengths in mm
on the retina: microaneurysms 0.02 to 0.12 across, cotton-wool spots a third of the disc, the disc 1.8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augury.data.phantoms.fundus.vessels import Tree

PARTS = ("ma", "he", "ex", "se", "nv")
Floats = NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True, kw_only=True)
class Lesions:
    """Lesions of one kind in one eye; arrays of equal length."""

    x: Floats
    y: Floats
    radius: Floats
    aspect: Floats
    angle: Floats
    wave: Floats
    soft: Floats
    strength: Floats
    phase: Floats


@dataclass(frozen=True)
class Site:
    """What a lesion's place depends on: the part of the retina that the camera sees, the disc, the vessels."""

    x: float  # middle of the field, mm
    y: float
    reach: float  # half its width
    height: float  # half its height
    disc: tuple[float, float]
    tree: Tree  # of this eye alone


@dataclass(frozen=True)
class _Recipe:
    """Fewest lesions of a kind (or clusters of exudates) and how many more on average."""

    ma: tuple[int, float] = (0, 0)
    he: tuple[int, float] = (0, 0)
    ex: tuple[int, float] = (0, 0)
    se: tuple[int, float] = (0, 0)
    nv: tuple[int, float] = (0, 0)
    boat: float = 0.0  # share of eyes with blood before the retina


RECIPES = (
    _Recipe(),
    _Recipe(ma=(1, 3.0)),
    _Recipe(ma=(3, 8), he=(1, 6), ex=(0, 1.1), se=(0, 0.4)),
    _Recipe(ma=(8, 15), he=(22, 22), ex=(0, 1.3), se=(0, 1.6)),
    _Recipe(ma=(3, 10), he=(3, 14), ex=(0, 1.0), se=(0, 0.9), nv=(1, 0.9), boat=0.25),
)


def plan(rng: Rng, site: Site, *, grade: int, difficulty: float) -> dict[str, Lesions]:
    """The lesions of one eye by kind; kinds that it does not have are left out."""
    recipe = RECIPES[grade]
    more = 1.3 - 0.6 * difficulty
    number = {part: least + rng.poisson(more * mean) if mean else 0 for part, (least, mean) in _counts(recipe).items()}
    faint = 1 - 0.65 * difficulty
    drawn = {
        "ma": _microaneurysms(rng, site, number["ma"], faint=faint),
        "he": _haemorrhages(rng, site, number["he"], faint=faint, boat=rng.random() < recipe.boat),
        "ex": _exudates(rng, site, number["ex"], faint=faint),
        "se": _cotton_wool(rng, site, number["se"], faint=faint),
        "nv": _new_vessels(rng, site, number["nv"]),
    }
    return {part: lesions for part, lesions in drawn.items() if len(lesions.x)}


def look_alikes(rng: Rng, site: Site, *, difficulty: float) -> tuple[Lesions, Lesions]:
    """(dark, pale): freckles of pigment and dust, small drusen and reflexes, in eyes of every grade."""
    dark, pale = rng.poisson(0.5 + 5 * difficulty), rng.poisson(0.4 + 3 * difficulty)
    x, y = _anywhere(rng, site, dark + pale)
    radius = np.exp(rng.uniform(math.log(0.02), math.log(0.09), dark + pale))
    strength = rng.uniform(0.15, 0.6, dark + pale)
    both = _lesions(rng, x, y, radius, aspect=1.2, wave=0.08, soft=0.9, strength=strength)
    return _part(both, slice(None, dark)), _part(both, slice(dark, None))


def tufts(rng: Rng, lesions: Lesions) -> tuple[Floats, Floats, Floats]:
    """(x, y, radius) of points along the fine looped vessels of each area of new vessels."""
    strands, points = 14, 60
    count = len(lesions.x)
    turn = rng.normal(0, 0.25, (count, strands, points)) + rng.normal(0, 0.12, (count, strands, 1))
    heading = rng.uniform(0, 2 * math.pi, (count, strands, 1)) + turn.cumsum(-1)
    step = 2.2 * lesions.radius[:, None, None] / points
    x, y = (step * np.cos(heading)).cumsum(-1), (step * np.sin(heading)).cumsum(-1)
    shrink = 0.92 / np.maximum(1, np.hypot(x, y) / (0.92 * lesions.radius[:, None, None]))  # strands end in the area
    radius = np.broadcast_to(rng.uniform(0.008, 0.02, (count, strands, 1)), x.shape)
    x, y = lesions.x[:, None, None] + shrink * x, lesions.y[:, None, None] + shrink * y
    return x.ravel(), y.ravel(), radius.ravel()


def _counts(recipe: _Recipe) -> dict[str, tuple[int, float]]:
    return {"ma": recipe.ma, "he": recipe.he, "ex": recipe.ex, "se": recipe.se, "nv": recipe.nv}


def _lesions(
    rng: Rng, x: Floats, y: Floats, radius: Floats, *, aspect: Floats | float, wave: Floats | float, soft: float,
    strength: Floats, angle: Floats | None = None,
) -> Lesions:  # fmt: skip
    def full(value: Floats | float) -> Floats:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), x.shape)

    turned = rng.uniform(0, math.pi, x.shape)
    phase = rng.uniform(0, 2 * math.pi, x.shape)
    return Lesions(
        x=x, y=y, radius=radius, aspect=full(aspect), angle=turned if angle is None else angle, wave=full(wave),
        soft=full(soft), strength=full(strength), phase=phase,
    )  # fmt: skip


def _part(lesions: Lesions, chosen: slice) -> Lesions:
    return Lesions(**{name: getattr(lesions, name)[chosen] for name in lesions.__dataclass_fields__})


def _joined(first: Lesions, second: Lesions) -> Lesions:
    names = first.__dataclass_fields__
    return Lesions(**{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names})


def _visible(site: Site, x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Well within the camera's field, off the disc and the foveola."""
    u, v = x - site.x, y - site.y
    within = (np.hypot(u, v) < 0.93 * site.reach) & (np.abs(v) < site.height - 0.3)
    off_disc = np.hypot(x - site.disc[0], y - site.disc[1]) > 1.25
    return within & off_disc & (np.hypot(x, y) > 0.25)


def _chosen(site: Site, x: Floats, y: Floats, count: int) -> tuple[Floats, Floats]:
    """The first `count` visible ones of many candidates; the nearest to visible where these do not suffice."""
    order = np.argsort(~_visible(site, x, y), kind="stable")[:count]
    return x[order], y[order]


def _anywhere(rng: Rng, site: Site, count: int) -> tuple[Floats, Floats]:
    tries = 6 * count + 24
    return _chosen(
        site, site.x + site.reach * rng.uniform(-1, 1, tries), site.y + site.reach * rng.uniform(-1, 1, tries), count
    )


def _microaneurysms(rng: Rng, site: Site, count: int, *, faint: float) -> Lesions:
    """Round dots about the macula."""
    tries = 6 * count + 24
    x, y = _chosen(site, rng.normal(0.3, 2.6, tries), rng.normal(0, 2.2, tries), count)
    radius = rng.uniform(0.018, 0.06, count)
    return _lesions(
        rng, x, y, radius, aspect=1.1, wave=0.05, soft=0.5, strength=rng.uniform(0.75, 1.0, count) * (0.5 + 0.5 * faint)
    )


def _haemorrhages(rng: Rng, site: Site, count: int, *, faint: float, boat: bool) -> Lesions:
    """Dots and blots; flames along the nerve fibres, which run from the disc; perhaps a pool before the retina."""
    x, y = _anywhere(rng, site, count)
    radius = np.exp(rng.uniform(math.log(0.05), math.log(0.22), count))
    flame = rng.random(count) < 0.3
    away = np.arctan2(y - site.disc[1], x - site.disc[0])
    shown = _lesions(
        rng, x, y, radius,
        aspect=np.where(flame, rng.uniform(2.5, 5, count), rng.uniform(1, 1.6, count)),
        wave=np.where(flame, 0.10, rng.uniform(0.05, 0.2, count)),
        soft=0.35,
        strength=rng.uniform(0.6, 1.0, count) * (0.55 + 0.45 * faint),
        angle=np.where(flame, away, rng.uniform(0, math.pi, count)),
    )  # fmt: skip
    if not boat:
        return shown
    x, y = _anywhere(rng, site, 1)
    pool = _lesions(
        rng, x, y, rng.uniform(0.5, 1.1, 1), aspect=rng.uniform(1.5, 2.4, 1), wave=0.08, soft=0.12,
        strength=np.array([1.6]), angle=np.zeros(1),
    )  # fmt: skip
    return _joined(shown, pool)


def _exudates(rng: Rng, site: Site, clusters: int, *, faint: float) -> Lesions:
    """Sharp yellow specks in clusters and rings, most of them near the macula."""
    middle_x, middle_y = _chosen(
        site, rng.normal(-0.6, 1.7, 6 * clusters + 24), rng.normal(0, 1.5, 6 * clusters + 24), clusters
    )
    each = 4 + rng.poisson(14, clusters)
    ring = np.repeat(rng.uniform(0.1, 0.8, clusters), each)
    total = int(each.sum())
    angle = rng.uniform(0, 2 * math.pi, total)
    out = ring * (0.6 + 0.4 * rng.standard_normal(total))
    x = np.repeat(middle_x, each) + out * np.cos(angle)
    y = np.repeat(middle_y, each) + out * np.sin(angle)
    radius = np.exp(rng.normal(math.log(0.045), 0.5, total)).clip(0.015, 0.2)
    kept = _visible(site, x, y)
    shown = _lesions(
        rng, x, y, radius, aspect=rng.uniform(1, 1.9, total), wave=0.22, soft=0.25,
        strength=rng.uniform(0.7, 1.0, total) * (0.5 + 0.5 * faint),
    )  # fmt: skip
    return Lesions(**{name: getattr(shown, name)[kept] for name in shown.__dataclass_fields__})


def _cotton_wool(rng: Rng, site: Site, count: int, *, faint: float) -> Lesions:
    """Fluffy pale patches beside the arcades."""
    x, y = _beside_trunks(rng, site, count, off=0.35)
    radius = rng.uniform(0.16, 0.36, count)
    strength = rng.uniform(0.6, 0.95, count) * (0.5 + 0.5 * faint)
    return _lesions(rng, x, y, radius, aspect=rng.uniform(1.0, 1.9, count), wave=0.16, soft=0.75, strength=strength)


def _new_vessels(rng: Rng, site: Site, count: int) -> Lesions:
    """Areas of new vessels on the arcades, and on the disc in every third eye that has any."""
    x, y = _beside_trunks(rng, site, count, off=0.1)
    if count and rng.random() < 0.35:
        x[0], y[0] = site.disc[0] + rng.normal(0, 0.3), site.disc[1] + rng.normal(0, 0.3)
    radius = rng.uniform(0.5, 1.0, count)
    return _lesions(rng, x, y, radius, aspect=1.0, wave=0.0, soft=0.4, strength=np.full(count, 0.2))


def _beside_trunks(rng: Rng, site: Site, count: int, *, off: float) -> tuple[Floats, Floats]:
    place = rng.choice(np.flatnonzero(site.tree.trunk), 6 * count + 24)
    x = site.tree.x[place] + rng.normal(0, off, place.shape)
    y = site.tree.y[place] + rng.normal(0, off, place.shape)
    return _chosen(site, x, y, count)

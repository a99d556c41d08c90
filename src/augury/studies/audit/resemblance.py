"""How like real images the synthetic ones are: fidelity and diversity, each beside its floor and its ceiling.

Every figure compares some images with the training images T: the synthetic ones, real ones that were held out (the
floor: what another real set would get) and those same ones blurred (the ceiling: what plainly wrong images get). Where
a figure depends on the number of images, all sides have the same number. A side, B of another, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from augury.conditions.pairs import to_uint8, to_unit
from augury.metrics.diversity import ms_ssim, random_pairs, unique_estimate, vendi
from augury.metrics.estimate import Estimate, Unit
from augury.metrics.fidelity import kid_estimate
from augury.metrics.frechet import frechet
from augury.metrics.image_statistics import image_statistics
from augury.metrics.jackknife import blocks, jackknife, two_samples
from augury.metrics.manifold import manifold_estimates
from augury.metrics.set_metrics import set_metric
from augury.metrics.two_sample import c2st
from augury.studies.audit.encoders import Encoder, Features
from augury.studies.audit.subjects import Part, Subjects

FEWEST = 50  # held-out images, below which only KID and the two-sample test are given (EVALUATION.md)
MOST = 1000  # images of a side, for figures whose cost grows with the square
BLUR = 2 / 64  # of the side: the ceiling's
Row = dict[str, Any]  # "set", "floor", "ceiling": an Estimate as JSON or None; "refused": a reason or None
_Compare = Callable[[Features, Features, NDArray[np.int64], NDArray[np.int64]], Estimate]


def blurred(part: Part) -> Part:
    """The images of a part after a Gaussian blur that leaves no fine detail."""
    sigma = BLUR * min(part.pixels_NCHW.shape[2:])
    image_NCHW = to_unit(part.pixels_NCHW).numpy()
    soft_NCHW = gaussian_filter(image_NCHW, (0, 0, sigma, sigma)) if len(part) else image_NCHW
    return Part(manifest=part.manifest, pixels_NCHW=to_uint8(torch.from_numpy(soft_NCHW)), group_N=part.group_N)


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Features of the training images and of each side, by its name."""

    real_TD: Features
    sides: Mapping[str, Features]


def encoded(subjects: Subjects, encoder: Encoder) -> Encoded:
    """Everything that one encoder says, once. What was blurred has the ids of the sharp images, so it is not kept."""
    kept = subjects.preparation
    return Encoded(
        real_TD=encoder(subjects.train, kept),
        sides={
            "set": encoder(subjects.made, kept), "floor": encoder(subjects.held, kept),
            "ceiling": encoder.compute(blurred(subjects.held).pixels_NCHW),
        },
    )  # fmt: skip


def _parts(subjects: Subjects) -> dict[str, Part]:
    """Whose features the sides are."""
    return {"set": subjects.made, "floor": subjects.held, "ceiling": subjects.held}


def compared(subjects: Subjects, found: Encoded, *, seed: int, unit: Unit) -> dict[str, Row]:
    """Every figure of features by its name."""
    z, real_TD, group_T = found.sides, found.real_TD, subjects.train.group_N
    groups = {name: part.group_N for name, part in _parts(subjects).items()}
    few = len(subjects.held) < FEWEST
    size = min(MOST, len(real_TD), *(len(one) for one in z.values() if len(one)))
    rng = np.random.default_rng(seed)

    def row(compare: _Compare, *, equal: bool, only_set: bool = False, why: str | None = None) -> Row:
        if why is not None:
            return _refused(why)
        drawn_T = _some(len(real_TD), size, rng) if equal else np.arange(len(real_TD))
        found: Row = {"refused": None}
        for name, feature_ND in z.items():
            if len(feature_ND) < 4 or (only_set and name != "set"):
                found[name] = None
                continue
            drawn = _some(len(feature_ND), size, rng) if equal else np.arange(len(feature_ND))
            try:
                estimate = compare(real_TD[drawn_T], feature_ND[drawn], group_T[drawn_T], groups[name][drawn])
            except ValueError as error:  # too few images or groups: it says how many
                if name == "set":
                    return _refused(str(error))
                found[name] = None
                continue
            found[name] = estimate.as_json()
        return found

    short = f"{len(subjects.held)} held-out images, {FEWEST} are needed" if few else None
    dim = real_TD.shape[1]
    enough = min(len(real_TD), len(z["set"])) >= 5 * dim
    rows = {
        "kid": row(lambda t, s, gt, gs: _kid(t, s, gt, gs, seed=seed, unit=unit), equal=False),
        "frechet": row(
            lambda t, s, gt, gs: _frechet(t, s, gt, gs, seed=seed, unit=unit), equal=False, only_set=True,
            why=None if enough else f"{min(len(real_TD), len(z['set']))} images, {5 * dim} needed",
        ),
        "c2st": row(lambda t, s, gt, gs: _c2st(t, s, gt, gs, seed=seed, unit=unit), equal=True),
        "unique_fraction": row(
            lambda t, s, gt, gs: unique_estimate(s, t, group_synthetic_M=gs, group_real_N=gt, seed=seed), equal=True,
            why=short,
        ),
        "vendi": row(lambda t, s, gt, gs: _vendi(t, s, gt, gs, seed=seed, unit=unit), equal=True, why=short),
    }  # fmt: skip
    return {**rows, **_manifold(real_TD, z, group_T, groups, size=size, seed=seed, why=short)}


def kid_by_class(subjects: Subjects, found: Encoded, *, seed: int, unit: Unit) -> dict[str, Row]:
    """KID of the images of each class alone, with its floor and its ceiling."""
    rows = {}
    for label, name in enumerate(subjects.classes):
        row: Row = {"refused": None}
        here_T = subjects.train.label_N == label
        for side, part in _parts(subjects).items():
            here_N = part.label_N == label
            try:
                row[side] = _kid(
                    found.real_TD[here_T], found.sides[side][here_N], subjects.train.group_N[here_T],
                    part.group_N[here_N], seed=seed, unit=unit,
                ).as_json()  # fmt: skip
            except ValueError as error:  # too few images or groups: it says how many
                row[side] = None
                row["refused"] = str(error) if side == "set" else row["refused"]
        rows[name] = row
    return rows


def statistics(subjects: Subjects, *, seed: int, unit: Unit) -> tuple[dict[str, Row], dict[str, Any]]:
    """Kolmogorov-Smirnov D and Wasserstein-1 of statistics of single images, a value a patient; and the values.

    Wasserstein distances are in units of the real standard deviation.
    """
    if min(subjects.train.groups, subjects.made.groups) < 2:
        return {}, {}
    sides = {"set": subjects.made, "floor": subjects.held, "ceiling": blurred(subjects.held)}
    values = {name: _statistics(part) for name, part in sides.items() if part.groups > 1}
    real = _statistics(subjects.train)
    rows: dict[str, Row] = {}
    for statistic, real_N in real.items():
        for kind in ("ks", "wasserstein"):
            found: Row = {"refused": None, "floor": None, "ceiling": None}
            for name, table in values.items():
                found[name] = _shift(real_N, table[statistic], kind=kind, seed=seed, unit=unit).as_json()
            rows[f"{kind}_{statistic}"] = found
    shown = values.get("floor", real)
    return rows, {name: (shown[name], values["set"][name]) for name in shown}


def likeness_within(subjects: Subjects, *, seed: int) -> Row:
    """MS-SSIM of random pairs within a class: above that of real pairs where samples resemble one another too much."""
    found: Row = {"refused": None, "ceiling": None}
    for name, part in (("set", subjects.made), ("floor", subjects.train)):
        found[name] = None
        label_N = np.maximum(part.label_N, 0)
        if min(part.pixels_NCHW.shape[2:]) >= 32 and part.groups >= 10 and len(part) >= 40:
            first, second = random_pairs(label_N, count=min(MOST, 4 * len(part)), seed=seed)
            image = to_unit(part.pixels_NCHW).numpy() / 2 + 0.5
            value_P = ms_ssim(image[first], image[second])
            block_P = blocks(part.group_N[first], seed=seed)
            without = [float(value_P[block_P != b].mean()) for b in np.unique(block_P)]
            found[name] = jackknife(
                float(value_P.mean()), without, n=part.groups, unit="group", low=0.0, high=1.0
            ).as_json()
    return found if found["set"] else _refused("images of 32 pixels and 40 of them are needed")


def _some(count: int, wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(rng.permutation(count)[:wanted])


def _refused(why: str) -> Row:
    return {"set": None, "floor": None, "ceiling": None, "refused": why}


def _units(first_N: NDArray[np.int64], second_M: NDArray[np.int64]) -> int:
    return min(len(np.unique(first_N)), len(np.unique(second_M)))


def _kid(t: Features, s: Features, gt: Any, gs: Any, *, seed: int, unit: Unit) -> Estimate:
    return kid_estimate(
        t, s, block_x_N=blocks(gt, seed=seed), block_y_M=blocks(gs, seed=seed), group_x_N=gt, group_y_M=gs,
        n=_units(gt, gs), unit=unit,
    )  # fmt: skip


def _frechet(t: Features, s: Features, gt: Any, gs: Any, *, seed: int, unit: Unit) -> Estimate:
    return two_samples(
        frechet, t, s, block_real_N=blocks(gt, seed=seed), block_synthetic_M=blocks(gs, seed=seed), n=_units(gt, gs),
        unit=unit, low=0.0,
    )  # fmt: skip


def _c2st(t: Features, s: Features, gt: Any, gs: Any, *, seed: int, unit: Unit) -> Estimate:
    return c2st(t, s, group_real_N=gt, group_synthetic_M=gs, seed=seed).estimate(unit=unit, seed=seed)


def _vendi(t: Features, s: Features, gt: Any, gs: Any, *, seed: int, unit: Unit) -> Estimate:
    """The ratio to as many real images, of 500 at most: the score takes the eigenvalues of all."""
    t, s, gt, gs = t[:500], s[:500], gt[:500], gs[:500]
    return two_samples(
        lambda real, other: vendi(other) / vendi(real), t, s, block_real_N=blocks(gt, count=10, seed=seed),
        block_synthetic_M=blocks(gs, count=10, seed=seed), n=_units(gt, gs), unit=unit, low=0.0,
    )  # fmt: skip


def _manifold(
    real_TD: Features, z: Mapping[str, Features], group_T: NDArray[np.int64],
    groups: Mapping[str, NDArray[np.int64]], *, size: int, seed: int, why: str | None,
) -> dict[str, Row]:  # fmt: skip
    names, rng = ("manifold_precision", "manifold_recall", "density", "coverage"), np.random.default_rng(seed)
    if why is not None:
        return dict.fromkeys(names, _refused(why))
    rows: dict[str, Row] = {name: {"refused": None} for name in names}
    drawn_T = _some(len(real_TD), size, rng)
    for side, feature_ND in z.items():
        drawn = _some(len(feature_ND), size, rng)
        try:
            found = manifold_estimates(
                real_TD[drawn_T], feature_ND[drawn], group_real_N=group_T[drawn_T],
                group_synthetic_M=groups[side][drawn], seed=seed,
            )  # fmt: skip
        except ValueError as error:  # too few images or groups: it says how many
            return dict.fromkeys(names, _refused(str(error)))
        for name in names:
            rows[name][side] = found[name].as_json()
    return rows


def _statistics(part: Part) -> dict[str, NDArray[np.float64]]:
    """One value a group: the mean over its images."""
    table = image_statistics(to_unit(part.pixels_NCHW).numpy())
    _, code_N = np.unique(part.group_N, return_inverse=True)
    count_G = np.bincount(code_N)
    return {name: np.bincount(code_N, weights=value_N) / count_G for name, value_N in table.items()}


def _shift(real_N: NDArray[np.float64], other_M: NDArray[np.float64], *, kind: str, seed: int, unit: Unit) -> Estimate:
    measure = set_metric(f"{kind}_mean").compute  # the same whatever the statistic

    def compute(real: NDArray[np.floating], other: NDArray[np.floating]) -> float:
        return measure(real[:, 0], other[:, 0])

    return two_samples(
        compute, real_N[:, None], other_M[:, None], block_real_N=blocks(np.arange(len(real_N)), seed=seed),
        block_synthetic_M=blocks(np.arange(len(other_M)), seed=seed), n=min(len(real_N), len(other_M)), unit=unit,
        low=0.0, high=1.0 if kind == "ks" else np.inf,
    )  # fmt: skip

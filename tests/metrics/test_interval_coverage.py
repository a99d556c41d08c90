"""How often the 95 % intervals of set metrics hold the truth: normal features, patients of one to five images.

The truth is the metric's expectation at these numbers of items (the mean over all studies; for KID and the nearest
share of fresh draws it is known), since what looks for neighbours depends on how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from augury.metrics.diversity import unique_estimate
from augury.metrics.estimate import Estimate
from augury.metrics.fidelity import kid_estimate
from augury.metrics.jackknife import blocks
from augury.metrics.manifold import manifold_estimates
from augury.metrics.privacy import nearest_share
from augury.metrics.two_sample import c2st

D = 8
Study = Callable[[np.random.Generator, int, float], dict[str, Estimate]]


def patients(rng: np.random.Generator, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of which half the variance is the patient's."""
    group_N = np.repeat(np.arange(groups), rng.integers(1, 6, groups))
    noise = rng.normal(size=(groups, D))[group_N] + rng.normal(size=(len(group_N), D))
    return (math.sqrt(0.5) * noise).astype(np.float32), group_N


def drawn(rng: np.random.Generator, groups: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Three independent synthetic images for each patient; where shifted, less varied too."""
    features = rng.normal(size=(3 * groups, D)) + shift
    return (features * (0.8 if shift else 1.0)).astype(np.float32), -1 - np.arange(3 * groups)


def manifolds(rng: np.random.Generator, groups: int, shift: float) -> dict[str, Estimate]:
    (real, group_n), (made, group_m) = patients(rng, groups), drawn(rng, groups, shift)
    seed = int(rng.integers(1 << 30))
    return manifold_estimates(real, made, group_real_N=group_n, group_synthetic_M=group_m, seed=seed)


def uniques(rng: np.random.Generator, groups: int, shift: float) -> dict[str, Estimate]:
    (real, group_n), (made, group_m) = patients(rng, groups), drawn(rng, groups, shift)
    seed = int(rng.integers(1 << 30))
    found = unique_estimate(made, real, group_synthetic_M=group_m, group_real_N=group_n, seed=seed)
    return {"unique_fraction": found}


def kids(rng: np.random.Generator, groups: int, shift: float) -> dict[str, Estimate]:
    (real, group_n), (made, group_m) = patients(rng, groups), drawn(rng, groups, shift)
    found = kid_estimate(
        real, made, block_x_N=blocks(group_n, seed=0), block_y_M=blocks(group_m, seed=0), n=groups, group_x_N=group_n
    )
    return {"kid": found}


def two_samples(rng: np.random.Generator, groups: int, shift: float) -> dict[str, Estimate]:
    (real, group_n), (made, group_m) = patients(rng, groups), drawn(rng, groups, shift)
    found = c2st(real, made, group_real_N=group_n, group_synthetic_M=group_m, seed=int(rng.integers(1 << 30)))
    return {"c2st": found.estimate(draws=300)}


def shares(rng: np.random.Generator, groups: int, shift: float) -> dict[str, Estimate]:
    """Shifted: a third of the images are near copies of training images."""
    (train, group_t), (held, group_h) = patients(rng, 2 * groups // 3), patients(rng, groups // 3)
    made, _ = drawn(rng, groups, 0.0)
    if shift:
        copied = rng.integers(0, len(train), groups)
        made[:groups] = train[copied] + 0.1 * rng.normal(size=(groups, D))
    found = nearest_share(made, train, held, group_train_T=group_t, group_holdout_H=group_h + 10**6, relabellings=0)
    return {"nearest_neighbour_share": found.estimate()}


def covered(study: Study, groups: int, shift: float, *, studies: int, known: float | None) -> dict[str, float]:
    """The share of studies whose interval holds the truth."""
    found = [study(np.random.default_rng([groups, number]), groups, shift) for number in range(studies)]
    held = {}
    for name in found[0]:
        values = [one[name] for one in found]
        truth = float(np.mean([one.value for one in values])) if known is None else known
        held[name] = float(np.mean([one.low <= truth <= one.high for one in values]))
        width = np.mean([one.high - one.low for one in values]) / 3.92
        spread = np.std([one.value for one in values])
        print(f"{name}, {groups} groups, shift {shift}: {held[name]:.3f} of {studies}; truth {truth:.4f}, "
              f"deviation {spread:.4f}, width / 3.92 {width:.4f}")  # fmt: skip
    return held


@pytest.mark.slow
@pytest.mark.parametrize("groups", [60, 300])
@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize("study", [manifolds, uniques, kids, two_samples, shares])
def test_intervals_hold_the_truth(study: Study, shift: float, groups: int) -> None:
    """At least nine times in ten; two deviations of the simulation's own error are let through."""
    studies = 200 if groups < 100 else 60
    known = {kids: 0.0, shares: 0.5}.get(study) if shift == 0 else None
    least = 0.90 - 2 * math.sqrt(0.9 * 0.1 / studies)
    assert min(covered(study, groups, shift, studies=studies, known=known).values()) >= least


def test_intervals_hold_the_truth_in_a_few_studies() -> None:
    for study in (manifolds, uniques, kids, two_samples, shares):
        assert min(covered(study, 60, 0.0, studies=12, known=None).values()) >= 9 / 12

"""The table of an audit's metrics: the names of INTERFACE.md, and that each row computes what its module does."""

from __future__ import annotations

import numpy as np
import pytest

from augury.metrics.fidelity import squared_mmd
from augury.metrics.image_statistics import STATISTICS, image_statistics, shift
from augury.metrics.manifold import manifold
from augury.metrics.set_metrics import SET_METRICS, set_metric

NAMES = [
    "kid",
    "frechet",
    "manifold_precision",
    "manifold_recall",
    "density",
    "coverage",
    "c2st",
    "vendi",
    "ms_ssim",
    "unique_fraction",
    "label_fidelity",
    "nearest_neighbour_share",
    "copies",
    "memorised",
    "membership_auroc",
    "registered_correlation",
    "distance_ratio",
    "authenticity",
    "c_t",
]
FEATURES = [
    "kid",
    "frechet",
    "manifold_precision",
    "manifold_recall",
    "density",
    "coverage",
    "c2st",
    "vendi",
    "unique_fraction",
]


def test_the_names_are_those_of_the_contract() -> None:
    assert list(SET_METRICS) == NAMES
    assert all(set_metric(name).name == name and set_metric(name).source for name in NAMES)
    assert set_metric("ks_slope").name == "ks_slope"
    with pytest.raises(ValueError, match="ks_ or wasserstein_ and one of mean, sd"):
        set_metric("ks_colour")
    found = image_statistics(np.random.default_rng(0).uniform(-1, 1, (2, 1, 8, 8)))
    assert tuple(found) == STATISTICS


def test_rows_compute() -> None:
    rng = np.random.default_rng(0)
    real, near, far = (rng.normal(size=(300, 6)) + by for by in (0.0, 0.0, 1.5))
    for name in FEATURES:
        metric = SET_METRICS[name]
        good, bad = metric.compute(real, near), metric.compute(real, np.repeat(far[:30], 10, axis=0))
        assert good > bad if metric.better == "higher" else good < bad, name
    assert SET_METRICS["kid"].compute(real, near) == squared_mmd(real, near)
    assert SET_METRICS["coverage"].compute(real, near) == manifold(real, near).coverage
    held = rng.normal(size=(300, 6))
    copied = real + 1e-3
    assert SET_METRICS["nearest_neighbour_share"].compute(near, real, held) == pytest.approx(0.5, abs=0.1)
    assert SET_METRICS["nearest_neighbour_share"].compute(copied, real, held) > 0.95
    for name in ("distance_ratio", "authenticity"):
        assert SET_METRICS[name].compute(copied, real) < 0.1 < SET_METRICS[name].compute(near, real)
    assert SET_METRICS["membership_auroc"].compute(held[:, 0] + 1, held[:, 1]) > 0.6
    assert SET_METRICS["c_t"].compute(np.ones(30) + held[:30, 0] / 9, np.ones(30) / 3) < -3
    assert SET_METRICS["label_fidelity"].compute(np.array([0, 1, 1]), np.array([0, 1, 0])) == pytest.approx(2 / 3)
    assert SET_METRICS["copies"].compute(np.array([True, False])) == 0.5
    picture = rng.uniform(-1, 1, (4, 1, 16, 16))
    assert SET_METRICS["ms_ssim"].compute(picture, picture) == pytest.approx(1.0, rel=1e-5)
    assert set_metric("wasserstein_sd").compute(real[:, 0], far[:, 0]) == shift(real[:, 0], far[:, 0]).wasserstein

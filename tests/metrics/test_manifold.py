"""Precision, recall, density, coverage: equal to prdc, and the known truths of their papers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc

from augury.metrics.manifold import Manifold, manifold


def normal(n: int, d: int, *, seed: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, d)) + shift).astype(np.float32)


def four(found: Manifold) -> dict[str, float]:
    return {name: getattr(found, name) for name in ("precision", "recall", "density", "coverage")}


def sets(kind: str, n: int, m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    real = normal(n, d, seed=n)
    made = {
        "alike": lambda: normal(m, d, seed=m + 1),
        "shifted": lambda: normal(m, d, seed=m + 1, shift=0.3),
        "offset": lambda: normal(m, d, seed=m + 1) + np.float32(100),
        "disjoint": lambda: normal(m, d, seed=m + 1, shift=50),
        "copies": lambda: real[np.random.default_rng(0).integers(0, n, m)],
        "collapsed": lambda: np.repeat(real[:1], m, axis=0),
        "grid": lambda: normal(m, d, seed=m + 1).round(),
    }[kind]()
    return real + np.float32(100) if kind == "offset" else real.round() if kind == "grid" else real, made


@pytest.mark.parametrize("kind", ["alike", "shifted", "offset", "disjoint", "copies", "collapsed", "grid"])
@pytest.mark.parametrize(("n", "m", "d", "k"), [(40, 60, 2, 1), (300, 200, 8, 5), (250, 250, 128, 3)])
def test_equal_to_prdc_exactly(kind: str, n: int, m: int, d: int, k: int) -> None:
    real, synthetic = sets(kind, n, m, d)
    theirs = compute_prdc(real, synthetic, nearest_k=k)
    assert four(manifold(real, synthetic, k=k)) == {name: float(value) for name, value in theirs.items()}
    assert four(manifold(real, synthetic, k=k, block=1 << 12)) == four(manifold(real, synthetic, k=k))


def test_equal_to_prdc_on_a_set_of_the_size_that_people_have() -> None:
    real, synthetic = normal(1500, 512, seed=0), normal(1500, 512, seed=1, shift=0.05)
    theirs = compute_prdc(real, synthetic, nearest_k=5)
    assert four(manifold(real, synthetic)) == {name: float(value) for name, value in theirs.items()}


def test_known_truths() -> None:
    real = normal(1000, 16, seed=0)
    alike = manifold(real, normal(1000, 16, seed=1))
    # Naeem et al. 2020: of identical sets density is 1 in expectation and coverage 1 - 1/2^k nearly.
    assert alike.density == pytest.approx(1.0, abs=0.1)
    assert alike.coverage == pytest.approx(1 - 0.5**5, abs=0.03)
    assert set(four(manifold(real, normal(1000, 16, seed=1, shift=99))).values()) == {0.0}
    collapsed = manifold(real, np.repeat(real[:1] * 0, 1000, axis=0))  # all at the centre
    assert (collapsed.precision, collapsed.recall) == (1.0, 0.0)
    assert collapsed.coverage < 1.0
    half = manifold(np.concatenate([real, normal(1000, 16, seed=2, shift=99)]), normal(1000, 16, seed=1))
    assert half.coverage < 0.52  # a mode that was dropped
    assert half.precision > 0.8


def test_one_outlier_raises_recall_and_leaves_coverage() -> None:
    """The fault that Naeem et al. 2020 found: a ball around an outlier of S covers the real set."""
    real, synthetic = normal(300, 4, seed=0), normal(300, 4, seed=1, shift=8)
    outlier = synthetic.copy()
    outlier[0] = -60
    assert manifold(real, outlier).recall > 0.9
    assert manifold(real, outlier).coverage == manifold(real, synthetic).coverage


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 40), st.integers(8, 40), st.integers(1, 5), st.integers(0, 999))
def test_order_does_not_matter_and_shares_are_means_of_items(n: int, m: int, k: int, seed: int) -> None:
    real, synthetic = normal(n, 3, seed=seed), normal(m, 3, seed=seed + 1, shift=0.5)
    found, rng = manifold(real, synthetic, k=k), np.random.default_rng(seed)
    order_N, order_M = rng.permutation(n), rng.permutation(m)
    again = manifold(real[order_N], synthetic[order_M], k=k)
    assert (again.balls_M == found.balls_M[order_M]).all()
    assert (again.recall_N == found.recall_N[order_N]).all()
    assert (again.coverage_N == found.coverage_N[order_N]).all()
    assert all(0 <= value <= 1 for name, value in four(found).items() if name != "density")
    assert found.density == pytest.approx(found.density_M.mean())
    assert found.precision == found.precision_M.mean()
    assert manifold(synthetic, real, k=k).precision == found.recall


def test_too_few_items_are_refused() -> None:
    with pytest.raises(ValueError, match="k = 5"):
        manifold(normal(5, 2, seed=0), normal(9, 2, seed=1))

"""KID and shifts against slow references and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augury.metrics.fidelity import image_statistics, kid, shift, shifts, squared_mmd


def slow_mmd(x_ND: np.ndarray, y_MD: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    n, m = len(x_ND), len(y_MD)
    xx = sum(k(x_ND[i], x_ND[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y_MD[i], y_MD[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(x, y) for x in x_ND for y in y_MD) / (n * m)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 7), st.integers(2, 7), st.integers(1, 5), st.integers(0, 99))
def test_mmd_equals_the_double_sum(n: int, m: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x_ND, y_MD = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    assert squared_mmd(x_ND, y_MD) == pytest.approx(slow_mmd(x_ND, y_MD), rel=1e-9, abs=1e-9)


def test_kid_is_zero_for_one_distribution_and_grows_with_the_distance() -> None:
    rng = np.random.default_rng(0)
    real, other = rng.normal(size=(600, 8)), rng.normal(size=(600, 8))
    near, far = other + 0.3, other + 0.6
    same = kid(real, other, subsets=30, seed=1)
    assert abs(same.value) < 3 * same.sd
    assert same.value < kid(real, near, subsets=30, seed=1).value < kid(real, far, subsets=30, seed=1).value
    assert kid(real, other, subsets=5, seed=1) == kid(real, other, subsets=5, seed=1)
    assert same.subset_size == 390


@pytest.mark.parametrize(("x", "y"), [((5, 2), (5, 3)), ((5,), (5, 2)), ((1, 2), (5, 2))])
def test_kid_refuses_what_it_cannot_compare(x: tuple[int, ...], y: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"got .*, expected"):
        kid(np.zeros(x), np.zeros(y), seed=0)


def test_shift_of_a_moved_sample_is_the_move() -> None:
    rng = np.random.default_rng(0)
    real_N = rng.normal(size=2000)
    moved = shift(real_N, real_N + 0.5)
    assert moved.wasserstein == pytest.approx(0.5 / real_N.std())
    assert shift(real_N, real_N).ks == 0.0
    assert moved.p < 1e-6


def test_statistics_ignore_the_background() -> None:
    image = np.full((1, 1, 16, 16), -1.0)
    image[0, 0, 4:12, 4:12] = 0.5
    found = image_statistics(image)
    assert found["mean"][0] == pytest.approx(0.5)
    assert found["sd"][0] == pytest.approx(0.0)
    assert found["entropy"][0] == pytest.approx(0.0)
    assert image_statistics(np.full((1, 1, 8, 8), -1.0))["mean"][0] == -1.0


def test_shifts_see_blur() -> None:
    rng = np.random.default_rng(0)
    real, other = rng.uniform(-1, 1, (40, 1, 16, 16)), rng.uniform(-1, 1, (40, 1, 16, 16))
    blurred = (other + np.roll(other, 1, 3) + np.roll(other, 1, 2)) / 3
    assert shifts(real, blurred)["gradient"].ks == 1.0
    assert shifts(real, other)["gradient"].ks < 0.5

"""KID and Frechet distance against the double sum, torch-fidelity and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from augury.metrics.fidelity import kid, kid_estimate, squared_mmd
from augury.metrics.frechet import frechet
from augury.metrics.jackknife import blocks
from augury.metrics.kernel_sums import kernel_sums


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


@pytest.mark.parametrize(("n", "d", "move", "offset"), [
    (250, 64, 0.0, 0.0), (300, 64, 0.2, 0.0), (1000, 512, 0.05, 0.0), (1000, 512, 0.0, 3.0), (700, 32, 0.1, 30.0),
])  # fmt: skip
def test_kid_is_torch_fidelitys(n: int, d: int, move: float, offset: float) -> None:
    """Of one subset that is the whole set, whose order does not matter; theirs in float64."""
    rng = np.random.default_rng(n)
    real, synthetic = ((np.abs(rng.normal(size=(n, d)) + by) + offset).astype(np.float32) for by in (0.0, move))
    theirs = kid_features_to_metric(
        torch.tensor(real, dtype=torch.float64), torch.tensor(synthetic, dtype=torch.float64),
        kid_subsets=1, kid_subset_size=n, verbose=False,
    )["kernel_inception_distance_mean"]  # fmt: skip
    assert squared_mmd(real, synthetic) == pytest.approx(theirs, rel=1e-4)
    assert kid(real, synthetic, subsets=2, subset_size=n, seed=0).value == pytest.approx(theirs, rel=1e-4)


def test_block_sums_give_the_value_without_each_block() -> None:
    rng = np.random.default_rng(0)
    real, synthetic = rng.normal(size=(230, 6)), rng.normal(size=(310, 6)) + 0.2
    block_n, block_m = blocks(rng.integers(0, 60, 230), seed=0), blocks(np.arange(310), count=7, seed=0)
    sums = kernel_sums(real, synthetic, block_x_N=block_n, block_y_M=block_m)
    assert sums.value == pytest.approx(squared_mmd(real, synthetic), rel=1e-6)
    for b, value in enumerate(sums.without_x()):
        assert value == pytest.approx(squared_mmd(real[block_n != b], synthetic), rel=1e-5)
    for b, value in enumerate(sums.without_y()):
        assert value == pytest.approx(squared_mmd(real, synthetic[block_m != b]), rel=1e-5)
    found = kid_estimate(real, synthetic, block_x_N=block_n, block_y_M=block_m, n=60)
    assert found.low < sums.value == found.value < found.high


def test_pairs_of_one_patient_are_left_out() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)), rng.normal(size=(30, 5)) + 0.3
    group_x, group_y = rng.integers(0, 12, 40), rng.integers(0, 25, 30)
    block_x, block_y = blocks(group_x, count=4, seed=0), blocks(group_y, count=5, seed=0)

    def slow(rows: np.ndarray, others: np.ndarray) -> float:
        total = -2 * ((x[rows] @ y[others].T / 5 + 1) ** 3).mean()
        for z, group in ((x[rows], group_x[rows]), (y[others], group_y[others])):
            total += ((z @ z.T / 5 + 1) ** 3)[group[:, None] != group[None]].mean()
        return float(total)

    every_x, every_y = np.ones(40, dtype=bool), np.ones(30, dtype=bool)
    sums = kernel_sums(x, y, block_x_N=block_x, block_y_M=block_y, group_x_N=group_x, group_y_M=group_y)
    assert sums.value == pytest.approx(slow(every_x, every_y))
    assert sums.without_x() == pytest.approx([slow(block_x != b, every_y) for b in range(4)])
    assert sums.without_y() == pytest.approx([slow(every_x, block_y != b) for b in range(5)])
    with pytest.raises(ValueError, match="two blocks"):
        kernel_sums(x, y, block_x_N=np.arange(40) % 2, group_x_N=np.zeros(40))


def test_kid_of_known_sets() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(400, 8))
    block = blocks(np.arange(400), seed=0)

    def found(synthetic: np.ndarray) -> tuple[float, float]:
        estimate = kid_estimate(real, synthetic, block_x_N=block, block_y_M=block, n=400)
        return estimate.low, estimate.high

    assert found(rng.normal(size=(400, 8)))[0] < 0 < found(rng.normal(size=(400, 8)))[1]
    assert found(rng.normal(size=(400, 8)) + 0.5)[0] > 0
    assert found(np.repeat(real[:1], 400, axis=0))[0] > 0
    assert found(real + 100)[0] > 1000


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 30), st.integers(3, 30), st.integers(1, 6), st.integers(0, 99))
def test_kid_does_not_know_the_order_nor_which_set_is_which(n: int, m: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    value = squared_mmd(x, y)
    assert squared_mmd(x[rng.permutation(n)], y[rng.permutation(m)]) == pytest.approx(value, abs=1e-9)
    assert squared_mmd(y, x) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("move", [0.0, 0.3])
def test_frechet_is_torch_fidelitys(move: float) -> None:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(48, 48))
    real, synthetic = rng.normal(size=(300, 48)) @ mix, rng.normal(size=(400, 48)) @ mix * 1.1 + move
    ours, theirs = frechet(real, synthetic), fid_statistics_to_metric(
        *(fid_features_to_statistics(torch.tensor(x)) for x in (real, synthetic)), verbose=False
    )["frechet_inception_distance"]  # fmt: skip
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_frechet_of_known_sets() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(4000, 3))
    assert frechet(real, real) == pytest.approx(0.0, abs=1e-9)
    assert frechet(real, real + np.array([3.0, 0, 4.0])) == pytest.approx(25.0)
    assert frechet(real, 2 * real) == pytest.approx(np.trace(np.cov(real.T)) + (real.mean(0) ** 2).sum())
    one = np.repeat(real[:1], 4000, axis=0)  # no variance is left
    assert frechet(real, one) == pytest.approx(np.trace(np.cov(real.T)) + ((real.mean(0) - real[0]) ** 2).sum())


def test_frechet_of_few_images_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got 2000 and 319 items .* at least 320"):
        frechet(np.zeros((2000, 64)), np.zeros((319, 64)))

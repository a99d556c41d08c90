"""Blocks of whole groups, and the jackknife against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t, ttest_ind

from augury.metrics.jackknife import blocks, jackknife, two_samples


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.integers(1, 30), st.integers(0, 99))
def test_blocks_hold_whole_groups_evenly(groups: list[int], count: int, seed: int) -> None:
    group_N = np.array(groups)
    block_N = blocks(group_N, count=count, seed=seed)
    used = min(count, len(set(groups)))
    assert sorted(set(block_N.tolist())) == list(range(used))
    assert all(len(set(block_N[group_N == g].tolist())) == 1 for g in set(groups))
    assert (block_N == blocks(group_N, count=count, seed=seed)).all()
    largest = max(np.bincount(group_N))
    assert np.bincount(block_N).max() <= len(groups) / used + largest
    assert len(blocks(np.array(["a", "b", "a"]), seed=0)) == 3


def test_items_of_their_own_are_spread_by_the_seed() -> None:
    one, two = blocks(np.arange(100), seed=0), blocks(np.arange(100), seed=1)
    assert set(np.bincount(one)) == {5}
    assert (one != two).any()


def test_the_jackknife_of_a_mean_is_the_t_interval() -> None:
    x = np.random.default_rng(0).normal(size=30)
    found = jackknife(x.mean(), [np.delete(x, i).mean() for i in range(30)], n=30, unit="patient")
    low, high = t.interval(0.95, 29, loc=x.mean(), scale=x.std(ddof=1) / math.sqrt(30))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.n, found.unit) == (30, "patient")


def test_two_samples_of_a_difference_are_welchs_interval() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(25, 1)), rng.normal(size=(40, 1)) * 3
    found = two_samples(
        lambda real, synthetic: float(synthetic.mean() - real.mean()), x, y,
        block_real_N=np.arange(25), block_synthetic_M=np.arange(40), n=25,
    )  # fmt: skip
    low, high = ttest_ind(y[:, 0], x[:, 0], equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_the_interval_stays_in_its_range_and_a_perfect_share_is_not_certain() -> None:
    found = jackknife(0.99, [0.98, 1.0, 0.99], n=3, unit="group", low=0.0, high=1.0)
    assert found.high == 1.0
    assert found.low < 0.98
    perfect = jackknife(1.0, [1.0] * 20, n=20, unit="group", low=0.0, high=1.0)
    assert perfect.low == pytest.approx(0.025 ** (1 / 20))
    assert jackknife(3.0, [3.0, 3.0], n=2, unit="group").low == 3.0
    with pytest.raises(ValueError, match="two groups"):
        jackknife(1.0, [1.0], n=1, unit="group")

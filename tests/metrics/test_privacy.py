"""Copies and membership: slow definitions, exact tests against scipy, and sets of which the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact, mannwhitneyu
from sklearn.metrics import roc_auc_score

from augury.metrics.privacy import (
    authenticity,
    c_t,
    distance_ratio,
    membership_auroc,
    more_often,
    nearest_share,
    share_of,
)  # fmt: skip


def normal(n: int, d: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def patients(groups: int, d: int, *, seed: int, images: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    group_N = np.repeat(np.arange(groups), images)
    feature_ND = rng.normal(size=(groups, d))[group_N] + 0.5 * rng.normal(size=(len(group_N), d))
    return feature_ND.astype(np.float32), group_N


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 99))
def test_the_share_is_the_mean_over_subsamples_of_the_larger_side(trained: int, held: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    s, t, h = (normal(count, 3, seed=seed + 100 * i) for i, count in enumerate((5, trained, held)))
    d_ST, d_SH = (np.linalg.norm(s[:, None] - side[None], axis=2) for side in (t, h))
    size, total = min(trained, held), np.zeros(5)
    for _ in range(3000):
        near_t = d_ST[:, rng.permutation(trained)[:size]].min(axis=1)
        near_h = d_SH[:, rng.permutation(held)[:size]].min(axis=1)
        total += near_t < near_h
    found = nearest_share(s, t, h, relabellings=1)
    np.testing.assert_allclose(found.value_S, total / 3000, atol=0.05)
    assert found.share == found.value_S.mean()


def test_a_copy_that_is_on_both_sides_counts_half() -> None:
    t, h = normal(20, 4, seed=0), normal(20, 4, seed=1)
    h[0] = t[0]
    found = nearest_share(np.stack([t[0], t[1], h[2]]), t, h, relabellings=1)
    assert found.value_S.tolist() == [0.5, 1.0, 0.0]


def test_fresh_draws_are_found_at_one_half_and_copies_are_not() -> None:
    (t, group_t), (h, group_h) = patients(120, 8, seed=0), patients(60, 8, seed=1)
    fresh, _ = patients(300, 8, seed=2, images=1)
    given_groups = {"group_train_T": group_t, "group_holdout_H": group_h + 1000}
    honest = nearest_share(fresh, t, h, **given_groups)
    interval = honest.estimate()
    assert interval.low < 0.5 < interval.high
    assert interval.n == 60
    assert honest.p > 0.05
    copies = np.concatenate([fresh[:150], t[:150] + np.float32(0.01)])
    found = nearest_share(copies, t, h, **given_groups)
    assert found.p < 0.01
    assert found.share > honest.share + 0.1
    assert nearest_share(t, t, h, **given_groups).estimate().low > 0.5
    reverse = nearest_share(copies, h, t, group_train_T=group_h, group_holdout_H=group_t + 1000)
    assert reverse.share == pytest.approx(1 - found.share)
    assert reverse.p > 0.5


def test_the_test_of_the_share_keeps_its_level_where_patients_have_many_images() -> None:
    rejected = 0
    for seed in range(60):
        both, group = patients(60, 6, seed=seed, images=6)
        first = group < 40
        made = nearest_share(
            normal(150, 6, seed=seed + 999), both[first], both[~first],
            group_train_T=group[first], group_holdout_H=group[~first], relabellings=199, seed=seed,
        )  # fmt: skip
        rejected += made.p <= 0.05
    assert rejected <= 8  # P(more | 60, 0.05) < 0.003


def test_a_leaked_group_is_refused() -> None:
    t, h = normal(4, 2, seed=0), normal(4, 2, seed=1)
    with pytest.raises(ValueError, match="both training and held-out"):
        nearest_share(h, t, h, group_train_T=np.arange(4), group_holdout_H=np.arange(3, 7))
    with pytest.raises(ValueError, match="two of each"):
        nearest_share(h, t, h[:1])


def test_ratio_and_authenticity_follow_their_definitions() -> None:
    s, t = normal(30, 3, seed=0), normal(50, 3, seed=1)
    s[0] = t[7]
    d_ST, d_TT = np.linalg.norm(s[:, None] - t[None], axis=2), np.linalg.norm(t[:, None] - t[None], axis=2)
    np.fill_diagonal(d_TT, np.inf)
    two = np.sort(d_ST, axis=1)[:, :2]
    np.testing.assert_allclose(distance_ratio(s, t), two[:, 0] / two[:, 1], rtol=1e-5)
    assert (authenticity(s, t) == (d_ST.min(axis=1) > d_TT.min(axis=1)[d_ST.argmin(axis=1)])).all()
    assert authenticity(t, t).mean() == 0.0
    twins = np.concatenate([t, t + np.float32(1e-3)])  # a copy of a patient of two images is seen only by group
    group = np.tile(np.arange(50), 2)
    assert distance_ratio(t[:5] + np.float32(5e-4), twins).min() > 0.5
    assert distance_ratio(t[:5] + np.float32(5e-4), twins, group_train_T=group).max() < 0.1
    assert 0.3 < authenticity(normal(2000, 3, seed=2), normal(2000, 3, seed=3)).mean() < 0.7


def test_c_t_is_the_mann_whitney_z_and_its_sign_tells() -> None:
    rng = np.random.default_rng(0)
    held, drawn = rng.exponential(size=80), rng.exponential(size=150)
    z = c_t(held, drawn)
    assert mannwhitneyu(drawn, held, use_continuity=False, method="asymptotic").pvalue == pytest.approx(
        2 * (1 - 0.5 * (1 + math.erf(abs(z) / math.sqrt(2))))
    )
    assert c_t(held, drawn * 0.3) < -3 < 3 < c_t(held, drawn * 3)
    cell_h, cell_s = np.arange(80) % 2, np.arange(150) % 3
    weighted = [c_t(held[cell_h == c], drawn[cell_s == c]) for c in (0, 1)]
    assert c_t(held, drawn, cell_holdout_H=cell_h, cell_synthetic_S=cell_s) == pytest.approx(np.mean(weighted))
    with pytest.raises(ValueError, match="one side"):
        c_t(held, drawn, cell_holdout_H=cell_h)
    with pytest.raises(ValueError, match="no cell"):
        c_t(held, drawn, cell_holdout_H=cell_h, cell_synthetic_S=cell_s + 9)


def test_membership_is_the_auroc_by_patient() -> None:
    rng = np.random.default_rng(0)
    member, other = rng.normal(0.5, 1, 100), rng.normal(0, 1, 90)
    found = membership_auroc(member, other)
    assert found.value == pytest.approx(roc_auc_score([1] * 100 + [0] * 90, np.concatenate([member, other])))
    assert found.low < 0.638 < found.high
    # The same twenty scores of each five times over are no more evidence than once.
    grouped = membership_auroc(
        np.tile(member[:20], 5), np.tile(other[:20], 5),
        group_member_N=np.tile(np.arange(20), 5), group_other_M=np.tile(np.arange(20), 5),
    )  # fmt: skip
    once = membership_auroc(member[:20], other[:20])
    assert (grouped.low, grouped.high, grouped.n) == pytest.approx((once.low, once.high, 40), abs=0.02)
    assert membership_auroc(member * 1e30, other * 1e30).value == pytest.approx(found.value)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 40), st.integers(1, 40))
def test_counts_agree_with_scipy(a: int, n: int, b: int, m: int) -> None:
    a, b = min(a, n), min(b, m)
    theirs = fisher_exact([[a, n - a], [b, m - b]], alternative="greater").pvalue
    assert more_often(a, n, b, m) == pytest.approx(theirs, rel=1e-9)
    exact = binomtest(a, n).proportion_ci(0.95, method="exact")
    found = share_of(a, n)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-6)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="within"):
        more_often(3, 2, 0, 5)
    with pytest.raises(ValueError, match="within"):
        share_of(1, 0)

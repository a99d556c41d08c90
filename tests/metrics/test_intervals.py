"""Resampling and intervals: unbiased variance, closed forms, and whether the truth is covered as often as promised."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import bootstrap, t

from augury.metrics.cells import Cell, stratum_of_groups
from augury.metrics.classification import METRICS, mean_scorer
from augury.metrics.estimate import Estimate, Metric
from augury.metrics.intervals import Contrast, contrast, difference, estimate, estimate_of, estimates, max_t_bounds
from augury.metrics.resampling import Replicates, deletion_weights, draw_weights, resample
from augury.metrics.tails import bca_interval, bca_p, corrected_t_interval, corrected_t_p, freedom, influence

DICE = Metric(
    name="dice", better="higher", source="a score per item", compute=lambda _label_N, score_N1: float(score_N1.mean()),
    prepare=lambda _label_N, score_N1, group_N: mean_scorer(score_N1[:, 0], group_N),
)  # fmt: skip


def model_cell(rng: np.random.Generator, *, groups: int, auroc: float) -> Cell:
    """One model on patients of one to five images, half of them positive; half of the noise is the patient's."""
    label_G = (np.arange(groups) < groups // 2).astype(np.int64)
    group_N = np.repeat(np.arange(groups), rng.integers(1, 6, groups))
    gap = math.sqrt(2) * ndtri(auroc)
    noise_N = math.sqrt(0.5) * (rng.standard_normal(groups)[group_N] + rng.standard_normal(len(group_N)))
    p_N = ndtr(gap * label_G[group_N] + noise_N - gap / 2)
    return one_cell(label_G[group_N], group_N, np.stack([1 - p_N, p_N], axis=1))


def dice_cell(rng: np.random.Generator, *, groups: int) -> Cell:
    """Scores in (0, 1), skewed to the left, half of whose noise is the patient's."""
    group_N = np.repeat(np.arange(groups), rng.integers(1, 6, groups))
    noise_N = math.sqrt(0.5) * (rng.standard_normal(groups)[group_N] + rng.standard_normal(len(group_N)))
    return one_cell(np.zeros(len(group_N), dtype=np.int64), group_N, ndtr(1.5 + noise_N)[:, None])


def one_cell(label_N: np.ndarray, group_N: np.ndarray, p_NK: np.ndarray) -> Cell:
    return Cell(fold=0, repeat=0, label_N=label_N, group_N=group_N, value_ASNK=p_NK.astype(np.float32)[None, None])


def accuracy_at(auroc: float) -> float:
    return float(ndtr(ndtri(auroc) / math.sqrt(2)))


CASES: dict[str, tuple[Callable[[np.random.Generator, int], Cell], Metric, float]] = {
    "auroc 0.80": (lambda rng, n: model_cell(rng, groups=n, auroc=0.80), METRICS["auroc_macro"], 0.80),
    "auroc 0.95": (lambda rng, n: model_cell(rng, groups=n, auroc=0.95), METRICS["auroc_macro"], 0.95),
    "accuracy": (lambda rng, n: model_cell(rng, groups=n, auroc=0.85), METRICS["accuracy"], accuracy_at(0.85)),
    "kappa": (
        lambda rng, n: model_cell(rng, groups=n, auroc=0.85), METRICS["kappa_quadratic"], 2 * accuracy_at(0.85) - 1
    ),
    "dice": (lambda rng, n: dice_cell(rng, groups=n), DICE, float(ndtr(1.5 / math.sqrt(2)))),
}  # fmt: skip


def coverage(case: str, groups: int, *, studies: int, draws: int) -> float:
    """How often the 95 % interval of one model's score holds the truth."""
    draw, metric, truth = CASES[case]
    rng, held = np.random.default_rng(groups), 0
    for study in range(studies):
        found = estimate([draw(rng, groups)], 0, metric, draws=draws, seed=study)
        held += found.low <= truth <= found.high
    return held / studies


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("groups", [50, 100, 250])
def test_a_single_models_interval_covers_as_promised(case: str, groups: int) -> None:
    covered = coverage(case, groups, studies=600, draws=500)
    print(f"{case}, {groups} groups: {covered:.3f}")
    assert (0.90 if groups < 100 else 0.93) <= covered <= (1.0 if groups < 100 else 0.97)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("groups", "studies"), [(50, 4000), (100, 4000), (1000, 1000), (5000, 600)])
def test_a_single_models_interval_covers_as_promised_in_full(case: str, groups: int, studies: int) -> None:
    covered = coverage(case, groups, studies=studies, draws=1000)
    print(f"{case}, {groups} groups, {studies} studies: {covered:.4f}")
    assert (0.90 if groups < 100 else 0.93) <= covered <= (1.0 if groups < 100 else 0.97)


def test_resampling_and_deletion_give_the_unbiased_variance_of_a_mean() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 5, 30):
        score_N = rng.random(n)
        cell = one_cell(np.zeros(n, dtype=np.int64), np.arange(n), score_N[:, None])
        found = resample([cell], DICE, draws=20_000, seed=1).arms[0]
        variance = score_N.var(ddof=1) / n
        assert found.value == pytest.approx(score_N.mean())
        assert found.draw_B.var() == pytest.approx(variance, rel=0.05)
        squares = sum(float((u**2).sum()) / len(u) ** 2 for u in (influence(found)[0] * n,))
        assert squares * n / (n - 1) == pytest.approx(variance, rel=1e-4)


def test_resamples_keep_the_number_of_each_class_and_seeds_count() -> None:
    stratum_G = np.array([0] * 7 + [1] * 3 + [2])
    weight_GB = draw_weights(stratum_G, draws=50, rng=np.random.default_rng(0))
    assert [set(weight_GB[stratum_G == k].sum(axis=0)) for k in range(3)] == [{6.0}, {2.0}, {1.0}]
    deleted_GJ, stratum_J = deletion_weights(stratum_G)
    assert stratum_J.tolist() == [0] * 7 + [1] * 3
    assert (deleted_GJ.sum(axis=0) == 10).all()


def test_more_seeds_that_agree_change_nothing_and_seeds_that_differ_widen() -> None:
    rng = np.random.default_rng(0)
    one = model_cell(rng, groups=60, auroc=0.8)
    p_NK = one.value_ASNK[0, 0]
    same = Cell(fold=0, repeat=0, label_N=one.label_N, group_N=one.group_N, value_ASNK=np.stack([p_NK] * 3)[None])
    other = np.where(rng.random((3, len(p_NK), 1)) < 0.3, 1 - p_NK, p_NK)
    other[1] = p_NK
    apart = Cell(fold=0, repeat=0, label_N=one.label_N, group_N=one.group_N, value_ASNK=other[None])
    widths = [
        np.ptp(bca_interval(resample([cell], METRICS["auroc_macro"], seed=1).arms[0])) for cell in (one, same, apart)
    ]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)
    assert widths[2] > 1.3 * widths[0]


def test_bca_agrees_with_scipys_where_both_apply() -> None:
    score_N = np.random.default_rng(0).exponential(1.0, 200)
    cell = one_cell(np.zeros(200, dtype=np.int64), np.arange(200), score_N[:, None])
    found = bca_interval(resample([cell], DICE, draws=20_000).arms[0], level=0.95)
    theirs = bootstrap((score_N,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1))
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert found[0] == pytest.approx(theirs.confidence_interval.low, abs=0.05 * width)
    assert found[1] == pytest.approx(theirs.confidence_interval.high, abs=0.05 * width)


def test_the_p_value_is_the_level_at_which_the_interval_ends_at_zero() -> None:
    for shift in (0.5, 1.5, 2.5, -2.0):
        found = normal_replicates(shift, seed=int(10 * abs(shift)))
        ends = bca_interval(found, level=1 - bca_p(found))
        assert min(abs(ends[0]), abs(ends[1])) < 0.1
    value_C = np.array([0.02, 0.05, -0.01, 0.04, 0.03])
    low, _ = corrected_t_interval(value_C, test_to_train=1 / 3, level=1 - corrected_t_p(value_C, test_to_train=1 / 3))
    assert low == pytest.approx(0.0, abs=1e-9)


def normal_replicates(value: float, *, seed: int = 0, deviation: float = 1.0, groups: int = 100) -> Replicates:
    """What resampling a mean of normal influences would give."""
    rng = np.random.default_rng(seed)
    influence_G = rng.standard_normal(groups)
    influence_G *= deviation / math.sqrt(groups) / influence_G.std()
    return Replicates(
        value=value, draw_B=value + deviation * rng.standard_normal(4000), groups=groups,
        deleted_J=value - influence_G / math.sqrt(groups), stratum_J=np.zeros(groups, dtype=np.int64),
    )  # fmt: skip


def test_the_corrected_t_is_nadeaus_and_bengios() -> None:
    value_C = np.array([0.1, 0.2, 0.4])
    half = t.ppf(0.975, 2) * math.sqrt((1 / 3 + 0.25) * value_C.var(ddof=1))
    found = corrected_t_interval(value_C, test_to_train=0.25)
    assert found == pytest.approx((value_C.mean() - half, value_C.mean() + half))
    assert corrected_t_p(np.zeros(3), test_to_train=0.25) == 1.0


def test_the_wider_interval_decides() -> None:
    calm, wild = np.array([0.10, 0.10, 0.11, 0.10, 0.09]), np.array([3.0, -3.0, 2.0, -2.5, 0.5])
    narrow = Contrast(replicates=normal_replicates(0.1), value_C=calm, test_to_train=1 / 3)
    assert narrow.decider == "bca"
    assert narrow.interval() == pytest.approx(bca_interval(narrow.replicates))
    wide = Contrast(replicates=normal_replicates(0.1), value_C=wild, test_to_train=1 / 3)
    assert wide.decider == "corrected_t"
    assert wide.p_value() == corrected_t_p(wild, test_to_train=1 / 3)


def test_degrees_of_freedom_fall_with_few_or_heavy_groups_and_never_below_one() -> None:
    rng = np.random.default_rng(0)
    normal, few = rng.standard_normal(400), rng.standard_normal(10)
    assert 250 < freedom([normal]) < 500
    assert freedom([few]) < 15
    assert freedom([np.r_[normal, 200.0]]) < 3
    assert freedom([np.zeros(5)]) == math.inf


def test_identical_arms_differ_by_exactly_nothing() -> None:
    one = model_cell(np.random.default_rng(0), groups=40, auroc=0.8)
    cell = Cell(
        fold=0, repeat=0, label_N=one.label_N, group_N=one.group_N,
        value_ASNK=np.concatenate([one.value_ASNK] * 2),
    )  # fmt: skip
    assert difference([cell], 1, reference=0, metric=METRICS["auroc_macro"]) == Estimate(
        value=0.0, low=0.0, high=0.0, n=40, unit="group"
    )
    found = contrast(resample([cell], METRICS["auroc_macro"]), 1, reference=0)
    assert found.identical
    assert found.p_value() == 1.0


def test_a_perfect_score_on_few_groups_is_not_certain() -> None:
    label_N = np.array([0, 1] * 5)
    cell = one_cell(label_N, np.arange(10), np.eye(2)[label_N])
    found = estimate([cell], 0, METRICS["accuracy"])
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025**0.1)


def test_a_figure_that_every_resample_makes_larger_stays_inside_its_interval() -> None:
    cell = model_cell(np.random.default_rng(0), groups=200, auroc=0.8)
    found = estimate([cell], 0, METRICS["ece"])
    assert found.low < found.value - 1e-3
    assert found.high > found.value + 1e-3


def test_one_arm_alone_has_the_interval_that_it_has_among_others() -> None:
    rng = np.random.default_rng(0)
    one, two = model_cell(rng, groups=40, auroc=0.8), rng.dirichlet([1, 1], 1)
    both = np.concatenate([one.value_ASNK, np.broadcast_to(two, one.value_ASNK.shape)]).astype(np.float32)
    cell = Cell(fold=0, repeat=0, label_N=one.label_N, group_N=one.group_N, value_ASNK=both)
    assert estimates([cell], METRICS["auroc_macro"])[0] == estimate([cell], 0, METRICS["auroc_macro"])


def test_a_fold_without_a_class_is_left_out_and_nothing_at_all_is_refused() -> None:
    cell = model_cell(np.random.default_rng(0), groups=40, auroc=0.8)
    lame = Cell(fold=1, repeat=0, label_N=np.array([1]), group_N=np.array([99]), value_ASNK=np.full((1, 1, 1, 2), 0.5))
    found = resample([cell, lame], METRICS["auroc_macro"], draws=100)
    assert found.arms[0].value == found.value_AC[0, 0]
    assert np.isnan(found.value_AC[0, 1])
    with pytest.raises(ValueError, match="undefined"):
        resample([lame], METRICS["auroc_macro"], draws=10)


def test_max_t_bounds_widen_with_the_number_of_arms() -> None:
    arms = [
        Contrast(replicates=normal_replicates(0.0, seed=k), value_C=np.zeros(1), test_to_train=0.3) for k in range(8)
    ]
    alone, together = max_t_bounds(arms[:1], error=0.05)[0], max_t_bounds(arms, error=0.05)
    assert alone == pytest.approx(-1.645, abs=0.08)
    assert together[0] == pytest.approx(-ndtri(0.95 ** (1 / 8)), abs=0.12)  # eight independent arms
    assert (max_t_bounds([arms[0], arms[0]], error=0.05) == pytest.approx(alone)) is True


def test_strata_are_the_commonest_label_of_a_group() -> None:
    cell = one_cell(np.array([0, 1, 1, 0, 0]), np.array([7, 7, 7, 3, 7]), np.full((5, 2), 0.5))
    code_G, stratum_G = stratum_of_groups([cell])
    assert (code_G.tolist(), stratum_G.tolist()) == ([3, 7], [0, 0])


def test_an_estimate_holds_its_value() -> None:
    with pytest.raises(ValueError, match="low <= value <= high"):
        Estimate(value=2.0, low=0.0, high=1.0, n=3, unit="group")
    assert estimate_of(normal_replicates(0.3)).unit == "group"

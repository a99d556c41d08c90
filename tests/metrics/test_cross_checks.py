"""DeLong and McNemar against slow definitions; what could be detected against EVALUATION.md's own figures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from augury.metrics.cross_checks import delong_p, mcnemar_p
from augury.metrics.power import auroc_deviation, smallest_detectable_difference


def slow_delong(positive_N, a_N, b_N) -> float:
    """Structural components by double loop (DeLong et al. 1988, eq. 3 to 5)."""
    pairs = []
    for score_N in (a_N, b_N):
        x, y = score_N[positive_N], score_N[~positive_N]
        pairs.append(np.array([[1.0 if i > j else 0.5 if i == j else 0.0 for j in y] for i in x]))
    gap = pairs[0] - pairs[1]
    variance = gap.mean(1).var(ddof=1) / gap.shape[0] + gap.mean(0).var(ddof=1) / gap.shape[1]
    return 2 * norm.sf(abs(gap.mean()) / np.sqrt(variance))


def test_delong_equals_the_double_loop_also_with_ties() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        positive_N = np.arange(40) < 15
        a_N, b_N = np.round(rng.standard_normal((2, 40)) + positive_N, 1)
        assert delong_p(positive_N, a_N, b_N) == pytest.approx(slow_delong(positive_N, a_N, b_N), rel=1e-9)
    assert delong_p(positive_N, a_N, a_N) == 1.0
    with pytest.raises(ValueError, match="two positives"):
        delong_p(np.array([True, False, False]), a_N[:3], b_N[:3])


def test_delong_rejects_equal_scores_five_times_in_a_hundred() -> None:
    rng, positive_N = np.random.default_rng(0), np.arange(100) < 50
    rejected = [delong_p(positive_N, *(rng.standard_normal((2, 100)) + positive_N)) < 0.05 for _ in range(1000)]
    assert 0.03 < np.mean(rejected) < 0.07


def test_mcnemar_is_the_binomial_test_of_the_discordant() -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        a_N, b_N = rng.random((2, 30)) < [[0.8], [0.6]]
        first, second = int((a_N & ~b_N).sum()), int((b_N & ~a_N).sum())
        assert mcnemar_p(a_N, b_N) == pytest.approx(binomtest(first, first + second).pvalue, rel=1e-9)
    assert mcnemar_p(a_N, a_N) == 1.0


def test_the_figures_of_evaluation_md() -> None:
    found = [round(smallest_detectable_difference(0.80, 0.7, n=n), 3) for n in (50, 100, 500)]
    assert found == [0.097, 0.068, 0.030]
    with pytest.raises(ValueError, match="correlation"):
        smallest_detectable_difference(0.8, 1.0, n=50)


def test_the_deviation_of_an_auroc_is_that_of_drawn_ones() -> None:
    rng = np.random.default_rng(2)  # exponential scores, for which the formula is exact
    ratio = 0.8 / 0.2  # P(positive > negative) of exponentials with means m and 1 is m / (m + 1)
    drawn = [(rng.exponential(ratio, (40, 1)) > rng.exponential(1, (1, 60))).mean() for _ in range(2000)]
    assert np.std(drawn) == pytest.approx(auroc_deviation(0.8, positives=40, negatives=60), rel=0.05)

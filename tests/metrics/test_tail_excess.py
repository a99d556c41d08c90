"""Laws of the test on the highest scores."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from augury.metrics.tail_excess import LOOKED_AT, tail_excess


def test_keeps_its_level_under_the_null() -> None:
    rng = np.random.default_rng(0)
    p = np.array([tail_excess(rng.normal(size=120), rng.normal(size=80), relabellings=199, seed=i) for i in range(400)])
    # 400 audits of the null: at most 5 % may reject at 0.05, give or take three deviations.
    assert (p <= 0.05).mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert abs((p <= 0.5).mean() - 0.5) < 0.15


def test_finds_a_few_copies_at_the_top_and_many_further_down() -> None:
    rng = np.random.default_rng(1)
    few, many, control = rng.normal(size=1000), rng.normal(size=1000), rng.normal(size=1000)
    few[:10] = 8.0
    many[:60] += 2.5
    assert tail_excess(few, control, seed=0) < 0.01
    assert tail_excess(many, control, seed=0) < 0.05
    assert tail_excess(control, few, seed=0) > 0.2


def test_of_a_single_place_it_is_the_hypergeometric_tail() -> None:
    """With 20 scores one place is looked at: p is the chance that the highest is an audited one."""
    assert round(20 * LOOKED_AT) == 1
    score_S, score_C = np.array([5.0, *np.zeros(4)]), np.arange(15) / 100
    p = tail_excess(score_S, score_C, relabellings=20_000, seed=3)
    assert p == pytest.approx(hypergeom.sf(0, 20, 5, 1), abs=0.01)


def test_ties_count_for_the_controls() -> None:
    assert tail_excess(np.ones(50), np.ones(50), seed=0) == 1.0


def test_depends_on_ranks_alone_and_on_the_seed() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(0.3, 1, 90), rng.normal(size=90)
    p = tail_excess(first, second, seed=5)
    assert p == tail_excess(np.exp(first), np.exp(second), seed=5)
    assert p == tail_excess(first[::-1], second[::-1], seed=5)


@pytest.mark.parametrize("score", [np.array([]), np.array([np.nan])])
def test_refuses_what_is_no_score(score: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected at least one finite score each"):
        tail_excess(score, np.ones(3), seed=0)

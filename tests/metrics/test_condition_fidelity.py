"""Obedience, per image: closed forms, a slow second writing, and what nothing asked means. N images, H, W sides."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from augury.metrics.condition_fidelity import THRESHOLD, TOLERANCE, edge_f1, mask_dice

PATIENT = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # of a loaded machine
MAPS = arrays(np.float64, (2, 7, 9), elements=st.sampled_from([0.0, 0.2, 0.5, 1.0]))


def slow_f1(found_HW: NDArray[np.float64], asked_HW: NDArray[np.float64]) -> float:
    """Every pixel against every pixel."""
    found, asked = (list(map(tuple, np.argwhere(m >= THRESHOLD))) for m in (found_HW, asked_HW))
    if not asked:
        return math.nan
    if not found:
        return 0.0

    def near(part: list[tuple[int, ...]], other: list[tuple[int, ...]]) -> float:
        return sum(min(math.dist(a, b) for b in other) <= TOLERANCE for a in part) / len(part)

    precision, recall = near(found, asked), near(asked, found)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@PATIENT
@given(MAPS, MAPS)
def test_edge_f1_is_what_the_slow_count_says(found: NDArray[np.float64], asked: NDArray[np.float64]) -> None:
    slow = [slow_f1(f, a) for f, a in zip(found, asked, strict=True)]
    assert edge_f1(found, asked) == pytest.approx(slow, nan_ok=True)


@PATIENT
@given(MAPS, MAPS)
def test_dice_is_what_the_sets_say(found: NDArray[np.float64], asked: NDArray[np.float64]) -> None:
    for f, a, dice in zip(found > 0.3, asked > 0.3, mask_dice(found > 0.3, asked > 0.3), strict=True):
        one, other = {*map(tuple, np.argwhere(f))}, {*map(tuple, np.argwhere(a))}
        assert dice == (
            pytest.approx(2 * len(one & other) / (len(one) + len(other)))
            if other
            else pytest.approx(math.nan, nan_ok=True)
        )


def test_a_step_aside_is_forgiven_and_two_are_not() -> None:
    asked = np.zeros((1, 20, 20))
    asked[0, 4:16, 8] = 1
    assert [float(edge_f1(np.roll(asked, by, axis=2), asked)[0]) for by in (0, 1, 2)] == [1, 1, 0]
    assert edge_f1(np.roll(asked, 2, axis=2), asked, tolerance=2)[0] == 1
    assert edge_f1(asked * 0, asked)[0] == 0
    assert np.isnan(edge_f1(asked, asked * 0)[0])


def test_drawing_edges_everywhere_costs_precision() -> None:
    asked = np.zeros((1, 40, 40))
    asked[0, 10:30, 20] = 1
    assert edge_f1(np.ones_like(asked), asked)[0] < 0.15


def test_maps_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="the same for both"):
        edge_f1(np.zeros((1, 4, 4)), np.zeros((1, 4, 5)))
    with pytest.raises(ValueError, match="the same for both"):
        mask_dice(np.zeros((1, 4, 4), bool), np.zeros((2, 4, 4), bool))

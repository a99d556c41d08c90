"""Laws of the schedule: sources take turns in proportion, each phase warms up and cools down by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.predictors.phases import Phase, Source, turns

PAIRS = Pairs(
    pixels_NCHW=np.zeros((2, 1, 8, 8), np.uint8), condition=Condition(label_B=torch.tensor([0, 1])), classes=2
)


@given(real=st.integers(1, 200), ratio=st.sampled_from([0.25, 0.5, 1.0, 2.0]))
def test_the_budget_rule(real: int, ratio: float) -> None:
    """N steps on real and rN on synthetic images, evenly interleaved from beginning to end."""
    more = round(ratio * real)
    sources = (Source(pairs=PAIRS), Source(pairs=PAIRS, share=ratio))
    schedule = turns([Phase(sources=sources, steps=real + more)], warm_up=0.1)
    assert abs(sum(turn.draw == 0 for turn in schedule) - real) <= 1
    for step in range(1, len(schedule)):
        seen = sum(turn.draw == 1 for turn in schedule[:step])
        assert abs(seen - step * ratio / (1 + ratio)) <= 1


def test_each_source_counts_its_own_turns_without_a_gap() -> None:
    first = Phase(sources=(Source(pairs=PAIRS, share=2.0), Source(pairs=PAIRS)), steps=30)
    schedule = turns([first, Phase(sources=(Source(pairs=PAIRS),), steps=10)], warm_up=0.1)
    for draw, count in {0: 20, 1: 10, 2: 10}.items():
        assert [turn.count for turn in schedule if turn.draw == draw] == list(range(count))


def test_every_phase_warms_up_and_cools_down() -> None:
    phase = Phase(sources=(Source(pairs=PAIRS),), steps=100)
    rates = [turn.rate for turn in turns([phase, phase], warm_up=0.1)]
    assert rates[:100] == rates[100:]
    assert rates[0] < 0.05
    assert max(rates) == rates[10] == 1.0
    assert rates[99] < 0.01


def test_a_fading_weight_is_gone_at_the_end() -> None:
    source = Source(pairs=PAIRS, weight=0.3, fade=True)
    assert source.weight_at(0.5) == 0.3
    assert source.weight_at(5 / 6) == pytest.approx(0.15)
    assert source.weight_at(1.0) == 0.0
    assert Source(pairs=PAIRS, weight=0.3).weight_at(1.0) == 0.3

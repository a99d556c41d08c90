"""The watch: it sees a generator that memorises by construction, spares one that does not, and changes nothing."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.studies.phantom_pairs import phantom_pairs

from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.generators import GENERATORS
from augury.generators.adversarial import Game, Networks
from augury.generators.generator import Generator
from augury.studies.watching import (
    Ground,
    balanced_share,
    dealt_again,
    fine_structure,
    last_look,
    neighbour_sheet,
    stopped_at,
    watch,
)
from augury.training import Run

SMALL: dict[str, dict[str, Any]] = {
    "cvae": {"features": 16, "latent": 32},
    "cgan": {
        "networks": Networks(latent=16, generator_features=16, critic_features=16),
        "game": Game(generator_rate=1e-3, critic_rate=1e-3),
    },
}


def ground(train: int, held: int) -> Ground:
    t, h = phantom_pairs(train, seed=1), phantom_pairs(held, seed=2)
    return Ground(train=t, held=h, train_group_T=np.arange(train), held_group_H=np.arange(held))


def fit(method: str, train: Pairs, run: Run) -> Generator:
    channels, height, width = train.shape
    kind, config = GENERATORS[method]
    shape = Shape(channels=channels, height=height, width=width, classes=train.classes)
    made: Generator = kind(config(**SMALL[method]), shape).fit(train, run)
    return made


def run_of(steps: int, **changes: Any) -> Run:
    return Run(**{"seed": 3, "steps": steps, "batch": 16, "log_every": 1, **changes})


@pytest.mark.parametrize("method", ["cvae", "cgan"])
def test_a_generator_that_memorises_is_stopped(method: str) -> None:
    few = ground(20, 40)
    run = run_of(300)
    watch(few, run, stops=True)
    fit(method, few.train, run)
    assert run.stopped
    assert run.step < 300
    look = last_look(run.history)
    assert look is not None
    assert look["watch_nearest_share"] > 0.9


@pytest.mark.parametrize("method", ["cvae", "cgan"])
def test_a_generator_that_saw_much_and_trained_little_is_not(method: str) -> None:
    many = ground(400, 100)
    run = run_of(40)
    watch(many, run, stops=True)
    fit(method, many.train, run)
    assert not run.stopped
    assert run.step == 40
    assert all(line["watch_p"] > 0.001 for line in run.history if "watch_p" in line)


@pytest.mark.parametrize("method", ["cvae", "cgan", "wgan_gp"])
def test_a_watched_fit_is_bit_equal_and_goes_on_where_it_was(method: str, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(step: int, steps: int) -> None:
        if step == 5:
            raise Interrupted

    few = ground(20, 40)
    SMALL.setdefault("wgan_gp", SMALL["cgan"])
    alone = fit(method, few.train, run_of(10))
    whole = run_of(10)
    watch(few, whole, stops=False)
    watched = fit(method, few.train, whole)
    parts = [run_of(10, folder=tmp_path, save_every=2, report=report) for report in (interrupt, None)]
    for run in parts:
        watch(few, run, stops=False)
    with pytest.raises(Interrupted):
        fit(method, few.train, parts[0])
    resumed = fit(method, few.train, parts[1])
    for name, value in alone.nets.state_dict().items():
        assert torch.equal(value, watched.nets.state_dict()[name]), name
        assert torch.equal(value, resumed.nets.state_dict()[name]), name
    assert parts[1].history == whole.history
    assert sum("watch_p" in line for line in whole.history) == 10
    assert stopped_at(tmp_path / "log.jsonl") is None


def test_a_stopped_fit_stays_stopped(tmp_path: Path) -> None:
    few = ground(20, 40)
    weights, steps = [], []
    for _ in range(2):
        run = run_of(300, folder=tmp_path)
        watch(few, run, stops=True)
        weights.append(fit("cvae", few.train, run).nets.state_dict())
        steps.append(run.step)
    assert steps[0] == steps[1] == stopped_at(tmp_path / "log.jsonl")
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_the_share_is_the_mean_over_equal_subsets() -> None:
    rng = np.random.default_rng(0)
    train_ST, held_SH = rng.normal(size=(7, 6)), rng.normal(size=(7, 3))
    by_hand = np.mean([(train_ST[:, chosen].max(1) > held_SH.max(1)).mean() for chosen in combinations(range(6), 3)])
    assert balanced_share(train_ST, held_SH) == pytest.approx(by_hand)
    assert balanced_share(held_SH, train_ST) == pytest.approx(1 - by_hand)


def test_the_deals_are_an_exact_test() -> None:
    """Three training groups of six hold all nearest images: 1 of 20 deals does as much."""
    nearest, is_train = np.array([0, 1, 2, 2]), np.arange(6) < 3
    p = dealt_again(nearest, np.arange(6), is_train, np.zeros(6, dtype=np.int64), seed=0)
    assert p == pytest.approx(1 / 20, abs=0.008)
    # One group is nearest to everything: that is a hub, and half of all deals put it on this side.
    assert dealt_again(np.zeros(50, np.int64), np.arange(6), is_train, np.zeros(6, np.int64), seed=0) > 0.4
    # Classes are dealt apart, so a class that is all training cannot weigh in.
    label = np.array([0, 0, 0, 1, 1, 1])
    assert dealt_again(nearest, np.arange(6), is_train, label, seed=0) == 1.0


def test_fresh_phantoms_leave_the_null_no_more_often_than_they_should() -> None:
    """Samples that are new patients of the same population, against 60 deals of 80 others."""
    real, fresh = phantom_pairs(80, seed=4), phantom_pairs(120, seed=5)
    z_ND = fine_structure(real[torch.arange(80)][0])
    s_SD = fine_structure(fresh[torch.arange(120)][0])
    z_ND /= np.linalg.norm(z_ND, axis=1, keepdims=True)
    nearest = (s_SD @ z_ND.T).argmax(1)
    rng = np.random.default_rng(0)
    label = real.label_N.numpy()
    p_values = [
        dealt_again(nearest, np.arange(80), rng.permutation(80) < 40, np.zeros_like(label), seed=i) for i in range(60)
    ]
    assert np.mean(np.array(p_values) < 0.1) <= 0.2
    assert 0.35 < np.mean(p_values) < 0.65


def test_the_sheet_puts_copies_first() -> None:
    train = phantom_pairs(20, seed=1)
    samples = torch.cat([phantom_pairs(40, seed=2)[torch.arange(15)][0], train[torch.tensor([7])][0]])
    sheet = neighbour_sheet(samples, train, rows=1, columns=2)
    assert sheet.size == (2 * 66, 2 * 64 + 14)
    pixels = np.asarray(sheet)
    assert np.array_equal(pixels[:64, :64], pixels[64:128, :64])
    assert not np.array_equal(pixels[:64, 66:130], pixels[64:128, 66:130])

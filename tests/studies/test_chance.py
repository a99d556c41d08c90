"""A predictor trained on shuffled labels lands at chance; the same one on true labels does not; more real data wins."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.data.phantoms import BrainConfig, Phantom, render
from augury.metrics.cells import Cell
from augury.metrics.classification import METRICS
from augury.metrics.estimate import Estimate
from augury.metrics.intervals import estimate
from augury.predictors.classifier import Classifier, ClassifierConfig
from augury.predictors.phases import Phase, Source
from augury.training import Run

STEPS = 100


def drawn(n: int, *, seed: int) -> Phantom:
    return render(BrainConfig(size=32, difficulty=0.1), n=n, seed=seed)


def auroc(train: Phantom, label_N: np.ndarray, test: Phantom) -> Estimate:
    """Macro AUROC on other patients of a classifier trained on these labels, with its interval by patient."""
    pairs = Pairs(
        pixels_NCHW=train.image_NHW[:, None], condition=Condition(label_B=torch.from_numpy(label_N)), classes=4
    )
    run = Run(seed=1, steps=STEPS, batch=64)
    with run.seeded("networks"):
        net = Classifier(ClassifierConfig(augmentation="light"), Shape(channels=1, height=32, width=32, classes=4))
    net.fit([Phase(sources=(Source(pairs=pairs),), steps=STEPS)], run)
    probability = net.predict(test.image_NHW[:, None])[None, None]
    cell = Cell(fold=0, repeat=0, label_N=test.label_N, group_N=test.patient_N, value_ASNK=probability)
    return estimate([cell], 0, METRICS["auroc_macro"], draws=500)


@pytest.fixture(scope="module")
def sets() -> tuple[Phantom, Phantom]:
    return drawn(800, seed=1), drawn(1200, seed=2)


def test_shuffled_labels_land_at_chance_and_true_ones_do_not(sets: tuple[Phantom, Phantom]) -> None:
    train, test = sets
    shuffled_N = np.random.default_rng(0).permutation(train.label_N)
    chance, true = auroc(train, shuffled_N, test), auroc(train, train.label_N, test)
    assert chance.low < 0.5 < chance.high
    assert chance.high < true.low


def test_more_real_patients_win(sets: tuple[Phantom, Phantom]) -> None:
    train, test = sets
    few = drawn(80, seed=1)
    assert auroc(few, few.label_N, test).value + 0.03 < auroc(train, train.label_N, test).value

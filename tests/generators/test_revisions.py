"""A method whose results change raises its revision: the losses of its first steps are written down here.

They are compared to three digits, since other processors add in another order. Where this fails and the change is
meant, raise the method's `revision` and write down the new numbers.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.generators import GENERATORS
from augury.training import Run

KNOWN: dict[str, tuple[int, str, list[float]]] = {
    "cgan": (3, "painter", [7.1797, 6.9361, 6.995, 6.9681]),
    "cvae": (2, "loss", [569.2274, 540.9742, 478.2466, 436.3835]),
    "wgan_gp": (3, "painter", [26.069, 25.536, 25.1694, 24.7779]),
    "flow": (1, "loss", [0.9884, 0.9588, 0.9189]),
}


def course(method: str) -> tuple[str, list[float]]:
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (40, 1, 16, 16), dtype=np.uint8)
    train = Pairs(pixels_NCHW=pixels, condition=Condition(label_B=torch.arange(40) % 2), classes=2)
    kind, config = GENERATORS[method]
    run = Run(seed=7, steps=4, batch=16, log_every=1)
    kind(config(), Shape(channels=1, height=16, width=16, classes=2)).fit(train, run)
    name = "loss" if method in ("cvae", "flow") else "painter"
    return name, [line[name] for line in run.history if name in line]


@pytest.mark.parametrize("method", sorted(GENERATORS))
def test_the_first_losses_are_those_of_the_revision(method: str) -> None:
    revision, name, losses = KNOWN[method]
    assert GENERATORS[method][0].revision == revision
    assert course(method) == (name, pytest.approx(losses, rel=2e-3, abs=2e-3))

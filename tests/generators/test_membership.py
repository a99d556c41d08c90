"""What membership is for: an overfitted generator scores the images that it was fitted on above others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sklearn.metrics import roc_auc_score
from tests.studies.phantom_pairs import phantom_pairs

from augury.conditions.shape import Shape
from augury.generators import GENERATORS
from augury.generators.adversarial import Game, Networks
from augury.generators.flow_settings import UNet, Warps
from augury.generators.generator import Generator
from augury.training import Run

# Overfitted on purpose: no augmentation before the critic, no penalty at real images.
SMALL = Networks(latent=16, generator_features=24, critic_features=24)
SHARP = Game(jitter=0.0, generator_rate=1e-3, critic_rate=1e-3)
SETTINGS: dict[str, tuple[dict[str, Any], int]] = {
    "cvae": ({"features": 16, "latent": 32}, 200),
    "cgan": ({"networks": SMALL, "game": SHARP, "r1": 0.0}, 100),
    "wgan_gp": ({"networks": SMALL, "game": SHARP}, 300),
    "flow": ({"net": UNet(widths=(24, 32)), "warps": Warps(chance=0.0), "snapshots": 0, "student_share": 0.0}, 250),
}


@pytest.mark.parametrize("method", sorted(GENERATORS))
def test_training_images_rank_above_held_out_ones(method: str) -> None:
    train, held = phantom_pairs(24, seed=1), phantom_pairs(60, seed=2)
    changes, steps = SETTINGS[method]
    kind, config = GENERATORS[method]
    made: Generator = kind(config(**changes), Shape(channels=1, height=16, width=16, classes=train.classes))
    made.fit(train, Run(seed=1, steps=steps, batch=24))
    known, strange = (made.membership(*pairs[torch.arange(len(pairs))], seed=0).numpy() for pairs in (train, held))
    assert roc_auc_score([1] * 24 + [0] * 60, [*known, *strange]) > 0.75

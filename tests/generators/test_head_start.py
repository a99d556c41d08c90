"""Principal components as a start: codes, their inverse, and sets that have fewer of them than latents."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.generators.cvae import CVAEConfig, build, start
from augury.generators.head_start import principal
from augury.training import Run

RUN = Run(seed=0, steps=1, batch=4)


def mixtures(n: int, *, rank: int) -> Pairs:
    """Images that are combinations of `rank` patterns."""
    rng = np.random.default_rng(0)
    pattern_RD = np.linalg.qr(rng.normal(size=(256, rank)))[0].T
    weight_NR = rng.normal(size=(n, rank)) * np.linspace(2.0, 1.0, rank)
    image_ND = (0.1 + 0.5 * weight_NR @ pattern_RD).astype(np.float32)
    condition = Condition(label_B=torch.arange(n) % 2)
    return Pairs(pixels_NCHW=image_ND.reshape(n, 1, 16, 16), condition=condition, classes=2)


def test_codes_have_unit_variance_and_stand_for_their_images() -> None:
    train = mixtures(300, rank=6)
    found = principal(train, latent=6, run=RUN)
    code_NZ = found.codes(train)
    assert torch.allclose(code_NZ.T.cov(correction=0), torch.eye(6), atol=1e-3)
    decoder, encoder = nn.Linear(6, 256), nn.Linear(256, 6)
    found.aim_decoder(decoder)
    found.aim_encoder(encoder)
    image_ND = train[torch.arange(300)][0].flatten(1)
    assert torch.allclose(decoder(code_NZ), image_ND, atol=1e-4)
    assert torch.allclose(encoder(image_ND), code_NZ, atol=1e-3)


@pytest.mark.parametrize(("n", "rank"), [(3, 2), (40, 3)])
def test_latents_beyond_the_rank_are_empty_not_noise(n: int, rank: int) -> None:
    train = mixtures(n, rank=rank)
    code_NZ = principal(train, latent=32, run=RUN).codes(train)
    assert torch.isfinite(code_NZ).all()
    assert float(code_NZ[:, min(n, 32) :].abs().sum()) == 0.0
    assert float(code_NZ.abs().max()) < 10.0


def test_a_coder_starts_better_than_the_mean_image() -> None:
    train = mixtures(300, rank=6)
    config = CVAEConfig(latent=6, features=8, texture=0.0, head_start=True)
    with RUN.seeded("networks"):
        nets = build(config, Shape(channels=1, height=16, width=16, classes=2)).eval()
    start(nets, principal(train, latent=6, run=RUN))
    image, condition = train[torch.arange(300)]
    with torch.no_grad():
        mean_BZ, _ = nets["encoder"](image, condition.labels())
        drawn, _ = nets["decoder"](mean_BZ, condition.labels())
    error = float((drawn - image.clamp(-1, 1)).abs().mean())
    assert error < 0.5 * float((image.mean(0) - image).abs().mean())

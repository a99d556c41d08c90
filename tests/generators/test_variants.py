"""System 2's grid and the settings that a user may name: all of them train, and what cannot be is refused."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.errors import UserError
from augury.generators.adversarial import Game, Networks
from augury.generators.cgan import CGAN, CGANConfig
from augury.generators.cvae import CVAE, CVAEConfig
from augury.generators.wgan_gp import WGANGP, WGANGPConfig
from augury.training import Run

SHAPE = Shape(channels=1, height=16, width=16, classes=2)


def noise(n: int = 24) -> Pairs:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 1, 16, 16), dtype=np.uint8)
    return Pairs(pixels_NCHW=pixels, condition=Condition(label_B=torch.arange(n) % 2), classes=2)


def two_steps(**changes: Any) -> Run:
    return Run(**{"seed": 0, "steps": 2, "batch": 8, "log_every": 1, **changes})


@pytest.mark.parametrize(("generator", "critic"), list(product((1, 2), (1, 2))))
@pytest.mark.parametrize(("told", "shown"), [("norm", "projection"), ("concat", "map"), ("multiply", "map")])
def test_every_pair_of_networks_trains(generator: Any, critic: Any, told: Any, shown: Any) -> None:
    networks = Networks(
        generator=generator,
        critic=critic,
        latent=8,
        generator_features=4,
        critic_features=4,
        generator_label=told,
        critic_label=shown,
        last="tanh" if shown == "map" else "cut",
        dropout=0.25,
    )
    game = Game(anchor=10.0 * (told == "norm"))
    model = WGANGP(WGANGPConfig(networks=networks, game=game), SHAPE).fit(noise(), two_steps())
    assert model.sample(noise().condition, seed=0).abs().max() <= 1  # and so is finite


@pytest.mark.parametrize("loss", ["nonsaturating", "hinge", "bce"])
@pytest.mark.parametrize("spectral", [False, True])
def test_every_loss_of_cgan_trains(loss: Any, spectral: bool) -> None:
    networks = Networks(latent=8, generator_features=4, critic_features=4, spectral=spectral)
    config = CGANConfig(networks=networks, game=Game(mismatch=0.5, mirror=True), loss=loss, r1=0.0 if spectral else 1.0)
    run = two_steps()
    CGAN(config, SHAPE).fit(noise(), run)
    assert {"critic", "painter", "critic_gradient", "painter_gradient"} <= run.history[-1].keys()


@pytest.mark.parametrize(("encoder", "decoder"), list(product((3, 6), (3, 6))))
@pytest.mark.parametrize("prior", ["mixture", "normal"])
@pytest.mark.parametrize("reconstruction", ["l1", "bce"])
def test_every_coder_trains(encoder: Any, decoder: Any, prior: Any, reconstruction: Any) -> None:
    config = CVAEConfig(
        encoder=encoder,
        decoder=decoder,
        latent=8,
        features=4,
        prior=prior,
        reconstruction=reconstruction,
        head_start=prior == "mixture",
        texture=float(prior == "mixture"),
        mirror=True,
    )
    model = CVAE(config, SHAPE).fit(noise(), two_steps())
    assert torch.isfinite(model.sample(noise().condition, seed=0)).all()


def test_bf16_keeps_the_penalty_in_fp32() -> None:
    networks = Networks(latent=8, generator_features=4, critic_features=4)
    full, half = two_steps(), two_steps(precision="bf16")
    WGANGP(WGANGPConfig(networks=networks), SHAPE).fit(noise(), full)
    WGANGP(WGANGPConfig(networks=networks), SHAPE).fit(noise(), half)
    assert half.history[0]["critic"] == pytest.approx(full.history[0]["critic"], rel=0.02)


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        (Networks, {"latent": 0}),
        (Networks, {"dropout": 1.0}),
        (Game, {"critic_steps": 0}),
        (Game, {"jitter": -1.0}),
        (Game, {"anchor": float("nan")}),
        (WGANGPConfig, {"penalty_share": 0.0}),
        (CGANConfig, {"r1": -1.0}),
        (WGANGPConfig, {"penalty": -1.0}),
        (CVAEConfig, {"beta": -0.1}),
        (CVAEConfig, {"components": 0}),
        (CVAEConfig, {"floor": 0.0}),
    ],
)
def test_settings_that_make_no_sense_are_refused(config: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="expected"):
        config(**settings)

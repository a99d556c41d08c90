"""Latent space: its network, its scale, and the gate that small lesions must pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.errors import Refused, UserError
from augury.generators.latent_space import Latent, LatentSpace
from augury.generators.latent_training import LatentCourse
from augury.generators.reconstruction_gate import survival
from augury.nets.kl_autoencoder import KLAutoencoder
from augury.training import Run

SMALL = Latent(least=0, channels=4, width=8, batch=8, share=0.99, survives=0.7)


def spotted(n: int, *, maps: bool, height: int = 32, width: int = 48) -> Pairs:
    """Smooth backgrounds with a bright dot of three pixels across in each, which the mask marks."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(40, 140, (n, 1, 4, 4))).float()
    pixels_NCHW = F.interpolate(coarse, size=(height, width), mode="bicubic").numpy()
    mask_NHW = np.zeros((n, height, width), dtype=np.uint8)
    for i, (y, x) in enumerate(zip(rng.integers(6, height - 6, n), rng.integers(6, width - 6, n), strict=True)):
        mask_NHW[i, y - 1 : y + 2, x - 1 : x + 2] = 255
    pixels_NCHW = (pixels_NCHW + 80 * (mask_NHW[:, None] > 0)).clip(0, 255).astype(np.uint8)
    named = {"map_NKHW": mask_NHW[:, None], "maps": ("mask",)} if maps else {}
    return Pairs(pixels_NCHW=pixels_NCHW, condition=Condition(label_B=torch.arange(n) % 2), classes=2, **named)


def course(train: Pairs, latent: Latent, *, steps: int) -> LatentCourse:
    run = Run(seed=0, steps=steps + 1, batch=16)
    with run.seeded("networks"):
        space = LatentSpace(latent, channels=train.shape[0])
    made = LatentCourse(latent, space, train=train, run=run)
    for step in run.loop():
        if step < min(steps, made.steps):
            made.take(step)
    return made


@pytest.mark.parametrize("factor", [4, 8])
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 96, 160), (3, 64, 32)])
def test_latents_have_a_factorth_of_each_side(factor: int, channels: int, height: int, width: int) -> None:
    net = KLAutoencoder(channels=channels, factor=factor, latent=5, width=8)  # type: ignore[arg-type]
    image_BCHW = torch.rand(2, channels, height, width) * 2 - 1
    mean_BZhw, logvar_BZhw = net.encode(image_BCHW)
    assert mean_BZhw.shape == logvar_BZhw.shape == (2, 5, height // factor, width // factor)
    assert net.decode(mean_BZhw).shape == image_BCHW.shape
    with pytest.raises(ValueError, match=f"multiples of {factor}"):
        net.encode(image_BCHW[..., 2:])


def test_what_becomes_of_a_place_depends_on_its_neighbourhood_alone() -> None:
    net = KLAutoencoder(channels=1, factor=4, latent=4, width=8)
    image_BCHW = torch.rand(1, 1, 32, 192)
    other_BCHW = image_BCHW.clone()
    other_BCHW[..., 160:] = -1
    first, second = (net.decode(net.encode(each)[0])[..., :64] for each in (image_BCHW, other_BCHW))
    torch.testing.assert_close(first, second)


def test_a_perfect_round_trip_keeps_everything_and_a_coarse_one_loses_the_small() -> None:
    image_NCHW = spotted(12, maps=False, height=64, width=64)[torch.arange(12)][0]

    def coarse(image_BCHW: Tensor) -> Tensor:
        return F.interpolate(F.avg_pool2d(image_BCHW, 4), scale_factor=4.0, mode="bilinear")

    assert survival(lambda image: image, image_NCHW, None, radius=1, seed=0).smallest == pytest.approx(1, abs=1e-4)
    small, large = (survival(coarse, image_NCHW, None, radius=radius, seed=0) for radius in (1, 6))
    assert small.smallest < 0.1 < small.every < 0.5 < large.smallest
    mask_NHW = spotted(12, maps=True, height=64, width=64).channel("mask") > 0
    assert survival(coarse, image_NCHW, mask_NHW, radius=1, seed=0).source == "masks"
    assert survival(coarse, image_NCHW, np.zeros_like(mask_NHW), radius=1, seed=0) == small


@pytest.mark.parametrize("maps", [True, False])
def test_the_gate_refuses_in_one_line_what_loses_lesions_and_passes_what_keeps_them(maps: bool) -> None:
    train = spotted(48, maps=maps)
    coarse = replace(SMALL, factor=8, channels=1)
    with pytest.raises(Refused, match=r"of the contrast of the \d+ smallest of .*latent=null") as refused:
        course(train, coarse, steps=3).settle()
    assert "\n" not in str(refused.value)
    accepted, fine = course(train, replace(coarse, when_lost="accept"), steps=3), course(train, SMALL, steps=3)
    accepted.settle()
    fine.settle()
    lost, kept = (made.run.history[-1]["smallest_kept"] for made in (accepted, fine))
    assert lost < 0.5 < SMALL.survives < kept


def test_it_begins_as_the_best_linear_code_and_training_betters_it() -> None:
    image_NCHW = spotted(48, maps=False)[torch.arange(48)][0]

    def error(steps: int) -> float:
        made = course(spotted(48, maps=False), SMALL, steps=steps)
        return float((made.round_trip(image_NCHW) - image_NCHW).abs().mean())

    square_XD = F.unfold(image_NCHW, 4, stride=4).transpose(1, 2).flatten(0, 1)
    centred_XD = square_XD - square_XD.mean(0)
    _, _, axis_ZD = torch.linalg.svd(centred_XD, full_matrices=False)
    left = float((centred_XD - centred_XD @ axis_ZD[:4].T @ axis_ZD[:4]).abs().mean())
    assert error(0) < 1.1 * left
    assert error(60) < 0.9 * error(0)


def test_settled_latents_have_unit_variance_and_come_back() -> None:
    train = spotted(48, maps=False)
    made = course(train, SMALL, steps=20)
    made.settle()
    image_NCHW = train[torch.arange(48)][0]
    data_NZhw = made.space.data(image_NCHW)
    assert data_NZhw.shape == (48, 4, 8, 12)
    assert float(data_NZhw.mean((0, 2, 3)).abs().max()) < 1e-3
    torch.testing.assert_close(data_NZhw.std((0, 2, 3), correction=0), torch.ones(4), rtol=1e-3, atol=1e-3)
    assert float((made.space.image(data_NZhw) - image_NCHW).abs().mean()) < 0.08


def test_the_gates_images_are_of_groups_that_were_not_trained_on() -> None:
    train = spotted(48, maps=True)
    grouped = Pairs(
        pixels_NCHW=train.pixels_NCHW, condition=train.condition, classes=2, group_N=torch.arange(48) // 4,
        map_NKHW=train.map_NKHW, maps=train.maps,
    )  # fmt: skip
    made = course(grouped, SMALL, steps=1)
    held, used = ({int(i) // 4 for i in places} for places in (made.held_n, made.used_n))
    assert not held & used
    assert len(made.held_n) == 8


def test_maps_keep_every_pixel_at_the_latents_size() -> None:
    space = LatentSpace(SMALL, channels=1)
    map_BKHW = torch.rand(2, 3, 16, 24)
    assert space.maps(map_BKHW).shape == (2, 48, 4, 6)
    torch.testing.assert_close(F.pixel_shuffle(space.maps(map_BKHW), 4), map_BKHW)


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"share": 1.0}, {"channels": 0}, {"kl": -1.0}, {"survives": 1.5}):
        with pytest.raises(UserError, match="latent"):
            Latent(**wrong)
    assert Latent().serves(256, 256)
    assert Latent().serves(128, 512)
    assert not Latent().serves(128, 128)

"""What `flow` owes beyond the contract of every generator: maps, prompts, guidance, its student, ddpm, averages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.generators.test_contract import SHAPE, drawn_label, labels, left_or_right, short_run
from torch import Tensor

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.errors import Refused, UserError
from augury.generators import load
from augury.generators.flow import Flow
from augury.generators.flow_settings import FlowConfig, Sampling, UNet, Warps
from augury.generators.flow_warps import DRAWS, warped
from augury.generators.private import DP
from augury.nets.denoiser import Denoiser

SMALL = UNet(widths=(16, 24))


def config(**changes: Any) -> FlowConfig:
    settings: dict[str, Any] = {"net": SMALL, "snapshots": 4, "rate": 5e-3, "sampling": Sampling(steps=6), **changes}
    return FlowConfig(**settings)


def with_maps(n: int, *, seed: int = 0) -> Pairs:
    """A disc of random place and size, its mask, and a prompt that says light (1) or dark (2)."""
    rng = np.random.default_rng(seed)
    y_HW, x_HW = np.mgrid[:16, :16]
    centre_N2, radius_N = rng.uniform(4, 12, (n, 2, 1, 1)), rng.uniform(2, 4, (n, 1, 1))
    inside_NHW = np.hypot(y_HW - centre_N2[:, 0], x_HW - centre_N2[:, 1]) < radius_N
    dark_N = np.arange(n) % 2
    shade_N11 = np.where(dark_N, 90, 255)[:, None, None]
    condition = Condition(
        label_B=torch.zeros(n, dtype=torch.int64), text_BT=torch.from_numpy(np.stack([dark_N + 1, 0 * dark_N], 1))
    )
    return Pairs(
        pixels_NCHW=(inside_NHW * shade_N11)[:, None].astype(np.uint8),
        condition=condition,
        classes=1,
        map_NKHW=np.stack([0 * inside_NHW, 255 * inside_NHW], 1).astype(np.uint8),
        maps=("edges", "mask"),
    )


TOLD = config(conditions=("mask", "prompt"), words=("light", "dark"))


@pytest.fixture(scope="module")
def told() -> Flow:
    return Flow(TOLD, replace(SHAPE, classes=1)).fit(with_maps(256), short_run(200, batch=24))


@pytest.fixture(scope="module")
def labelled() -> Flow:
    return Flow(config(student_share=0.25), SHAPE).fit(left_or_right(256), short_run(400, batch=24))


def asked(n: int, *, seed: int) -> Condition:
    """Only what the model was fitted with."""
    whole = with_maps(n, seed=seed)[torch.arange(n)][1]
    return Condition(text_BT=whole.text_BT, map_BKHW=whole.map_BKHW[:, 1:], maps=("mask",))  # type: ignore[index]


def overlap(image_B1HW: Tensor, mask_BHW: Tensor) -> float:
    """Mean Dice of what is brighter than the background."""
    found_BHW, truth_BHW = image_B1HW[:, 0] > -0.7, mask_BHW > 0.5
    both_B = (found_BHW & truth_BHW).sum((1, 2))
    return float((2 * both_B / (found_BHW.sum((1, 2)) + truth_BHW.sum((1, 2)))).mean())


def test_a_disc_lies_where_the_map_says_and_a_shuffled_map_is_not_obeyed(told: Flow) -> None:
    condition = asked(64, seed=9)
    image, mask = told.sample(condition, seed=0), condition.map_BKHW[:, 0]  # type: ignore[index]
    assert overlap(image, mask) > 0.8
    assert overlap(image, mask.roll(1, 0)) < 0.4


def test_the_prompt_is_obeyed(told: Flow) -> None:
    condition = asked(64, seed=9)
    image = told.sample(condition, seed=0)
    mask = condition.map_BKHW > 0.5  # type: ignore[operator]
    light_B = torch.stack([picture[inside].mean() for picture, inside in zip(image, mask, strict=True)])
    said_light_B = condition.text_BT[:, 0] == 1  # type: ignore[index]
    assert float(((light_B > 0.35) == said_light_B).float().mean()) > 0.9


def test_a_dropped_condition_says_nothing(told: Flow) -> None:
    """Under keep_B False the output does not depend on what was dropped, and it is not the answer to zeros."""
    first, second = asked(8, seed=1), asked(8, seed=2)
    none_B = torch.zeros(8, dtype=torch.bool)
    drawn = [told.sample(replace(one, keep_B=none_B), seed=0) for one in (first, second)]
    assert torch.equal(*drawn)
    zeros = replace(first, map_BKHW=torch.zeros_like(first.map_BKHW), text_BT=torch.zeros_like(first.text_BT))  # type: ignore[arg-type]
    assert not torch.allclose(drawn[0], told.sample(zeros, seed=0), atol=0.05)


def test_what_is_missing_strange_or_of_another_size_is_said(told: Flow) -> None:
    condition = asked(2, seed=1)
    small = replace(condition, map_BKHW=torch.zeros(2, 1, 8, 8))
    for wrong, words in (
        (replace(condition, map_BKHW=None, maps=()), "got no mask"),
        (replace(condition, text_BT=None), "got no prompt"),
        (replace(condition, text_BT=torch.tensor([[3], [1]])), "expected ids from 0 to 2"),
        (small, "8x8 pixels, expected 1 of 16x16"),
        (replace(condition, map_BKHW=torch.zeros(2, 2, 16, 16), maps=("mask", "boxes")), "got boxes"),
    ):
        with pytest.raises(UserError, match=words):
            told.sample(wrong, seed=0)
    with pytest.raises(UserError, match="got no labels"):
        Flow(config(), SHAPE).sample(Condition(keep_B=torch.ones(1, dtype=torch.bool)), seed=0)
    with pytest.raises(UserError, match="got no mask"):
        Flow(config(conditions=("mask",)), SHAPE).fit(left_or_right(8), short_run(1))


def test_guidance_nought_ignores_the_label_and_more_obeys_it_more(labelled: Flow) -> None:
    right = {}
    for guidance in (0.0, 1.0, 2.0):
        labelled.sampling = Sampling(steps=6, guidance=guidance)
        right[guidance] = float(
            (drawn_label(labelled.sample(labels(200), seed=1)) == labels(200).labels()).float().mean()
        )
    assert 0.35 < right[0.0] < 0.65
    assert right[2.0] >= right[1.0] - 0.02 > 0.9
    labelled.sampling = Sampling(steps=6, guidance=0.0)
    dropped = replace(labels(8), keep_B=torch.zeros(8, dtype=torch.bool))
    assert torch.equal(
        labelled.sample(dropped, seed=1), labelled.sample(replace(labels(8), label_B=1 - labels(8).labels()), seed=1)
    )


def test_an_early_state_guides(labelled: Flow) -> None:
    labelled.sampling = Sampling(steps=6)
    plain = labelled.sample(labels(50), seed=1)
    labelled.sampling = Sampling(steps=6, guidance=1.5, guide="early", early=0.25)
    pushed = labelled.sample(labels(50), seed=1)
    assert not torch.equal(plain, pushed)
    assert float((drawn_label(pushed) == labels(50).labels()).float().mean()) > 0.8
    alone = Flow(config(snapshots=0), SHAPE)
    alone.sampling = Sampling(guidance=2.0, guide="early")
    with pytest.raises(UserError, match="kept no earlier state"):
        alone.sample(labels(2), seed=0)


def test_the_student_obeys_and_goes_where_its_teacher_goes(labelled: Flow) -> None:
    labelled.sampling = Sampling(sampler="heun", steps=32)
    teacher = labelled.sample(labels(100), seed=1)
    labelled.sampling = Sampling(sampler="student")
    learned = labelled.sample(labels(100), seed=1)
    assert float((drawn_label(learned) == labels(100).labels()).float().mean()) > 0.85
    assert float((learned - teacher).square().mean()) < 0.1 * float((learned - teacher.roll(2, 0)).square().mean())


def test_another_average_is_another_model_of_the_same_kind(labelled: Flow, tmp_path: Path) -> None:
    labelled.sampling = Sampling(steps=6)
    labelled.save(tmp_path)
    first, second = (model.averaged(0.15).sample(labels(20), seed=0) for model in (labelled, load(tmp_path)))  # type: ignore[attr-defined]
    assert torch.equal(first, second)
    assert not torch.equal(first, labelled.sample(labels(20), seed=0))
    assert float((drawn_label(first) == labels(20).labels()).float().mean()) > 0.9
    with pytest.raises(UserError, match=r"less than 0\.288"):
        labelled.averaged(0.5)


def test_ddpm_obeys_its_label() -> None:
    model = Flow(config(objective="ddpm", sampling=Sampling(steps=20)), SHAPE)
    model.fit(left_or_right(256), short_run(300))
    assert float((drawn_label(model.sample(labels(200), seed=0)) == labels(200).labels()).float().mean()) > 0.65
    model.sampling = Sampling(sampler="ancestral", steps=50)
    assert float((drawn_label(model.sample(labels(200), seed=0)) == labels(200).labels()).float().mean()) > 0.65


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_that_are_not_square(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, channels, 96, 160), dtype=np.uint8)
    maps = np.random.default_rng(1).integers(0, 256, (6, 1, 96, 160), dtype=np.uint8)
    train = Pairs(
        pixels_NCHW=pixels, condition=Condition(label_B=torch.arange(6) % 2), classes=2, map_NKHW=maps, maps=("edges",)
    )
    model = Flow(config(conditions=("label", "edges")), Shape(channels=channels, height=96, width=160, classes=2))
    condition = model.fit(train, short_run(2, batch=4)) and train[torch.arange(3)][1]
    assert model.sample(condition, seed=0).shape == (3, channels, 96, 160)


def test_what_cannot_be_asked_is_one_line() -> None:
    for make, words in (
        (lambda: Sampling(guidance=100), "expected from 0"),
        (lambda: Sampling(guidance=-1), "expected from 0"),
        (lambda: Sampling(steps=0), "from 1 to 1000"),
        (lambda: config(conditions=("smell",)), "expected some of label, prompt"),
        (lambda: config(conditions=("prompt",)), "words where there is a prompt"),
        (lambda: config(objective="ddpm", student_share=0.2), "student learns the steps of a flow"),
        (lambda: config(objective="ddpm", sampling=Sampling(sampler="heun")), "ddim or ancestral"),
        (lambda: config(student_share=0.0, sampling=Sampling(sampler="student")), "without one"),
        (lambda: config(sampling=Sampling(sampler="student", guidance=2)), "expected 1"),
        (lambda: config(sampling=Sampling(sampler="student", steps=7)), "expected that number"),
        (lambda: config(lengths=(0.05, 0.4)), "two lengths"),
        (lambda: config(net=UNet(widths=())), "widths from 8"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            make()  # type: ignore[no-untyped-call]
        assert "\n" not in str(caught.value)
    with pytest.raises(Refused, match="private"):
        config(dp=DP(epsilon=8))


def test_warps_leave_spared_images_alone_and_move_maps_with_their_images() -> None:
    image, condition = with_maps(200)[torch.arange(200)]
    uniform = torch.rand(200, DRAWS, generator=torch.Generator().manual_seed(0))
    moved, followed, done = warped(image, condition, uniform, warps=Warps(chance=0.12))
    spared = ~done.any(1)
    assert 0.4 < float(spared.float().mean()) < 0.65  # 0.88 ** 5
    assert torch.equal(moved[spared], image[spared])
    assert not torch.equal(moved[~spared], image[~spared])
    assert overlap(moved, followed.map_BKHW[:, 1]) > 0.9  # type: ignore[index]
    still, _, done = warped(image, condition, uniform, warps=Warps(chance=0.0))
    assert torch.equal(still, image)
    assert not done.any()
    flipped, _, done = warped(image, condition, uniform, warps=Warps(chance=0.0, mirror=True))
    mirrored = uniform[:, -1] < 0.5
    assert torch.allclose(flipped[mirrored], image[mirrored].flip(3), atol=1e-4)
    assert torch.equal(flipped[~mirrored], image[~mirrored])


def test_a_fresh_network_says_nothing_and_control_reaches_it() -> None:
    net = Denoiser(1, height=32, width=32, classes=2, widths=(16, 16, 16))
    image, time, label = torch.randn(2, 1, 32, 32), torch.rand(2), torch.tensor([0, 1])
    assert not net(image, time, label_B=label).any()
    torch.nn.init.normal_(net.decoder.head.weight)
    plain = net(image, time, label_B=label)
    told_BE, token_BTE, heard_BT = net.ear(time, label_B=label, text_BT=None, keep_B=None, augment_BA=None)
    found = net.trunk(*net.folded(image, None, keep_B=None), told_BE, token_BTE, heard_BT)
    assert torch.equal(net(image, time, label_B=label, control=[torch.zeros_like(one) for one in found]), plain)
    assert not torch.allclose(net(image, time, label_B=label, control=found), plain)

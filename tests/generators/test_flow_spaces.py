"""`flow` in latent space, with a branch that steers, and started from another model: laws of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.generators.test_contract import Interrupted, left_or_right, short_run
from tests.generators.test_flow import config, with_maps

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.errors import UserError
from augury.generators import load
from augury.generators.flow import Flow
from augury.generators.flow_settings import FlowConfig
from augury.generators.latent_space import Latent, LatentSpace
from augury.nets.control import Steered
from augury.nets.denoiser import Denoiser

LATENT = Latent(least=0, width=8, batch=8, when_lost="accept")
SHAPE = Shape(channels=1, height=32, width=32, classes=1)
KINDS: dict[str, dict[str, Any]] = {
    "latent": {"latent": LATENT, "conditions": ("label", "mask")},
    "branch": {"control": "branch", "conditions": ("label", "mask")},
    "both": {"latent": LATENT, "control": "branch", "conditions": ("label", "mask"), "student_share": 0.0},
}
BORDERS = {"latent": (4, 12), "branch": (5, 6), "both": (4, 8)}  # between a fit's parts, or near


def enlarged(n: int) -> Pairs:
    """Discs and their masks at 32 px."""
    pairs = with_maps(n)
    assert pairs.map_NKHW is not None
    pixels, maps = (np.kron(a, np.ones((1, 1, 2, 2), dtype=np.uint8)) for a in (pairs.pixels_NCHW, pairs.map_NKHW))
    return replace(pairs, pixels_NCHW=pixels, map_NKHW=maps)


def asked(n: int) -> Condition:
    condition = enlarged(n)[torch.arange(n)][1]
    assert condition.map_BKHW is not None
    return Condition(label_B=condition.label_B, map_BKHW=condition.map_BKHW[:, 1:], maps=("mask",))


def made(kind: str) -> Flow:
    return Flow(config(**KINDS[kind]), SHAPE)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_fit_of_several_parts_resumes_bit_equal_and_is_kept(kind: str, tmp_path: Path) -> None:
    train, steps = enlarged(32), 13
    whole = made(kind).fit(train, short_run(steps, batch=8))
    for place in BORDERS[kind]:

        def interrupt(step: int, _: int, place: int = place) -> None:
            if step == place:
                raise Interrupted

        folder = tmp_path / str(place)
        with pytest.raises(Interrupted):
            made(kind).fit(train, short_run(steps, batch=8, folder=folder, save_every=place, report=interrupt))
        resumed = made(kind).fit(train, short_run(steps, batch=8, folder=folder))
        for name, value in whole.nets.state_dict().items():
            assert torch.equal(value, resumed.nets.state_dict()[name]), (place, name)
    whole.save(tmp_path / "model")
    again = load(tmp_path / "model")
    images = train[torch.arange(4)][0]
    assert again.config == whole.config
    assert torch.equal(again.sample(asked(4), seed=2), whole.sample(asked(4), seed=2))
    assert torch.equal(again.membership(images, asked(4), seed=1), whole.membership(images, asked(4), seed=1))


def test_images_become_latents_from_a_size_on_and_only_if_wanted() -> None:
    large = replace(SHAPE, height=256, width=256)
    assert isinstance(Flow(FlowConfig(), large).scale, LatentSpace)
    assert not isinstance(Flow(FlowConfig(latent=None), large).scale, LatentSpace)
    assert not isinstance(Flow(FlowConfig(), replace(SHAPE, height=128, width=128)).scale, LatentSpace)
    with pytest.raises(UserError, match="steps of 4, such as 256"):
        Flow(FlowConfig(), replace(SHAPE, height=258, width=256))


def test_latent_samples_are_pictures_of_the_images_size() -> None:
    shape = Shape(channels=3, height=64, width=96, classes=1)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 3, 64, 96), dtype=np.uint8)
    train = Pairs(pixels_NCHW=pixels, condition=Condition(label_B=torch.zeros(12, dtype=torch.int64)), classes=1)
    generator = Flow(config(latent=LATENT), shape).fit(train, short_run(4, batch=4))
    image = generator.sample(train.condition[:3], seed=0)
    assert image.shape == (3, 3, 64, 96)
    assert float(image.abs().max()) <= 1


def steered() -> tuple[Denoiser, Steered]:
    torch.manual_seed(0)
    net = Denoiser(1, height=16, width=16, classes=2, widths=(16, 24), blocks=1)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.1)  # a fresh network says nothing at all
    return net, Steered(net, maps=2)


def test_at_first_the_branch_changes_nothing_and_then_it_learns() -> None:
    net, both = steered()
    image, time, label = torch.randn(3, 1, 16, 16), torch.rand(3), torch.tensor([0, 1, 0])
    map_BKHW, keep_B = torch.rand(3, 2, 16, 16), torch.tensor([True, False, True])
    plain = net(image, time, label_B=label, keep_B=keep_B)
    assert torch.equal(both(image, time, label_B=label, map_BKHW=map_BKHW, keep_B=keep_B), plain)
    both.train_only("branch")
    trained = [weight for weight in both.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(trained, 0.1)
    for _ in range(3):  # the gates open, then the hint, then what lies before it
        optimizer.zero_grad()
        both(image, time, label_B=label, map_BKHW=map_BKHW, keep_B=keep_B).square().mean().backward()
        optimizer.step()
    assert all(weight.grad is None for weight in both.net.parameters())
    assert all(float(weight.grad.abs().max()) > 0 for weight in both.hint.parameters())
    other = both(image, time, label_B=label, map_BKHW=1 - map_BKHW, keep_B=keep_B)
    steering = both(image, time, label_B=label, map_BKHW=map_BKHW, keep_B=keep_B)
    assert not torch.equal(steering[0], other[0])
    assert torch.equal(steering[1], other[1])  # dropped: the null, whatever the map


def test_the_branch_leaves_its_trunk_as_the_first_part_made_it() -> None:
    train, shape = with_maps(32), replace(SHAPE, height=16, width=16)
    plain = config(conditions=("label",), student_share=0.0)
    parent = Flow(plain, shape).fit(train, short_run(6, batch=8))
    branched = replace(plain, conditions=("label", "mask"), control="branch")
    child = Flow(branched, shape).start_from(parent, parent_classes=["disc"], classes=["disc"])
    child.fit(train, short_run(6, batch=8))
    kept, given = child.nets["mean"].net.state_dict(), parent.nets["mean"].state_dict()
    assert all(torch.equal(kept[name], given[name]) for name in given)
    assert any(bool(gate.weight.any()) for gate in child.nets["mean"].gates)
    with pytest.raises(UserError, match="expected a map"):
        Flow(replace(plain, control="branch"), shape)


def test_what_two_models_are_told_is_matched_by_name() -> None:
    shape = Shape(channels=1, height=16, width=16, classes=3)
    theirs = config(conditions=("label", "prompt", "edges", "mask"), words=("breast", "mri", "dark"))
    mine = config(conditions=("label", "prompt", "mask", "boxes"), words=("dark", "lung"))
    parent, child = Flow(theirs, shape), Flow(mine, replace(shape, classes=2))
    with torch.no_grad():
        for weight in parent.nets["mean"].parameters():
            weight.normal_(generator=torch.Generator().manual_seed(weight.numel()))
    child.start_from(parent, parent_classes=["benign", "normal", "malignant"], classes=["malignant", "cyst"])
    mean, given = child.nets["mean"], parent.nets["mean"]
    assert torch.equal(mean.ear.label.weight, given.ear.label.weight[[2, 3, 3]])  # a new class starts as the null
    assert torch.equal(mean.ear.word.weight, given.ear.word.weight[[0, 3, 4, 4]])
    assert torch.equal(mean.null_map_K, torch.stack([given.null_map_K[1], torch.zeros(())]))
    cell = mean.patch**2
    stem, known = mean.trunk.map_stem.weight, given.trunk.map_stem.weight
    assert torch.equal(stem[:, :cell], known[:, cell : 2 * cell])
    assert not stem[:, cell:].any()  # a new map changes nothing at first
    assert torch.equal(mean.trunk.stem.weight, given.trunk.stem.weight)
    assert torch.equal(mean.decoder.head.weight, given.decoder.head.weight)


def test_starting_from_another_network_names_what_differs() -> None:
    parent = Flow(config(), replace(SHAPE, classes=2))
    for wrong, word in (
        ({"net": replace(config().net, widths=(8, 24))}, r"net.widths \[16, 24\]; expected net.widths \[8, 24\]"),
        ({"latent": LATENT}, r"latent .* null.*; expected latent"),
        ({"objective": "ddpm"}, "objective flow; expected objective ddpm"),
    ):
        child = Flow(config(**wrong), replace(SHAPE, classes=2))
        with pytest.raises(UserError, match=word):
            child.start_from(parent, parent_classes=["a", "b"], classes=["a", "b"])


def test_a_fit_that_starts_from_a_model_goes_on_where_it_was() -> None:
    """A parent that has learned beats a beginner after the same few steps."""
    train, shape = left_or_right(64), Shape(channels=1, height=16, width=16, classes=2)
    parent = Flow(config(student_share=0.0), shape).fit(train, short_run(100, batch=24))
    child = Flow(config(student_share=0.0), shape).start_from(parent, parent_classes=["l", "r"], classes=["l", "r"])
    beginner = Flow(config(student_share=0.0), shape)
    runs = [short_run(5, batch=24), short_run(5, batch=24)]
    for generator, run in zip((child, beginner), runs, strict=True):
        generator.fit(train, run)
    ahead, behind = (np.mean([line["loss"] for line in run.history]) for run in runs)
    assert ahead < 0.7 * behind

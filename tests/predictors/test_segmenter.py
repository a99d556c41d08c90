"""Laws of the segmenter, on images whose mask is a bright disc, and of the loss that mixes images patch by patch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.errors import UserError
from augury.metrics.segmentation import dice
from augury.nets.unet import Gate, UNet
from augury.predictors import load
from augury.predictors.phases import Merge, Phase, Source
from augury.predictors.segmenter import SOFTENING, Segmenter, SegmenterConfig, patches, segmentation_loss
from augury.training import Run

SMALL = SegmenterConfig(width=8, augmentation="none", validations=4)


def discs(
    n: int, *, seed: int, size: tuple[int, int] = (32, 32), channels: int = 1, empty: int = 0, radius: float = 7
) -> Pairs:
    """Noise with a brighter disc somewhere, and without one in the first `empty` images."""
    rng = np.random.default_rng(seed)
    y_HW, x_HW = np.mgrid[: size[0], : size[1]]
    mask_NHW = np.stack([
        np.hypot(y_HW - rng.uniform(6, size[0] - 6), x_HW - rng.uniform(6, size[1] - 6)) < rng.uniform(0.5, 1) * radius
        for _ in range(n)
    ])  # fmt: skip
    mask_NHW[:empty] = False
    pixels_NCHW = rng.integers(0, 120, (n, channels, *size)) + 90 * mask_NHW[:, None]
    return Pairs(
        pixels_NCHW=pixels_NCHW.astype(np.uint8), condition=Condition(label_B=torch.zeros(n, dtype=torch.int64)),
        classes=1, map_NKHW=(mask_NHW[:, None] * 255).astype(np.uint8), maps=("mask",),
    )  # fmt: skip


def shape_of(pairs: Pairs) -> Shape:
    channels, height, width = pairs.shape
    return Shape(channels=channels, height=height, width=width, classes=pairs.classes)


class Stopped(Exception):
    """Stands for a kill."""


def fitted(
    *sources: Source,
    config: SegmenterConfig = SMALL,
    validation: Pairs | None = None,
    steps: int = 60,
    seed: int = 0,
    folder: Path | None = None,
    stop_at: int | None = None,
) -> tuple[Segmenter, Run]:
    def report(step: int, _: int) -> None:
        if step == stop_at:
            raise Stopped

    run = Run(seed=seed, steps=steps, batch=8, folder=folder, log_every=1, save_every=10, report=report)
    with run.seeded("networks"):
        net = Segmenter(config, shape_of(sources[0].pairs))
    return net.fit([Phase(sources=sources, steps=steps)], run, validation=validation), run


TRAIN, CHOOSE, TEST = (discs(n, seed=seed, empty=n // 10) for n, seed in ((80, 0), (20, 1), (40, 2)))


def scored(net: Segmenter, pairs: Pairs) -> NDArray[np.float64]:
    return dice(net.predict(pairs.pixels_NCHW) >= 0.5, pairs.channel("mask"))


def siblings(pairs: Pairs, count: int, *, noise: int = 0) -> Merge:
    """Each image `count` times, the mask the same, the brightness another."""
    index_M = torch.arange(len(pairs)).repeat(count)
    darker = (pairs.subset(index_M).pixels_NCHW // 4 * 3 + noise).astype(np.uint8)
    return Merge(
        siblings=replace(pairs.subset(index_M), pixels_NCHW=darker),
        sibling_NK=torch.arange(len(index_M)).view(count, len(pairs)).T,
    )


@pytest.fixture(scope="module")
def trained() -> Segmenter:
    return fitted(Source(pairs=TRAIN), validation=CHOOSE)[0]


def test_it_learns_and_calls_empty_what_is_empty(trained: Segmenter) -> None:
    score_N = scored(trained, TEST)
    assert score_N.mean() > 0.9
    assert score_N[:4].mean() == 1


def test_predictions_are_probabilities_whatever_the_batch(trained: Segmenter) -> None:
    probability_NHW = trained.predict(TEST.pixels_NCHW)
    assert probability_NHW.shape == (40, 32, 32)
    assert probability_NHW.dtype == np.float32
    assert probability_NHW.min() >= 0
    assert probability_NHW.max() <= 1
    np.testing.assert_allclose(trained.predict(TEST.pixels_NCHW, batch=7), probability_NHW, atol=1e-5)
    np.testing.assert_allclose(trained.predict(TEST[torch.arange(40)][0]), probability_NHW, atol=1e-5)
    assert trained.predict(TEST.pixels_NCHW[:0]).shape == (0, 32, 32)


@pytest.mark.parametrize("network", ["small", "attention"])
def test_saved_and_loaded_it_predicts_the_same(network: str, tmp_path: Path) -> None:
    net, _ = fitted(Source(pairs=TRAIN), config=replace(SMALL, network=network), steps=3)
    net.save(tmp_path)
    again = load(tmp_path)
    assert again.config == net.config
    assert np.array_equal(again.predict(TEST.pixels_NCHW), net.predict(TEST.pixels_NCHW))


def test_the_seed_decides(trained: Segmenter) -> None:
    same, other = (fitted(Source(pairs=TRAIN), validation=CHOOSE, seed=seed)[0] for seed in (0, 1))
    assert np.array_equal(same.predict(TEST.pixels_NCHW), trained.predict(TEST.pixels_NCHW))
    assert not np.array_equal(other.predict(TEST.pixels_NCHW), trained.predict(TEST.pixels_NCHW))


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    """With augmentation, a second source that fades, and siblings: all of it is a function of the step."""
    config = replace(SMALL, augmentation="deepstack", validations=3)
    sources = (Source(pairs=TRAIN, merge=siblings(TRAIN, 2)), Source(pairs=CHOOSE, weight=0.5, fade=True))
    whole, run = fitted(*sources, config=config, validation=CHOOSE, steps=24)
    for stop_at in (7, 19):
        with pytest.raises(Stopped):
            fitted(*sources, config=config, validation=CHOOSE, steps=24, folder=tmp_path, stop_at=stop_at)
    resumed, again = fitted(*sources, config=config, validation=CHOOSE, steps=24, folder=tmp_path)
    assert np.array_equal(whole.predict(TEST.pixels_NCHW), resumed.predict(TEST.pixels_NCHW))
    assert whole.best_step == resumed.best_step
    assert run.history == again.history


def test_the_best_validation_is_kept() -> None:
    """The second half of the training is on inverted masks, which only the validation images can tell."""
    assert TRAIN.map_NKHW is not None
    wrong = replace(TRAIN, map_NKHW=255 - TRAIN.map_NKHW)
    run = Run(seed=0, steps=60, batch=8)
    net = Segmenter(replace(SMALL, validations=2), shape_of(TRAIN))
    phases = [Phase(sources=(Source(pairs=TRAIN),), steps=40), Phase(sources=(Source(pairs=wrong),), steps=20)]
    net.fit(phases, run, validation=CHOOSE)
    scores = {h["step"] + 1: h["validation_dice"] for h in run.history if "validation_dice" in h}
    assert sorted(scores) == [50, 60]
    assert scores[net.best_step] == max(scores.values())


@pytest.mark.parametrize("network", ["small", "attention"])
@pytest.mark.parametrize(("size", "channels"), [((96, 160), 1), ((33, 20), 3), ((16, 16), 1)])
def test_any_size_and_number_of_channels(network: str, size: tuple[int, int], channels: int) -> None:
    pairs = discs(6, seed=0, size=size, channels=channels, empty=1)
    net, _ = fitted(Source(pairs=pairs), config=replace(SMALL, network=network, augmentation="nnunet"), steps=2)
    assert net.predict(pairs.pixels_NCHW).shape == (6, *size)


@pytest.mark.parametrize("overlap", ["image", "batch"])
def test_masks_of_three_pixels_break_nothing(overlap: str) -> None:
    tiny = discs(16, seed=0, empty=16)
    assert tiny.map_NKHW is not None
    tiny.map_NKHW[:12, 0, 8, 8:11] = 255
    config = replace(SMALL, overlap=overlap, augmentation="standard")
    net, run = fitted(Source(pairs=tiny), config=config, validation=tiny, steps=6)
    assert np.isfinite(net.predict(tiny.pixels_NCHW)).all()
    assert all(np.isfinite(line["loss"]) for line in run.history if "loss" in line)


def test_the_networks_have_the_stated_sizes() -> None:
    plain, attention = (sum(p.numel() for p in UNet(1, gates=gates).parameters()) for gates in ("none", "attention"))
    assert 400_000 < plain < attention < 550_000


def test_a_gate_only_weakens() -> None:
    torch.manual_seed(0)
    skip_BCHW, coarse_BCHW = torch.randn(2, 4, 8, 8), torch.randn(2, 8, 4, 4)
    with torch.no_grad():
        share_BCHW = Gate(4, 8)(skip_BCHW, coarse_BCHW) / skip_BCHW
    assert float(share_BCHW.min()) >= 0
    assert float(share_BCHW.max()) <= 1
    torch.testing.assert_close(share_BCHW, share_BCHW[:, :1].expand_as(share_BCHW), msg="one weight a place")


def test_the_loss_has_its_closed_form() -> None:
    """Half certain of everything: cross-entropy log 2, soft Dice (2 * 0.5 g + s) / (0.5 n + g + s) of g of n pixels."""
    mask_BHW = torch.zeros(2, 4, 4)
    mask_BHW[0, :2], mask_BHW[1, 0, 0] = 1, 1
    zero, soft = torch.zeros(2, 4, 4), SOFTENING * 16
    dices = [(8 + soft) / (8 + 8 + soft), (1 + soft) / (8 + 1 + soft)]
    assert float(segmentation_loss(zero, mask_BHW, overlap="image")) == pytest.approx(
        np.log(2) + 1 - np.mean(dices), abs=1e-6
    )
    assert float(segmentation_loss(zero, mask_BHW, overlap="batch")) == pytest.approx(
        np.log(2) + 1 - (9 + 2 * soft) / (16 + 9 + 2 * soft), abs=1e-6
    )


def test_an_image_without_foreground_pulls_false_pixels_down() -> None:
    """The soft Dice of an empty mask alone: a twentieth of the image wrongly marked costs less than a fifth."""
    empty_BHW = torch.zeros(1, 32, 32)
    costs = []
    for share in (0.0, 0.05, 0.2):
        logit_BHW = torch.full((1, 32, 32), -30.0).masked_fill(torch.rand(1, 32, 32, generator=seed()) < share, 30.0)
        whole = float(segmentation_loss(logit_BHW, empty_BHW, overlap="image"))
        costs.append(whole - float(F.binary_cross_entropy_with_logits(logit_BHW, empty_BHW)))
    assert costs[0] == pytest.approx(0, abs=1e-6)
    assert costs[0] < costs[1] < costs[2] - 0.02


def seed() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_being_right_costs_nothing_also_about_empty_masks() -> None:
    for mask_BHW in (torch.zeros(3, 8, 8), torch.eye(8).expand(3, 8, 8)):
        right = (mask_BHW * 2 - 1) * 50
        for overlap in ("image", "batch"):
            assert float(segmentation_loss(right, mask_BHW, overlap=overlap)) == pytest.approx(0, abs=1e-6)  # type: ignore[arg-type]
            assert float(segmentation_loss(-right, mask_BHW, overlap=overlap)) > 1  # type: ignore[arg-type]


def test_patches_are_squares_of_the_share_asked_for() -> None:
    merge = siblings(TRAIN, 1)
    real_B1HW = patches(torch.zeros(500, 1, 48, 96), merge, generator=torch.Generator().manual_seed(0))
    cells = real_B1HW.unfold(2, 16, 16).unfold(3, 16, 16).flatten(4)
    assert real_B1HW.dtype == torch.bool
    assert bool((cells.all(-1) | ~cells.any(-1)).all()), "3 x 6 squares of 16 pixels, each wholly one or the other"
    assert float(real_B1HW.float().mean()) == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize(("share", "same_as_real"), [(1.0, True), (0.0, False)])
def test_all_or_nothing_of_the_real_image(share: float, same_as_real: bool) -> None:
    """With alpha 1 the merged loss is the loss of the real images; with alpha 0, of their siblings."""
    merge = replace(siblings(TRAIN, 1, noise=30), real=share)
    alone = TRAIN if same_as_real else replace(TRAIN, pixels_NCHW=merge.siblings.pixels_NCHW)
    _, merged = fitted(Source(pairs=TRAIN, merge=merge), steps=1)
    _, plain = fitted(Source(pairs=alone), steps=1)
    assert merged.history[0]["loss"] == pytest.approx(plain.history[0]["loss"], abs=1e-6)


def test_every_sibling_has_its_turn() -> None:
    """Two siblings of one image, one black and one white: both show up in the losses of the steps."""
    one = discs(8, seed=0)
    merge = siblings(one, 2)
    merge.siblings.pixels_NCHW[:8], merge.siblings.pixels_NCHW[8:] = 0, 255
    _, run = fitted(Source(pairs=one, merge=replace(merge, real=0.0)), config=replace(SMALL, lr=0.0), steps=8)
    assert len({round(line["loss"], 6) for line in run.history}) > 4


def test_merged_training_learns() -> None:
    net, _ = fitted(Source(pairs=TRAIN, merge=siblings(TRAIN, 3)), validation=CHOOSE, steps=60)
    assert scored(net, TEST).mean() > 0.85


def test_siblings_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="siblings of 80 images for 20"):
        Source(pairs=CHOOSE, merge=siblings(TRAIN, 2))


def test_pairs_without_masks_are_refused() -> None:
    bare = replace(TRAIN, map_NKHW=None, maps=())
    with pytest.raises(ValueError, match="learns from a map 'mask'"):
        fitted(Source(pairs=bare), steps=1)


@pytest.mark.parametrize(
    ("config", "why"),
    [(replace(SMALL, network="unet"), "'unet'; expected one of small"),
     (replace(SMALL, augmentation="strong"), "'strong': expected one of none, contrast")],
)  # fmt: skip
def test_unknown_names_are_the_users_mistake(config: SegmenterConfig, why: str) -> None:
    with pytest.raises(UserError, match=why):
        Segmenter(config, shape_of(TRAIN))


@pytest.mark.parametrize("network", ["monai", "smp:mobilenet_v2"])
def test_networks_of_others_fit_save_and_load(network: str, tmp_path: Path) -> None:
    pairs = discs(6, seed=0, size=(40, 72))
    net, _ = fitted(Source(pairs=pairs), config=replace(SMALL, network=network), steps=2)
    assert net.predict(pairs.pixels_NCHW).shape == (6, 40, 72)
    net.save(tmp_path)
    assert np.array_equal(load(tmp_path).predict(pairs.pixels_NCHW), net.predict(pairs.pixels_NCHW))


def test_an_unknown_encoder_is_one_clear_line() -> None:
    with pytest.raises(UserError, match=r"no encoder 'resnet1'.*write smp:resnet34"):
        Segmenter(replace(SMALL, network="smp:resnet1"), shape_of(TRAIN))


def test_the_revision_stands_for_these_losses() -> None:
    """Where this fails on purpose, raise Segmenter.revision and write down the new losses."""
    _, run = fitted(Source(pairs=TRAIN), config=replace(SegmenterConfig(), lr=1e-3), steps=16)
    assert Segmenter.revision == 1
    assert [h["loss"] for h in run.history][::5] == pytest.approx([1.598, 1.538, 1.475, 1.435], abs=0.01)

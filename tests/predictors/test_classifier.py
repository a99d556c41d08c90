"""Laws of the classifier, on images whose class is where their bright square lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.data.augmentation import Augmentation
from augury.errors import UserError
from augury.nets.resnet import ResNet
from augury.predictors import load
from augury.predictors.batch_norm import estimate_again
from augury.predictors.classifier import Classifier, ClassifierConfig, _balanced
from augury.predictors.phases import Phase, Source
from augury.training import Run

SMALL = ClassifierConfig(width=8, augmentation="light", validations=4)


def squares(n: int, *, seed: int, classes: int = 3, side: int = 16, channels: int = 1) -> Pairs:
    """Noise with a bright square in one of `classes` columns."""
    rng = np.random.default_rng(seed)
    label_N = rng.integers(0, classes, n)
    pixels_NCHW = rng.integers(0, 120, (n, channels, side, side))
    step = side // classes
    for i, (label, row) in enumerate(zip(label_N, rng.integers(2, side - 5, n), strict=True)):
        pixels_NCHW[i, :, row : row + 4, label * step + 1 : label * step + step] += 100
    return Pairs(
        pixels_NCHW=pixels_NCHW.astype(np.uint8),
        condition=Condition(label_B=torch.from_numpy(label_N)),
        classes=classes,
    )


def shape_of(pairs: Pairs) -> Shape:
    channels, height, width = pairs.shape
    return Shape(channels=channels, height=height, width=width, classes=pairs.classes)


class Stopped(Exception):
    """Stands for a kill."""


def begun(config: ClassifierConfig, run: Run, pairs: Pairs) -> Classifier:
    with run.seeded("networks"):
        return Classifier(config, shape_of(pairs))


def fitted(
    *sources: Source,
    config: ClassifierConfig = SMALL,
    validation: Pairs | None = None,
    steps: int = 60,
    seed: int = 0,
    folder: Path | None = None,
    stop_at: int | None = None,
) -> tuple[Classifier, Run]:
    def report(step: int, _: int) -> None:
        if step == stop_at:
            raise Stopped

    run = Run(seed=seed, steps=steps, batch=32, folder=folder, log_every=1, save_every=20, report=report)
    net = begun(config, run, sources[0].pairs)
    return net.fit([Phase(sources=sources, steps=steps)], run, validation=validation), run


TRAIN, CHOOSE, TEST = (squares(n, seed=seed) for n, seed in ((300, 0), (60, 1), (200, 2)))


def accuracy(net: Classifier, pairs: Pairs) -> float:
    return float((net.predict(pairs.pixels_NCHW).argmax(1) == pairs.label_N.numpy()).mean())


@pytest.fixture(scope="module")
def trained() -> Classifier:
    return fitted(Source(pairs=TRAIN), validation=CHOOSE)[0]


def test_it_learns(trained: Classifier) -> None:
    assert accuracy(trained, TEST) > 0.95


def test_predictions_are_probabilities_whatever_the_batch(trained: Classifier) -> None:
    probability_NK = trained.predict(TEST.pixels_NCHW)
    assert probability_NK.shape == (200, 3)
    assert probability_NK.dtype == np.float32
    np.testing.assert_allclose(probability_NK.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(trained.predict(TEST.pixels_NCHW, batch=7), probability_NK, atol=1e-5)
    assert trained.predict(TEST.pixels_NCHW[:0]).shape == (0, 3)


def test_stored_bytes_words_and_tensors_predict_the_same(trained: Classifier) -> None:
    probability_NK = trained.predict(TEST.pixels_NCHW)
    words = TEST.pixels_NCHW.astype(np.uint16) * 257
    np.testing.assert_allclose(trained.predict(words), probability_NK, atol=1e-5)
    np.testing.assert_allclose(trained.predict(TEST[torch.arange(200)][0]), probability_NK, atol=1e-5)


def test_saved_and_loaded_it_predicts_the_same(trained: Classifier, tmp_path: Path) -> None:
    trained.save(tmp_path)
    again = load(tmp_path)
    assert np.array_equal(again.predict(TEST.pixels_NCHW), trained.predict(TEST.pixels_NCHW))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "weights.safetensors"]


def test_an_augmentation_of_ones_own_is_saved_too(tmp_path: Path) -> None:
    config = replace(SMALL, augmentation=Augmentation(rotate=3.0))
    net, _ = fitted(Source(pairs=TRAIN), config=config, steps=2)
    net.save(tmp_path)
    assert load(tmp_path).config == config


def test_features_have_the_announced_width(trained: Classifier) -> None:
    assert trained.features(TEST.pixels_NCHW).shape == (200, trained.dim)


def test_the_seed_decides(trained: Classifier) -> None:
    same, other = (fitted(Source(pairs=TRAIN), validation=CHOOSE, seed=seed)[0] for seed in (0, 1))
    assert np.array_equal(same.predict(TEST.pixels_NCHW), trained.predict(TEST.pixels_NCHW))
    assert not np.array_equal(other.predict(TEST.pixels_NCHW), trained.predict(TEST.pixels_NCHW))


@pytest.mark.parametrize("validated", [True, False])
def test_resumed_equals_uninterrupted(tmp_path: Path, validated: bool) -> None:
    """Also the best weights so far and the batch statistics survive."""
    choose = CHOOSE if validated else None
    config = replace(SMALL, validations=6)
    sources = (Source(pairs=TRAIN), Source(pairs=CHOOSE, weight=0.3, fade=True))
    whole, run = fitted(*sources, config=config, validation=choose, steps=50)
    for stop_at in (23, 47):
        with pytest.raises(Stopped):
            fitted(*sources, config=config, validation=choose, steps=50, folder=tmp_path, stop_at=stop_at)
    resumed, again = fitted(*sources, config=config, validation=choose, steps=50, folder=tmp_path)
    assert np.array_equal(whole.predict(TEST.pixels_NCHW), resumed.predict(TEST.pixels_NCHW))
    assert whole.best_step == resumed.best_step
    assert run.history == again.history


def test_the_best_validation_is_kept() -> None:
    """The second half of the training is on wrong labels, which only the validation images can tell."""
    wrong = replace(TRAIN, condition=Condition(label_B=(TRAIN.label_N + 1) % 3))
    run = Run(seed=0, steps=120, batch=32)
    net = begun(replace(SMALL, validations=2), run, TRAIN)
    phase = Phase(sources=(Source(pairs=wrong),), steps=60)
    net.fit([Phase(sources=(Source(pairs=TRAIN),), steps=60), phase], run, validation=CHOOSE)
    scores = {h["step"] + 1: h["validation_auroc"] for h in run.history if "validation_auroc" in h}
    assert sorted(scores) == [90, 120], "only the last phase is validated"
    assert scores[net.best_step] == max(scores.values())


def test_validations_are_even_and_include_the_end() -> None:
    _, run = fitted(Source(pairs=TRAIN), validation=CHOOSE, steps=21)
    assert [h["step"] + 1 for h in run.history if "validation_auroc" in h] == [6, 11, 16, 21]


def test_without_validation_the_last_step_counts() -> None:
    assert fitted(Source(pairs=TRAIN), steps=9)[0].best_step == 9


def test_a_second_source_does_not_shift_the_statistics() -> None:
    """Batch statistics are of the real images, so a darker second source does not shift them."""
    dark = replace(TRAIN, pixels_NCHW=(TRAIN.pixels_NCHW // 4).astype(np.uint8))
    net, _ = fitted(Source(pairs=TRAIN), Source(pairs=dark), steps=80)
    assert accuracy(net, TEST) > 0.95


def test_statistics_are_those_of_the_images_given() -> None:
    torch.manual_seed(0)
    net = ResNet(1, width=8)
    estimate_again(net, TRAIN)
    with torch.no_grad():
        map_BCHW = net.stem[1](net.stem[0](TRAIN[torch.arange(300)][0]))
    torch.testing.assert_close(net.stem[2].running_mean, map_BCHW.mean((0, 2, 3)), atol=1e-3, rtol=1e-3)
    assert not net.training


def test_a_balanced_epoch_shows_every_class_equally_and_every_image() -> None:
    label_N = torch.tensor([0] * 50 + [1] * 7 + [2])
    order_M = _balanced(label_N)
    assert torch.bincount(label_N[order_M]).tolist() == [50, 50, 50]
    assert set(order_M.tolist()) == set(range(58))


def test_balancing_finds_the_rare_class() -> None:
    rare = TRAIN.subset(
        torch.cat([torch.nonzero(TRAIN.label_N != 2).flatten(), torch.nonzero(TRAIN.label_N == 2)[:6, 0]])
    )
    called = {
        balanced: fitted(Source(pairs=rare), config=replace(SMALL, balanced=balanced), steps=40)[0]
        .predict(TEST.pixels_NCHW)[:, 2]
        .mean()
        for balanced in (False, True)
    }
    assert called[True] > called[False]


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (33, 3), (64, 1), (128, 3)])
def test_any_size_and_number_of_channels(side: int, channels: int) -> None:
    pairs = squares(40, seed=0, classes=2, side=side, channels=channels)
    net, _ = fitted(Source(pairs=pairs), steps=2)
    assert net.predict(pairs.pixels_NCHW[:3]).shape == (3, 2)


def test_steps_must_agree() -> None:
    run = Run(seed=0, steps=5, batch=8)
    with pytest.raises(ValueError, match="the phases have 4 steps"):
        begun(SMALL, run, TRAIN).fit([Phase(sources=(Source(pairs=TRAIN),), steps=4)], run)


def test_a_folder_without_a_model_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no model"):
        load(tmp_path)


def test_weights_of_another_width_are_refused(trained: Classifier, tmp_path: Path) -> None:
    trained.save(tmp_path)
    text = (tmp_path / "config.json").read_text().replace('"width": 8', '"width": 16', 1)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match="expected"):
        load(tmp_path)


def test_the_revision_stands_for_these_losses() -> None:
    """Where this fails on purpose, raise Classifier.revision and write down the new losses."""
    _, run = fitted(Source(pairs=TRAIN), config=replace(ClassifierConfig(), lr=1e-4), steps=20)
    assert Classifier.revision == 1
    assert [h["loss"] for h in run.history][::5] == pytest.approx([1.319, 1.201, 0.989, 0.884], abs=0.01)

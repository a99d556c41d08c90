"""The probe and weights of a user's, with a small timm network whose weights are random but on disk."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.errors import UserError
from augury.nets.backbone import Backbone
from augury.predictors import load
from augury.predictors.classifier import Classifier, ClassifierConfig
from augury.predictors.phases import Phase, Source
from augury.predictors.probe import Probe, ProbeConfig
from augury.training import Run

NAME = "mobilenetv3_small_050"
LITE = Path(__file__).parents[2].parent / "shared/weights/tf_efficientnet_lite0.safetensors"


def _images(n: int, *, classes: int, seed: int = 0) -> Pairs:
    """Stripes whose width is the class."""
    rng = np.random.default_rng(seed)
    label_N = np.arange(n) % classes
    wave = np.sin(np.arange(32)[None, :] * (0.4 + 0.5 * label_N[:, None]) + rng.uniform(0, 6, (n, 1)))
    pixels_NCHW = (127 + 80 * wave[:, None, None, :] + rng.normal(0, 20, (n, 1, 32, 32))).clip(0, 255).astype(np.uint8)
    return Pairs(pixels_NCHW=pixels_NCHW, condition=Condition(label_B=torch.from_numpy(label_N)), classes=classes)


def _shape(classes: int) -> Shape:
    return Shape(channels=1, height=32, width=32, classes=classes)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / f"{NAME}.safetensors"
    save_file({k: v for k, v in Backbone(NAME, 3, side=64).net.state_dict().items() if "batches" not in k}, path)
    return path


@pytest.mark.parametrize("classes", [2, 3])
def test_a_probe_reads_features_saves_and_loads(weights: Path, tmp_path: Path, classes: int) -> None:
    config = ProbeConfig(weights=str(weights), side=64)
    probe = Probe(config, _shape(classes)).fit(
        _images(90, classes=classes), validation=_images(30, classes=classes, seed=1)
    )
    test = _images(60, classes=classes, seed=2)
    probability_NK = probe.predict(test.pixels_NCHW)
    assert (probability_NK.argmax(1) == test.label_N.numpy()).mean() > 0.8
    assert probe.strength in config.strengths
    probe.save(tmp_path)
    weights_gone = load(tmp_path)
    assert np.array_equal(weights_gone.predict(test.pixels_NCHW), probability_NK)


def test_one_label_is_refused(weights: Path) -> None:
    one = _images(20, classes=1)
    with pytest.raises(UserError, match="one label"):
        Probe(ProbeConfig(weights=str(weights), side=64), _shape(2)).fit(one)


def test_a_class_that_was_never_shown_is_never_expected(weights: Path) -> None:
    probe = Probe(ProbeConfig(weights=str(weights), side=64), _shape(3)).fit(_images(40, classes=2))
    assert probe.predict(_images(20, classes=2).pixels_NCHW)[:, 2].max() < 1e-6


def test_a_given_backbone_is_loaded_and_trained(weights: Path) -> None:
    run = Run(seed=0, steps=2, batch=8)
    net = Classifier(ClassifierConfig(backbone=NAME, weights=str(weights), lr=0.0, side=32), _shape(2))
    net.fit([Phase(sources=(Source(pairs=_images(20, classes=2)),), steps=2)], run)
    given = load_file(weights)
    mine = net.nets["backbone"].net.state_dict()
    assert torch.equal(mine["conv_stem.weight"], given["conv_stem.weight"].sum(1, keepdim=True)), "summed over channels"
    assert torch.equal(mine["blocks.0.0.conv_dw.weight"], given["blocks.0.0.conv_dw.weight"])


def _nothing(path: Path, good: dict[str, torch.Tensor]) -> None:
    """No file at all."""


def _pickle(path: Path, good: dict[str, torch.Tensor]) -> None:
    path.write_bytes(pickle.dumps({"a": 1}))


def _text(path: Path, good: dict[str, torch.Tensor]) -> None:
    path.write_text("these are not weights")


def _torn(path: Path, good: dict[str, torch.Tensor]) -> None:
    save_file(good, path)
    path.write_bytes(path.read_bytes()[:-100])


def _nan(path: Path, good: dict[str, torch.Tensor]) -> None:
    save_file({**good, "conv_stem.weight": good["conv_stem.weight"] * torch.nan}, path)


def _other(path: Path, good: dict[str, torch.Tensor]) -> None:
    save_file({"some.weight": torch.zeros(3)}, path)


def _misshapen(path: Path, good: dict[str, torch.Tensor]) -> None:
    save_file({**good, "conv_stem.weight": torch.zeros(5, 3, 3, 3)}, path)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [(_nothing, "no such file"), (_pickle, "pickle"), (_text, "safetensors"), (_torn, "safetensors"), (_nan, "NaN"),
     (_other, "timm's"), (_misshapen, "timm's")],
)  # fmt: skip
def test_a_bad_weights_file_is_one_clear_line(weights: Path, tmp_path: Path, spoil: object, why: str) -> None:
    path = tmp_path / f"{NAME}.safetensors"
    assert callable(spoil)
    spoil(path, load_file(weights))
    with pytest.raises(UserError, match=why) as caught:
        Probe(ProbeConfig(weights=str(path), side=64), _shape(2)).fit(_images(20, classes=2))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_unknown_backbone_is_one_clear_line() -> None:
    with pytest.raises(UserError, match="timm has no backbone 'resnet1'"):
        Classifier(ClassifierConfig(backbone="resnet1"), _shape(2))


@pytest.mark.real
@pytest.mark.skipif(not LITE.exists(), reason="../shared/weights/tf_efficientnet_lite0.safetensors is not there")
def test_real_weights_beat_random_ones() -> None:
    probe = Probe(ProbeConfig(weights=str(LITE)), _shape(4)).fit(_images(80, classes=4))
    test = _images(40, classes=4, seed=3)
    assert (probe.predict(test.pixels_NCHW).argmax(1) == test.label_N.numpy()).mean() > 0.9

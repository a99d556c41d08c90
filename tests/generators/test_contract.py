"""What every generator of the table owes: fit, sample, save, load, determinism, shape, range, obedience, resume."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.errors import UserError
from augury.generators import GENERATORS, load
from augury.generators.adversarial import Game, Networks
from augury.generators.flow_settings import Sampling, UNet
from augury.generators.generator import Generator
from augury.training import Run

SHAPE = Shape(channels=1, height=16, width=16, classes=2)
SMALL = Networks(latent=16, generator_features=24, critic_features=24)
SETTINGS: dict[str, dict[str, Any]] = {
    "cgan": {"networks": SMALL, "game": Game(generator_rate=1e-3, critic_rate=1e-3)},
    "wgan_gp": {"networks": SMALL, "game": Game(generator_rate=1e-3, critic_rate=1e-3, critic_steps=2)},
    "cvae": {"latent": 16, "features": 16},
    "flow": {
        "net": UNet(widths=(16, 16)),
        "sampling": Sampling(steps=6),
        "snapshots": 2,
        "rate": 5e-3,
        "time_mean": 0.3,
    },
}
STEPS = {"cgan": 100, "wgan_gp": 100, "cvae": 150, "flow": 260}
METHODS = sorted(GENERATORS)
HAS_NULL = ("flow",)  # methods that draw without a condition where it is dropped


def left_or_right(n: int, *, seed: int = 0) -> Pairs:
    """A disc of random size and height: in the left half for class 0, in the right half for class 1."""
    rng = np.random.default_rng(seed)
    label_N = np.arange(n) % 2
    centre_x, centre_y = 4.5 + 7 * label_N + rng.uniform(-1, 1, n), rng.uniform(5, 11, n)
    y_HW, x_HW = np.mgrid[:16, :16]
    distance = np.hypot(x_HW - centre_x[:, None, None], y_HW - centre_y[:, None, None])
    pixels_NHW = 255 * (distance < rng.uniform(2, 3.5, n)[:, None, None])
    condition = Condition(label_B=torch.from_numpy(label_N))
    return Pairs(pixels_NCHW=pixels_NHW[:, None].astype(np.uint8), condition=condition, classes=2)


def drawn_label(image_BCHW: Tensor) -> Tensor:
    """Which half holds more light."""
    light_BW = (image_BCHW + 1).sum((1, 2))
    return (light_BW[:, 8:].sum(1) > light_BW[:, :8].sum(1)).long()


def make(method: str, shape: Shape = SHAPE, **changes: Any) -> Generator:
    kind, settings = GENERATORS[method]
    made: Generator = kind(settings(**{**SETTINGS[method], **changes}), shape)
    return made


def short_run(steps: int, **changes: Any) -> Run:
    return Run(**{"seed": 3, "steps": steps, "batch": 32, "log_every": 1, **changes})


def labels(n: int) -> Condition:
    return Condition(label_B=torch.arange(n) % 2)


@pytest.fixture(scope="module", params=METHODS)
def fitted(request: pytest.FixtureRequest) -> Generator:
    return make(request.param).fit(left_or_right(256), short_run(STEPS[request.param]))


def test_samples_are_pictures_and_a_function_of_the_seed(fitted: Generator) -> None:
    image = fitted.sample(labels(40), seed=5)
    assert image.shape == (40, 1, 16, 16)
    assert image.dtype == torch.float32
    assert image.device.type == "cpu"
    assert not image.requires_grad
    assert float(image.abs().max()) <= 1.0
    assert torch.equal(image, fitted.sample(labels(40), seed=5))
    assert not torch.equal(image, fitted.sample(labels(40), seed=6))
    assert fitted.sample(labels(0), seed=5).shape == (0, 1, 16, 16)


def test_samples_obey_their_label_and_differ_within_it(fitted: Generator) -> None:
    condition = labels(200)
    image = fitted.sample(condition, seed=1)
    assert float((drawn_label(image) == condition.labels()).float().mean()) >= 0.95
    same_class = image[::2].flatten(1)
    assert float(torch.pdist(same_class).median()) > 1.0


def test_saved_and_loaded_is_the_same(fitted: Generator, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    again = load(tmp_path)
    images, condition = left_or_right(8)[torch.arange(8)]
    assert again.config == fitted.config
    assert torch.equal(again.sample(labels(4), seed=2), fitted.sample(labels(4), seed=2))
    assert torch.equal(again.membership(images, condition, seed=2), fitted.membership(images, condition, seed=2))


def test_membership_tells_its_pictures_from_noise(fitted: Generator) -> None:
    images, condition = left_or_right(64)[torch.arange(64)]
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    known = fitted.membership(images, condition, seed=0)
    assert known.shape == (64,)
    assert float(known.median()) > float(fitted.membership(noise, condition, seed=0).median())
    assert fitted.membership(images[:0], labels(0), seed=0).shape == (0,)


@pytest.mark.parametrize("poison", ["nan", "pickle", "other"])
def test_poisoned_weights_are_refused(fitted: Generator, tmp_path: Path, poison: str) -> None:
    fitted.save(tmp_path)
    path = tmp_path / "weights.safetensors"
    values = load_file(path)
    name = next(name for name, value in values.items() if value.is_floating_point() and value.numel())
    if poison == "nan":
        save_file({**values, name: torch.full_like(values[name], torch.nan)}, path)
    elif poison == "pickle":
        path.write_bytes(pickle.dumps(values))
    else:
        save_file({k: v for k, v in values.items() if k != name}, path)
    with pytest.raises(UserError, match="weights"):
        load(tmp_path)


def test_load_names_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no model"):
        load(tmp_path)
    make("cvae").save(tmp_path)
    config = tmp_path / "config.json"
    text = config.read_text()
    config.write_text(text.replace('"cvae"', '"oracle"'))
    with pytest.raises(UserError, match="holds a oracle"):
        load(tmp_path)
    config.write_text(text.replace('"revision": ', '"revision": 9'))
    with pytest.raises(UserError, match="fit it anew"):
        load(tmp_path)


@pytest.mark.parametrize("method", METHODS)
def test_fitting_is_a_function_of_the_seed(method: str) -> None:
    first, second, other = (
        make(method).fit(left_or_right(64), short_run(6, seed=seed)).sample(labels(4), seed=0) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_fit_is_bit_equal(method: str, tmp_path: Path) -> None:
    def interrupt(step: int, steps: int) -> None:
        if step == 9:
            raise Interrupted

    train = left_or_right(64)
    whole = make(method).fit(train, short_run(14))
    with pytest.raises(Interrupted):
        make(method).fit(train, short_run(14, folder=tmp_path, save_every=4, report=interrupt))
    resumed = make(method).fit(train, short_run(14, folder=tmp_path, save_every=4))
    finished = make(method).fit(train, short_run(14, folder=tmp_path, save_every=4))
    for name, value in whole.nets.state_dict().items():
        assert torch.equal(value, resumed.nets.state_dict()[name]), name
        assert torch.equal(value, finished.nets.state_dict()[name]), name


@pytest.mark.parametrize("method", METHODS)
def test_labels_that_it_was_not_told_of_are_refused(method: str) -> None:
    generator = make(method)
    for wrong in (Condition(label_B=torch.tensor([0, 2])), Condition(label_B=torch.tensor([-1, 1]))):
        with pytest.raises(UserError, match="1 of 2 labels"):
            generator.sample(wrong, seed=0)
    dropped = Condition(label_B=torch.tensor([0]), keep_B=torch.tensor([False]))
    if method in HAS_NULL:
        assert torch.isfinite(generator.sample(dropped, seed=0)).all()
    else:
        with pytest.raises(UserError, match="dropped"):
            generator.sample(dropped, seed=0)
    train = left_or_right(8)
    unlabelled = Pairs(pixels_NCHW=train.pixels_NCHW, condition=Condition(label_B=torch.full((8,), -1)), classes=2)
    with pytest.raises(UserError, match="8 of 8 labels"):
        generator.fit(unlabelled, short_run(1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("height", "width", "channels"), [(32, 32, 3), (28, 28, 1), (32, 48, 1), (64, 64, 1)])
def test_other_shapes(method: str, height: int, width: int, channels: int) -> None:
    shape = Shape(channels=channels, height=height, width=width, classes=3)
    pixels = np.random.default_rng(0).integers(0, 256, (12, channels, height, width), dtype=np.uint8)
    train = Pairs(pixels_NCHW=pixels, condition=Condition(label_B=torch.arange(12) % 3), classes=3)
    generator = make(method, shape).fit(train, short_run(2, batch=8))
    assert generator.sample(train.condition, seed=0).shape == (12, channels, height, width)
    assert torch.isfinite(generator.membership(*train[torch.arange(12)], seed=0)).all()


@pytest.mark.parametrize("method", METHODS)
def test_sizes_that_do_not_fit_are_refused(method: str) -> None:
    with pytest.raises(UserError, match="such as 32"):
        make(method, Shape(channels=1, height=30, width=30, classes=2))
    with pytest.raises(UserError, match="expected"):
        make(method, Shape(channels=3, height=16, width=16, classes=2)).fit(left_or_right(8), short_run(1))


@pytest.mark.parametrize("method", METHODS)
def test_one_class_is_enough(method: str) -> None:
    train = left_or_right(16)
    alone = Pairs(
        pixels_NCHW=train.pixels_NCHW, condition=Condition(label_B=torch.zeros(16, dtype=torch.int64)), classes=1
    )
    generator = make(method, Shape(channels=1, height=16, width=16, classes=1)).fit(alone, short_run(2, batch=8))
    assert generator.sample(Condition(label_B=torch.zeros(3, dtype=torch.int64)), seed=0).shape == (3, 1, 16, 16)

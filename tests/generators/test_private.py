"""Differential privacy: clipping image by image, the price, the draws, the secret, and what is refused."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.errors import Refused, UserError
from augury.generators import GENERATORS, load
from augury.generators.adversarial import Game, Networks
from augury.generators.generator import Generator
from augury.generators.private import DP, KEY, ORDERS, Private, clipped_sum, mechanism
from augury.nets.gan import Critic
from augury.training import Run

SHAPE = Shape(channels=1, height=16, width=16, classes=2)
SMALL: dict[str, dict[str, Any]] = {
    "cvae": {"latent": 8, "features": 8},
    "cgan": {"networks": Networks(latent=8, generator_features=8, critic_features=8)},
}
CPU = torch.device("cpu")


def noise_pairs(n: int, *, groups: int | None = None) -> Pairs:
    pixels = np.random.default_rng(5).integers(0, 256, (n, 1, 16, 16), dtype=np.uint8)
    group_N = torch.arange(n) % (groups or n)
    return Pairs(pixels_NCHW=pixels, condition=Condition(label_B=torch.arange(n) % 2), classes=2, group_N=group_N)


def make(method: str, dp: DP | None = None) -> Generator:
    kind, config = GENERATORS[method]
    made: Generator = kind(config(**SMALL[method], dp=dp), SHAPE)
    return made


def critic() -> Critic:
    torch.manual_seed(0)
    return Critic(channels=1, height=16, width=16, classes=2, features=8)


@pytest.mark.parametrize(("groups", "clip"), [(20, 3.5), (7, 2.7)])
def test_the_clipped_sum_is_that_of_a_slow_loop(groups: int, clip: float) -> None:
    net, train = critic(), noise_pairs(20, groups=groups)
    image_BCHW, condition = train[torch.arange(20)]
    assert train.group_N is not None

    def loss(image_BCHW: Tensor, label_B: Tensor) -> Tensor:
        return nn.functional.softplus(-net(image_BCHW, label_B)).mean()

    got = clipped_sum(net, loss, (image_BCHW, condition.labels()), unit_B=train.group_N, clip=clip, device=CPU)
    expected = [torch.zeros_like(weight) for weight in net.parameters()]
    lengths = []
    for group in range(groups):
        mine = train.group_N == group
        gradient = torch.autograd.grad(loss(image_BCHW[mine], condition.labels()[mine]), list(net.parameters()))
        length = math.sqrt(sum(float(part.square().sum()) for part in gradient))
        lengths.append(length)
        for whole, part in zip(expected, gradient, strict=True):
            whole += part * min(1.0, clip / length)
    assert min(lengths) < clip < max(lengths), lengths
    for (name, value), whole in zip(got.items(), expected, strict=True):
        torch.testing.assert_close(value, whole, atol=1e-6, rtol=1e-5, msg=name)


def test_without_a_cut_the_coders_gradient_is_the_batchs() -> None:
    coder, train = make("cvae", DP(epsilon=8)), noise_pairs(20)
    image_BCHW, condition = train[torch.arange(20)]
    noise_BZ = torch.randn(20, 8)

    def loss(image_BCHW: Tensor, label_B: Tensor, noise_BZ: Tensor) -> Tensor:
        error_B, kl_B = coder._terms(image_BCHW, label_B, noise_BZ)  # type: ignore[attr-defined]
        mean: Tensor = (error_B + kl_B).mean()
        return mean

    batch = (image_BCHW, condition.labels(), noise_BZ)
    got = clipped_sum(coder.nets, loss, batch, unit_B=torch.arange(20), clip=1e9, device=CPU)
    loss(*batch).backward()
    for (name, weight), value in zip(coder.nets.named_parameters(), got.values(), strict=True):
        torch.testing.assert_close(value / 20, weight.grad, atol=1e-4, rtol=1e-4, msg=name)


def test_the_sum_moves_by_one_clip_at_most_when_a_unit_joins() -> None:
    net, train = critic(), noise_pairs(20, groups=5)
    image_BCHW, condition = train[torch.arange(20)]
    assert train.group_N is not None

    def loss(image_BCHW: Tensor, label_B: Tensor) -> Tensor:
        return 100 * net(image_BCHW, label_B).mean()

    def total(kept_B: Tensor) -> Tensor:
        batch, unit_B = (image_BCHW[kept_B], condition.labels()[kept_B]), train.group_N[kept_B]  # type: ignore[index]
        found = clipped_sum(net, loss, batch, unit_B=unit_B, clip=0.5, device=CPU)
        return torch.cat([value.flatten() for value in found.values()])

    everybody = total(torch.ones(20, dtype=torch.bool))
    for group in range(5):
        assert float((everybody - total(train.group_N != group)).norm()) == pytest.approx(0.5, rel=1e-3)


def rdp_of_subsampled_gaussian(order: int, *, rate: float, noise: float) -> float:
    """Mironov, Talwar and Zhang 2019, section 3.3: the closed form at whole orders."""
    terms = [
        math.lgamma(order + 1) - math.lgamma(k + 1) - math.lgamma(order - k + 1)
        + (order - k) * math.log1p(-rate) + k * math.log(rate) + k * (k - 1) / (2 * noise**2)
        for k in range(order + 1)
    ]  # fmt: skip
    return float(np.logaddexp.reduce(terms)) / (order - 1)


@pytest.mark.parametrize(("epsilon", "images", "steps"), [(8.0, 600, 1000), (1.0, 5000, 400), (3.0, 60, 60)])
def test_the_price_is_that_of_an_independent_account(epsilon: float, images: int, steps: int) -> None:
    dp = DP(epsilon=epsilon)
    how = mechanism(dp, units=images, images=images, batch=32, releases=steps)
    mine = []
    for order in (int(order) for order in ORDERS if order == int(order)):
        rdp = steps * rdp_of_subsampled_gaussian(order, rate=32 / images, noise=how.noise)
        # Balle 2020, theorem 21.
        mine.append(rdp + math.log1p(-1 / order) - (math.log(dp.delta) + math.log(order)) / (order - 1))
    # Opacus also looks between the whole orders, so its bound may be a little lower.
    assert how.epsilon <= min(mine) + 1e-9
    assert how.epsilon == pytest.approx(min(mine), rel=0.03)
    assert epsilon - 0.02 <= how.epsilon <= epsilon


def test_units_are_drawn_whole_with_their_chance_and_noise_has_its_size(tmp_path: Path) -> None:
    train = noise_pairs(60, groups=20)
    run = Run(seed=1, steps=400, batch=15, folder=tmp_path)
    private = Private(train, DP(epsilon=8, clip=2.0), run, releases=400)
    counts = torch.zeros(60)
    for run.step in range(400):
        counts[private.draw()] += 1
    assert torch.equal(counts[:20], counts[20:40])
    assert float(counts.mean()) / 400 == pytest.approx(0.25, abs=0.02)
    assert len({int(private.draw(draw=i).sum()) for i in range(5)}) > 1
    net, (image_BCHW, condition) = critic(), train[torch.arange(0)]
    nobody = private.gradients(net, lambda x, y: net(x, y).mean(), torch.arange(0), image_BCHW, condition.labels())
    drawn = torch.cat([value.flatten() for value in nobody])
    assert float(drawn.std()) == pytest.approx(private.how.noise * 2.0 / (0.25 * 20), rel=0.03)


@pytest.mark.parametrize("method", ["cvae", "cgan"])
def test_a_private_fit_is_saved_resumed_bit_by_bit_and_never_twice_the_same(method: str, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(step: int, steps: int) -> None:
        if step == 3:
            raise Interrupted

    train, dp = noise_pairs(40), DP(epsilon=8)

    def run(folder: Path | None, report: Any = None) -> Run:
        return Run(seed=1, steps=5, batch=8, folder=folder, save_every=2, report=report, log_every=1)

    whole = run(tmp_path / "whole")
    first = make(method, dp).fit(train, whole)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / KEY).write_text((tmp_path / "whole" / KEY).read_text())
    with pytest.raises(Interrupted):
        make(method, dp).fit(train, run(tmp_path / "parts", interrupt))
    second = make(method, dp).fit(train, run(tmp_path / "parts"))
    other = make(method, dp).fit(train, run(None))
    name, value = next(iter(first.nets.named_parameters()))
    assert not torch.equal(value, other.nets.get_parameter(name)), "the noise is a function of the seed alone"
    assert all(torch.equal(v, second.nets.state_dict()[n]) for n, v in first.nets.state_dict().items())
    logged = {name for line in whole.history for name in line}
    assert logged.isdisjoint({"loss", "critic"}), "a loss over training images is not private"
    first.save(tmp_path / "model")
    again = load(tmp_path / "model")
    labels = Condition(label_B=torch.tensor([0, 1]))
    assert torch.equal(again.sample(labels, seed=1), first.sample(labels, seed=1))


@pytest.mark.parametrize(("method", "seers"), [("cvae", ["encoder", "decoder"]), ("cgan", ["critic"])])
def test_what_sees_images_has_no_batch_statistics(method: str, seers: list[str]) -> None:
    nets = make(method, DP(epsilon=8)).nets
    assert not [m for name in seers for m in nets[name].modules() if isinstance(m, nn.BatchNorm2d)]
    assert [m for m in make("cvae").nets.modules() if isinstance(m, nn.BatchNorm2d)]


def test_what_looks_past_the_noise_is_off_or_refused() -> None:
    cgan, cvae, wgan_gp = (GENERATORS[name][1] for name in ("cgan", "cvae", "wgan_gp"))
    dp = DP(epsilon=8)
    private = cgan(dp=dp)
    assert (private.r1, private.game.anchor) == (0.0, 0.0)
    assert cvae(dp=dp).prior == "normal"
    for made, words in (
        (lambda: cgan(dp=dp, r1=0.01), "r1"),
        (lambda: cgan(dp=dp, game=Game(anchor=3.0)), "anchor"),
        (lambda: cgan(dp=dp, game=Game(mismatch=1.0)), "mismatch"),
        (lambda: cgan(dp=dp, networks=Networks(spectral=True)), "spectral"),
        (lambda: cvae(dp=dp, head_start=True), "head_start"),
        (lambda: wgan_gp(dp=dp), "gradient penalty"),
    ):
        with pytest.raises(Refused, match=words):
            made()
    for changes in ({"epsilon": 0.0}, {"epsilon": 8.0, "delta": 1.0}, {"epsilon": 8.0, "clip": 0.0}):
        with pytest.raises(UserError, match="expected numbers above 0"):
            DP(**changes)
    with pytest.raises(UserError, match=r"expected less than 0\.02"):
        mechanism(DP(epsilon=8, delta=0.1), units=50, images=50, batch=8, releases=5)
    with pytest.raises(Refused, match="cannot be kept"):
        mechanism(DP(epsilon=1e-6), units=50, images=50, batch=50, releases=5)
    train = Pairs(pixels_NCHW=noise_pairs(8).pixels_NCHW, condition=noise_pairs(8).condition, classes=2)
    with pytest.raises(UserError, match=r"dp\.unit=image"):
        make("cvae", dp).fit(train, Run(seed=1, steps=1, batch=4))


def test_without_opacus_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opacus.accountants", None)
    with pytest.raises(UserError, match=r"pip install 'augury\[dp\]'"):
        mechanism(DP(epsilon=8), units=50, images=50, batch=8, releases=5)

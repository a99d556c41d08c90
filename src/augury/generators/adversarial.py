"""The game that `cgan` and `wgan_gp` play: networks, steps, moving average, samples.

The two methods differ in their `Rules` alone. On a few hundred images and in a few minutes a painter otherwise learns
one picture per class; so every training image has a code, its principal components, and the painter must also draw the
image from its code (`Game.anchor`). New latents then come from a mixture fitted to each class's codes.

B batch, Z latent, D uniform draws, C channels, H height, W width.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.errors import UserError
from augury.generators.chunks import CHUNK, chunks
from augury.generators.generator import Shape
from augury.generators.head_start import principal
from augury.generators.labels import class_labels, expect_pairs, wrong_labels
from augury.generators.latent_prior import LatentPrior
from augury.generators.pixel_errors import edge_error, reconstruction_error
from augury.generators.private import without_batch_statistics
from augury.nets.differentiable import DRAWS, Jitter
from augury.nets.gan import Critic, Painter
from augury.training import Ema, Run, Stateful

FLOOR = 0.02  # smallest variance of a component of the latents, whose variance is 1
EDGE = 0.25  # weight of the differences of neighbouring pixels in the anchor
SETTLING = 16  # chunks that the averaged painter's batch statistics are estimated on


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Which painter and critic: System 2's grid. Features are channels at half the image's resolution."""

    generator: Literal[1, 2] = 1  # 1: ConvT + BN, 2: Upsample + Conv + BN
    critic: Literal[1, 2] = 1  # 1: Conv + LeakyReLU + Dropout, 2: Conv + BN + LeakyReLU (unsound with a penalty)
    latent: int = 64
    generator_features: int = 32
    critic_features: int = 32
    generator_label: Literal["norm", "concat", "multiply"] = "norm"
    critic_label: Literal["projection", "map"] = "projection"
    last: Literal["cut", "tanh"] = "cut"  # how the generator keeps to the range; under tanh pixels may stay white
    components: int = 25  # at most, of each class's mixture of latents; without an anchor latents are unit normal
    dropout: float = 0.0  # of critic 1
    spectral: bool = False  # spectral norm in the critic

    def __post_init__(self) -> None:
        for name in ("latent", "generator_features", "critic_features", "components"):
            if getattr(self, name) < 1:
                raise UserError(f"networks.{name}={getattr(self, name)}: expected at least 1; try 64")
        if not 0 <= self.dropout < 1:
            raise UserError(f"networks.dropout={self.dropout}: expected at least 0 and less than 1; try 0.25")


@dataclass(frozen=True, kw_only=True)
class Game:
    """How the two are trained."""

    critic_steps: int = 1  # updates of the critic for each of the painter
    generator_rate: float = 5e-4  # Adam's learning rates
    critic_rate: float = 5e-4
    betas: tuple[float, float] = (0.5, 0.99)
    anchor: float = 10.0  # weight of drawing training images from their codes, per pixel; 0 turns it off
    half_life: float = 0.08  # of the painter's moving average, a share of all steps; samples come from the average
    jitter: float = 1.0  # strength of the differentiable augmentation; 0 turns it off
    mirror: bool = False  # also left-right; only where an image has no side
    mismatch: float = 0.0  # weight of real images under a wrong label, which the critic must reject (Reed 2016)

    def __post_init__(self) -> None:
        if self.critic_steps < 1:
            raise UserError(f"game.critic_steps={self.critic_steps}: expected at least 1; try 1")
        if not 0 < self.half_life <= 1:
            raise UserError(
                f"game.half_life={self.half_life}: expected a share of all steps, more than 0 and at most 1; try 0.08"
            )
        for name in ("jitter", "mismatch", "anchor"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"game.{name}={getattr(self, name)}: expected a number from 0 (off); try the default")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a method minimises, from scores (`real_B`, `fake_B`) to a scalar, and what it asks of the critic's slope."""

    critic: Callable[[Tensor, Tensor], Tensor]
    painter: Callable[[Tensor], Tensor]
    penalty: Callable[[Critic, Tensor, Tensor, Tensor, Tensor], Tensor]  # critic, real, fake, label_B, mix_B
    penalty_every: int = 1  # lazily, and then so many times as strong (Karras 2020); 0: never


def build(networks: Networks, shape: Shape, *, private: bool = False) -> nn.ModuleDict:
    """`painter` and `critic` for pictures of this shape; UserError where the sides do not fit.

    Of a private critic no part sees more than one image.
    """
    try:
        painter = Painter(
            channels=shape.channels,
            height=shape.height,
            width=shape.width,
            classes=shape.classes,
            kind=networks.generator,
            latent=networks.latent,
            features=networks.generator_features,
            label=networks.generator_label,
            last=networks.last,
        )
    except ValueError as error:
        raise UserError(f"{error}; prepare the images at such a size") from error
    critic = Critic(
        channels=shape.channels,
        height=shape.height,
        width=shape.width,
        classes=shape.classes,
        kind=networks.critic,
        features=networks.critic_features,
        dropout=networks.dropout,
        label=networks.critic_label,
        spectral=networks.spectral,
    )
    if private:
        without_batch_statistics(critic)
    # Channels last in memory: a third faster on a CPU, the same numbers.
    nets = nn.ModuleDict({"painter": painter, "critic": critic}).to(memory_format=torch.channels_last)
    nets["prior"] = LatentPrior(classes=shape.classes, components=networks.components, latent=networks.latent)
    return nets


def play(networks: Networks, game: Game, rules: Rules, *, train: Pairs, shape: Shape, run: Run) -> nn.ModuleDict:
    """Train a painter against a critic in the steps of `run`; the averaged painter and the critic."""
    expect_pairs(train, shape)
    with run.seeded("networks"):
        nets = build(networks, shape).to(run.device)
    duel = Duel(game, rules, nets=nets, classes=shape.classes)
    if game.anchor:
        duel.tie(train, latent=networks.latent, run=run)
    ema = Ema(duel.painter, half_life=max(1.0, game.half_life * run.steps))
    run.offer(
        lambda condition, seed: paint(_settled(ema, duel, train, run), condition, classes=shape.classes, seed=seed)
    )
    parts: dict[str, Stateful] = {"painter": duel.painter, "critic": duel.critic, "ema": ema}
    for _ in run.loop(**parts, first=duel.first, second=duel.second):
        duel.step(train, run)
        ema.update(duel.painter)
    settle(ema.module, duel.prior, label_N=train.label_N, run=run)
    return nn.ModuleDict({"painter": ema.module, "critic": duel.critic, "prior": duel.prior}).eval()


class Duel:
    """One step of the game: the critic's updates, the painter's, and a line in the log."""

    def __init__(self, game: Game, rules: Rules, *, nets: nn.ModuleDict, classes: int) -> None:
        self.game, self.rules, self.classes = game, rules, classes
        self.painter: Painter = nets["painter"].train()  # type: ignore[assignment]
        self.critic: Critic = nets["critic"].train()  # type: ignore[assignment]
        self.prior: LatentPrior = nets["prior"]  # type: ignore[assignment]
        self.jitter = Jitter(strength=game.jitter, mirror=game.mirror)
        self.first = torch.optim.Adam(self.critic.parameters(), game.critic_rate, betas=game.betas)
        self.second = torch.optim.Adam(self.painter.parameters(), game.generator_rate, betas=game.betas)
        self.code_NZ: Tensor | None = None  # of the training images; None: they have none
        self.lazily = 0.0  # the penalty's factor in this step

    def tie(self, train: Pairs, *, latent: int, run: Run) -> None:
        """Give every training image a code, and the prior the codes' distribution."""
        self.code_NZ = principal(train, latent=latent, run=run).codes(train)
        self.prior.fit(self.code_NZ, train.label_N, floor=FLOOR, seed=run.seed % 2**32)

    def step(self, train: Pairs, run: Run) -> None:
        """Advance both networks by one step of `run`."""
        every = self.rules.penalty_every
        self.lazily = float(every) if every and run.step % every == 0 else 0.0
        for draw in range(self.game.critic_steps):
            critic = run.update(
                self.critic, self.first, self._critic_loss, *self._deal(train, run, draw=draw, chances=2 * DRAWS + 2)
            )
        painter = run.update(
            self.painter,
            self.second,
            self._painter_loss,
            *self._deal(train, run, draw=self.game.critic_steps, chances=DRAWS),
        )
        slopes = {"critic_gradient": slope(self.critic), "painter_gradient": slope(self.painter)}
        run.log(critic=critic, painter=painter, **slopes)

    def _deal(self, train: Pairs, run: Run, *, draw: int, chances: int) -> tuple[Tensor, ...]:
        """image_BCHW, label_B, latent_BZ, known_B, chance_BD; every second latent is the image's code, if any."""
        index_B = run.indices(len(train), draw=draw)
        image_BCHW, condition = train[index_B]
        label_B = condition.labels()
        latent_BZ = self.prior.draw(label_B, seed=run.random("latent", draw).initial_seed())
        known_B = torch.arange(len(index_B)) % 2 == 1
        if self.code_NZ is None:
            known_B = torch.zeros_like(known_B)
        else:
            latent_BZ = torch.where(known_B[:, None], self.code_NZ[index_B], latent_BZ)
        chance_BD = torch.rand(len(index_B), chances, generator=run.random("chance", draw))
        return image_BCHW, label_B, latent_BZ, known_B, chance_BD

    def _critic_loss(
        self, image_BCHW: Tensor, label_B: Tensor, latent_BZ: Tensor, _known_B: Tensor, chance_BD: Tensor
    ) -> Tensor:
        with torch.no_grad():
            fake_BCHW = self.jitter(self.painter(latent_BZ, label_B), chance_BD[:, :DRAWS])
        real_BCHW = self.jitter(image_BCHW, chance_BD[:, DRAWS : 2 * DRAWS])
        real_B, fake_B = self.critic(real_BCHW, label_B), self.critic(fake_BCHW, label_B)
        loss = self.rules.critic(real_B, fake_B)
        if self.game.mismatch and self.classes > 1:
            wrong_B = wrong_labels(label_B, chance_BD[:, -2], self.classes)
            loss = loss + self.game.mismatch * self.rules.critic(real_B, self.critic(real_BCHW, wrong_B))
        if self.lazily:
            # The penalty is in fp32 whatever the precision: a second derivative in bf16 is noise.
            with torch.autocast(image_BCHW.device.type, enabled=False):
                penalty = self.rules.penalty(
                    self.critic, real_BCHW.float(), fake_BCHW.float(), label_B, chance_BD[:, -1]
                )
            loss = loss + self.lazily * penalty
        return loss

    def _painter_loss(
        self, image_BCHW: Tensor, label_B: Tensor, latent_BZ: Tensor, known_B: Tensor, chance_BD: Tensor
    ) -> Tensor:
        fake_BCHW = self.painter(latent_BZ, label_B)
        loss = self.rules.painter(self.critic(self.jitter(fake_BCHW, chance_BD), label_B))
        if self.code_NZ is not None:
            error_B = reconstruction_error(image_BCHW, fake_BCHW) + EDGE * edge_error(image_BCHW, fake_BCHW)
            loss = loss + self.game.anchor * (known_B * error_B).mean() / image_BCHW[0].numel()
        return loss


def _settled(ema: Ema, duel: Duel, train: Pairs, run: Run) -> nn.ModuleDict:
    """The averaged painter as it stands, a copy, so that the training does not notice."""
    painter = copy.deepcopy(ema.module)
    settle(painter, duel.prior, label_N=train.label_N, run=run, count=SETTLING // 4)
    return nn.ModuleDict({"painter": painter, "prior": duel.prior})


def slope(module: nn.Module) -> Tensor:
    """Norm of the module's present gradient."""
    gradients = [w.grad for w in module.parameters() if w.grad is not None]
    return nn.utils.get_total_norm(gradients)


@torch.no_grad()
def settle(painter: nn.Module, prior: LatentPrior, *, label_N: Tensor, run: Run, count: int = SETTLING) -> None:
    """Give the averaged painter batch statistics of its own: those it has are of the moving weights."""
    norms = [module for module in painter.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the chunks
        norm.train()
    for chunk in range(count):
        random = run.random("settle", chunk)
        label_B = label_N[torch.randint(len(label_N), (CHUNK,), generator=random)]
        latent_BZ = prior.draw(label_B, seed=random.initial_seed())
        painter(latent_BZ.to(run.device), label_B.to(run.device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    painter.eval()


@torch.no_grad()
def paint(nets: nn.ModuleDict, condition: Condition, *, classes: int, seed: int) -> Tensor:
    """image_NCHW in [-1, 1] on the CPU, one for each label."""
    painter, prior = nets["painter"].eval(), nets["prior"]
    device = next(painter.parameters()).device
    label_N = class_labels(condition, classes).cpu()
    latent_NZ = prior.draw(label_N, seed=seed)  # type: ignore[operator]
    drawn = [
        painter(latent_NZ[part].to(device), label_N[part].to(device)).float().cpu() for part in chunks(len(label_N))
    ]
    return torch.cat(drawn)


@torch.no_grad()
def score(critic: nn.Module, image_NCHW: Tensor, condition: Condition, *, classes: int) -> Tensor:
    """score_N of the critic on the CPU: higher for images that look like its training images."""
    device = next(critic.parameters()).device
    label_N = class_labels(condition, classes).cpu()
    critic.eval()
    scored = [
        critic(image_NCHW[part].to(device), label_N[part].to(device)).float().cpu() for part in chunks(len(label_N))
    ]
    return torch.cat(scored)


def softplus_critic(real_B: Tensor, fake_B: Tensor) -> Tensor:
    """-log D(real) - log(1 - D(fake)), Goodfellow 2014, equation 1, with D = sigmoid(score)."""
    return F.softplus(-real_B).mean() + F.softplus(fake_B).mean()

"""wgan_gp: a conditional Wasserstein generator with gradient penalty (Gulrajani 2017).

The document's best pair of networks is `generator=1, critic=1`; its diverging one, `generator=2, critic=2`, puts batch
norm into the critic, where the per-image penalty no longer holds. B batch, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import Tensor

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.errors import Refused, UserError
from augury.generators.adversarial import Game, Networks, Rules, build, paint, play, score
from augury.generators.generator import Generator, Shape
from augury.generators.private import DP
from augury.nets.gan import Critic
from augury.training import Run


@dataclass(frozen=True, kw_only=True)
class WGANGPConfig:
    """What the networks are, how they play, and how steep the critic may be."""

    networks: Networks = field(default_factory=Networks)
    game: Game = field(default_factory=lambda: Game(anchor=40.0))
    penalty: float = 10.0  # lambda
    penalty_share: float = 0.5  # of the images that the penalty is taken at: its second derivative is half of the cost
    drift: float = 1e-3  # weight of the squared real score: the critic is defined up to a constant (Karras 2018)
    dp: DP | None = None  # differential privacy, which this method cannot have: always None

    def __post_init__(self) -> None:
        if self.dp is not None:
            raise Refused(
                "wgan_gp got dp.epsilon; expected a method that can be private: its gradient penalty ties real images "
                "together and cannot be made private image by image; fit cgan or cvae"
            )
        if not 0 < self.penalty_share <= 1:
            raise UserError(f"penalty_share={self.penalty_share}: expected more than 0 and at most 1; try 0.5")
        if self.penalty < 0 or self.drift < 0:
            raise UserError(f"penalty={self.penalty}, drift={self.drift}: expected 0 (off) or more; try 10 and 0.001")


class WGANGP(Generator):
    """Conditional WGAN-GP over class labels."""

    method: ClassVar[str] = "wgan_gp"
    revision: ClassVar[int] = 3

    def __init__(self, config: WGANGPConfig, shape: Shape) -> None:
        self.config, self.shape = config, shape
        self.nets = build(config.networks, shape).eval()

    def fit(self, train: Pairs, run: Run) -> Self:
        """Fit to the pairs in the steps of `run`; a finished run returns its result at once."""
        config = self.config
        every = round(1 / config.penalty_share)
        rules = Rules(
            critic=lambda real_B, fake_B: wasserstein(real_B, fake_B) + config.drift * real_B.square().mean(),
            painter=lambda fake_B: -fake_B.mean(),
            penalty=lambda critic, real_BCHW, fake_BCHW, label_B, mix_B: (
                config.penalty
                * gradient_penalty(
                    critic,
                    real_BCHW[::every],
                    fake_BCHW[::every],
                    label_B=label_B[::every],
                    mix_B=mix_B[::every],
                )
            ),
            penalty_every=1 if config.penalty else 0,
        )
        self.nets = play(config.networks, config.game, rules, train=train, shape=self.shape, run=run)
        return self

    def sample(self, condition: Condition, *, seed: int) -> Tensor:
        """One image_CHW in [-1, 1] per label."""
        return paint(self.nets, condition, classes=self.shape.classes, seed=seed)

    def membership(self, image_BCHW: Tensor, condition: Condition, *, seed: int) -> Tensor:  # noqa: ARG002
        """The critic's score; nothing in it is random."""
        return score(self.nets["critic"], image_BCHW, condition, classes=self.shape.classes)


def wasserstein(real_B: Tensor, fake_B: Tensor) -> Tensor:
    """E[D(fake)] - E[D(real)], which the critic minimises (Gulrajani 2017, equation 3)."""
    return fake_B.mean() - real_B.mean()


def gradient_penalty(critic: Critic, real_BCHW: Tensor, fake_BCHW: Tensor, *, label_B: Tensor, mix_B: Tensor) -> Tensor:
    """E[(|slope at mix * real + (1 - mix) * fake| - 1)^2], a mix of its own for every image (the same equation)."""
    mix_B111 = mix_B.view(-1, 1, 1, 1)
    between_BCHW = (mix_B111 * real_BCHW + (1 - mix_B111) * fake_BCHW).detach().requires_grad_(True)
    (slope_BCHW,) = torch.autograd.grad(critic(between_BCHW, label_B).sum(), between_BCHW, create_graph=True)
    penalty: Tensor = (slope_BCHW.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty

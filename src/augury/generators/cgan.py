"""cgan: a conditional adversarial generator (Mirza and Osindero 2014), repaired.

The document's cGAN was unstable by its authors' account. The defaults here are a non-saturating loss, a projection
critic without batch norm, a gradient penalty on real images, and a moving average for sampling; the document's own
choices are `loss="bce"`, `networks.critic=2`, `networks.critic_label="map"`, `r1=0`.

B batch, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.errors import Refused, UserError
from augury.generators.adversarial import Game, Networks, Rules, build, paint, play, score, softplus_critic
from augury.generators.generator import Generator, Shape
from augury.generators.private import DP
from augury.generators.private_game import play_privately, without_looking
from augury.nets.gan import Critic
from augury.training import Run

DEFAULT_R1 = 0.005


@dataclass(frozen=True, kw_only=True)
class CGANConfig:
    """What the networks are, how they play, and by which loss."""

    networks: Networks = field(default_factory=Networks)
    game: Game = field(default_factory=Game)
    loss: Literal["nonsaturating", "hinge", "bce"] = "nonsaturating"
    r1: float = DEFAULT_R1  # weight of the squared slope at real images; 0 turns it off
    r1_every: int = 8  # steps between two penalties
    dp: DP | None = None  # differential privacy; None: none. It turns r1 and the anchor off

    def __post_init__(self) -> None:
        if self.r1 < 0 or self.r1_every < 1:
            raise UserError(
                f"r1={self.r1}, r1_every={self.r1_every}: expected at least 0 and at least 1; try 0.005 and 8"
            )
        if self.dp is not None:
            if self.r1 not in (0.0, DEFAULT_R1):
                raise Refused(
                    f"r1={self.r1:g} got with dp.epsilon; expected 0: a penalty on slopes at real images cannot be "
                    "made private image by image; leave it out"
                )
            object.__setattr__(self, "r1", 0.0)
            object.__setattr__(self, "game", without_looking(self.networks, self.game))

    @property
    def noisy_gradients(self) -> int:
        """How many a step takes of real images under `dp`."""
        return self.game.critic_steps


class CGAN(Generator):
    """Conditional GAN over class labels."""

    method: ClassVar[str] = "cgan"
    revision: ClassVar[int] = 3

    def __init__(self, config: CGANConfig, shape: Shape) -> None:
        self.config, self.shape = config, shape
        self.nets = build(config.networks, shape, private=config.dp is not None).eval()

    def fit(self, train: Pairs, run: Run) -> Self:
        """Fit to the pairs in the steps of `run`; a finished run returns its result at once."""
        config = self.config
        rules = Rules(
            critic=_CRITIC[config.loss],
            painter=_PAINTER[config.loss],
            penalty=lambda critic, real_BCHW, _fake, label_B, _mix: (
                config.r1 * squared_slope(critic, real_BCHW, label_B)
            ),
            penalty_every=config.r1_every if config.r1 else 0,
        )
        if config.dp is None:
            self.nets = play(config.networks, config.game, rules, train=train, shape=self.shape, run=run)
        else:
            self.nets = play_privately(
                config.networks, config.game, rules, dp=config.dp, train=train, shape=self.shape, run=run
            )
        return self

    def sample(self, condition: Condition, *, seed: int) -> Tensor:
        """One image_CHW in [-1, 1] per label."""
        return paint(self.nets, condition, classes=self.shape.classes, seed=seed)

    def membership(self, image_BCHW: Tensor, condition: Condition, *, seed: int) -> Tensor:  # noqa: ARG002
        """The critic's score; nothing in it is random."""
        return score(self.nets["critic"], image_BCHW, condition, classes=self.shape.classes)


def squared_slope(critic: Critic, real_BCHW: Tensor, label_B: Tensor) -> Tensor:
    """Half the mean squared norm of the critic's slope at real images: R1 (Mescheder 2018, equation 9)."""
    at_BCHW = real_BCHW.detach().requires_grad_(True)
    (slope_BCHW,) = torch.autograd.grad(critic(at_BCHW, label_B).sum(), at_BCHW, create_graph=True)
    return 0.5 * slope_BCHW.square().flatten(1).sum(1).mean()


def hinge_critic(real_B: Tensor, fake_B: Tensor) -> Tensor:
    """max(0, 1 - real) + max(0, 1 + fake) (Miyato and Koyama 2018, equation 5)."""
    return F.relu(1 - real_B).mean() + F.relu(1 + fake_B).mean()


def nonsaturating_painter(fake_B: Tensor) -> Tensor:
    """-log D(fake): its gradient stays where the critic is sure (Goodfellow 2014, section 3)."""
    return F.softplus(-fake_B).mean()


def minimax_painter(fake_B: Tensor) -> Tensor:
    """log(1 - D(fake)), the painter's side of Goodfellow 2014, equation 1: vanishes where the critic is sure."""
    return -F.softplus(fake_B).mean()


def hinge_painter(fake_B: Tensor) -> Tensor:
    """-fake (Miyato and Koyama 2018, equation 6)."""
    return -fake_B.mean()


_CRITIC = {"nonsaturating": softplus_critic, "hinge": hinge_critic, "bce": softplus_critic}
_PAINTER = {"nonsaturating": nonsaturating_painter, "hinge": hinge_painter, "bce": minimax_painter}

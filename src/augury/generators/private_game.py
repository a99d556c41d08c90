"""The adversarial game under differential privacy: real images meet the critic alone, through clipped, noisy gradients.

The painter learns from the critic, and what is computed from a private critic is private; so are the drawn images that
the critic rejects: their gradient needs neither clipping nor noise. What else of the game looks at real images is off:
codes from principal components, the mixture fitted to them, penalties at real images. How many images a class has is
taken to be public.

B batch, Z latent, D uniform draws, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from augury.conditions.pairs import Pairs
from augury.errors import Refused
from augury.generators.adversarial import Duel, Game, Networks, Rules, build, settle, slope
from augury.generators.generator import Shape
from augury.generators.labels import expect_pairs
from augury.generators.private import DP, Private
from augury.nets.differentiable import DRAWS
from augury.training import Ema, Run


def without_looking(networks: Networks, game: Game) -> Game:
    """The game with its default anchor off; Refused for what was set and looks at real images past the noise."""
    if networks.spectral:
        raise Refused("networks.spectral got true with dp.epsilon; expected false: it changes the critic outside the "
                      "noisy gradients; leave it out")  # fmt: skip
    if game.mismatch:
        raise Refused(f"game.mismatch={game.mismatch:g} got with dp.epsilon; expected 0: it shows an image twice; "
                      "leave it out")  # fmt: skip
    if game.anchor not in (0.0, Game().anchor):
        raise Refused(f"game.anchor={game.anchor:g} got with dp.epsilon; expected 0: the codes of training images are "
                      "not private; leave it out")  # fmt: skip
    return replace(game, anchor=0.0)


def play_privately(
    networks: Networks, game: Game, rules: Rules, *, dp: DP, train: Pairs, shape: Shape, run: Run
) -> nn.ModuleDict:
    """As `adversarial.play`, with noisy gradients of the critic; the averaged painter and the critic."""
    expect_pairs(train, shape)
    with run.seeded("networks"):
        nets = build(networks, shape, private=True).to(run.device)
    duel = Duel(game, rules, nets=nets, classes=shape.classes)
    private = Private(train, dp, run, releases=run.steps * game.critic_steps)
    ema = Ema(duel.painter, half_life=max(1.0, game.half_life * run.steps))
    for _ in run.loop(painter=duel.painter, critic=duel.critic, ema=ema, first=duel.first, second=duel.second):
        for draw in range(game.critic_steps):
            _teach_critic(duel, private, draw=draw)
        _teach_painter(duel, train, run, draw=game.critic_steps)
        ema.update(duel.painter)
    settle(ema.module, duel.prior, label_N=train.label_N, run=run)
    return nn.ModuleDict({"painter": ema.module, "critic": duel.critic, "prior": duel.prior}).eval()


def _teach_critic(duel: Duel, private: Private, *, draw: int) -> None:
    """Noisy gradient on real images, plain gradient on drawn ones."""
    train, run = private.train, private.run
    index_B = private.draw(draw=draw)
    image_BCHW, condition = train[index_B]
    chance_BD = torch.rand(len(index_B), DRAWS, generator=run.random("chance", draw))
    real_BCHW = duel.jitter(image_BCHW, chance_BD)

    def on_real(image_BCHW: Tensor, label_B: Tensor) -> Tensor:
        score_B = duel.critic(image_BCHW, label_B)
        return duel.rules.critic(score_B, torch.zeros_like(score_B))

    noisy = private.gradients(duel.critic, on_real, index_B, real_BCHW, condition.labels(), draw=draw)
    duel.first.zero_grad(set_to_none=True)
    label_B, latent_BZ, chance_BD = _deal(duel, train, run, draw=draw)
    with torch.no_grad():
        fake_BCHW = duel.jitter(duel.painter(latent_BZ, label_B), chance_BD)
    score_B = duel.critic(fake_BCHW, label_B)
    duel.rules.critic(torch.zeros_like(score_B), score_B).backward()
    for weight, gradient in zip(duel.critic.parameters(), noisy, strict=True):
        weight.grad = gradient if weight.grad is None else weight.grad + gradient
    duel.first.step()


def _teach_painter(duel: Duel, train: Pairs, run: Run, *, draw: int) -> None:
    label_B, latent_BZ, chance_BD = _deal(duel, train, run, draw=draw)

    def loss(label_B: Tensor, latent_BZ: Tensor, chance_BD: Tensor) -> Tensor:
        fake_BCHW = duel.jitter(duel.painter(latent_BZ, label_B), chance_BD)
        return duel.rules.painter(duel.critic(fake_BCHW, label_B))

    painter = run.update(duel.painter, duel.second, loss, label_B, latent_BZ, chance_BD)
    # Nothing here saw an image but through the private critic.
    run.log(painter=painter, critic_gradient=slope(duel.critic), painter_gradient=slope(duel.painter))


def _deal(duel: Duel, train: Pairs, run: Run, *, draw: int) -> tuple[Tensor, Tensor, Tensor]:
    """label_B, drawn as often as each class has images, latent_BZ and chance_BD, on the run's device."""
    random = run.random("deal", draw)
    label_B = train.label_N[torch.randint(len(train), (run.batch,), generator=random)]
    latent_BZ = duel.prior.draw(label_B, seed=random.initial_seed())
    chance_BD = torch.rand(run.batch, DRAWS, generator=random)
    return label_B.to(run.device), latent_BZ.to(run.device), chance_BD.to(run.device)

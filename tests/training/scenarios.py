"""Small trainings whose final weights the laws compare: run as a program, one process per rank, or imported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional

from augury.conditions.condition import Condition
from augury.training import Ema, Run

ITEMS = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(40) % 2


def penalty(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Gulrajani 2017, equation 3, in fp32."""
    with torch.autocast("cpu", enabled=False):
        between = (mix * real + (1 - mix) * fake).requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        return (slope.norm(dim=1) - 1).square().mean()


def adversarial(
    run: Run, *, stop_at: int | None = None, normalised: bool = False, dropout: float = 0.0, lr: float = 0.02
) -> Tensor:
    """Two optimisers, a gradient penalty, dropout, a schedule and an average."""
    with run.seeded("nets"):
        inner = nn.BatchNorm1d(16) if normalised else nn.Identity()
        critic = nn.Sequential(nn.Linear(3, 16), inner, nn.Softplus(), nn.Linear(16, 1))
        generator = nn.Sequential(nn.Linear(2, 16), nn.Softplus(), nn.Dropout(dropout), nn.Linear(16, 3))
    opt_c = torch.optim.Adam(critic.parameters(), lr / 20, betas=(0.0, 0.9), eps=1e-3)
    opt_g = torch.optim.SGD(generator.parameters(), lr, momentum=0.5)
    schedule = torch.optim.lr_scheduler.ExponentialLR(opt_g, 0.95)
    ema = Ema(generator, half_life=5)

    def critic_loss(real: Tensor, noise: Tensor, mix: Tensor) -> Tensor:
        fake = generator(noise).detach()
        return (critic(fake) - critic(real)).mean() + 10 * penalty(critic, real, fake.float(), mix)

    def generator_loss(noise: Tensor) -> Tensor:
        loss: Tensor = -critic(generator(noise)).mean()
        return loss

    parts = {"critic": critic, "generator": generator, "opt_c": opt_c, "opt_g": opt_g, "s": schedule, "ema": ema}
    for step in run.loop(**parts):  # type: ignore[arg-type]
        if step == stop_at:
            break
        for draw in range(2):
            real = ITEMS[run.indices(len(ITEMS), draw=draw)]
            mix = torch.rand(len(real), 1, generator=run.random("mix", draw))
            gap = run.update(critic, opt_c, critic_loss, real, run.normal(len(real), 2, draw=draw), mix)
        gain = run.update(generator, opt_g, generator_loss, run.normal(run.batch, 2, draw=9))
        schedule.step()
        ema.update(generator)
        run.log(gap=gap, gain=gain)
    return flat(critic, generator, ema.module)


def classifier(run: Run, *, normalised: bool = True, lr: float = 0.02) -> Tensor:
    """Convolutions with batch statistics, a Condition in the batch."""
    with run.seeded("nets"):
        norm = nn.BatchNorm2d(6) if normalised else nn.GroupNorm(2, 6)
        net = nn.Sequential(nn.Conv2d(3, 6, 2), norm, nn.Softplus(), nn.Flatten(), nn.Linear(54, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr, momentum=0.9)
    image_NCHW = ITEMS.view(-1, 3, 1, 1) * torch.linspace(-1, 1, 16).view(1, 1, 4, 4)
    condition = Condition(label_B=LABELS)

    def loss(image_BCHW: Tensor, condition: Condition, scale: float) -> Tensor:
        return scale * functional.cross_entropy(net(image_BCHW), condition.labels())

    for _ in run.loop(net=net, optimizer=optimizer):
        index_B = run.indices(len(ITEMS))
        run.update(net, optimizer, loss, image_NCHW[index_B], condition[index_B], 1.0)
    return flat(net)


def flat(*modules: nn.Module) -> Tensor:
    """All weights and buffers in one vector."""
    return torch.cat([value.double().flatten() for module in modules for value in module.state_dict().values()])


# bf16 rounds the gradient of each piece (relative 2^-9), so its steps are small; a wrong mean would differ by 1e-3.
SPLITTABLE: dict[str, Callable[[int], Tensor]] = {
    "plain": lambda m: classifier(_run(m), normalised=False),
    "clipped, uneven": lambda m: classifier(_run(m, batch=7, clip=0.1), normalised=False),
    "gradient penalty": lambda m: adversarial(_run(m)),
    "gradient penalty, bf16": lambda m: adversarial(_run(m, precision="bf16", steps=3), lr=1e-3),
}
RANKS_ONLY: dict[str, Callable[[int], Tensor]] = {
    "batch norm, uneven": lambda m: classifier(_run(m, batch=9)),
    "batch norm, bf16": lambda m: classifier(_run(m, precision="bf16", steps=3), lr=1e-3),
    "batch norm under a penalty": lambda m: adversarial(_run(m), normalised=True, lr=1e-3),
}


def _run(
    micro_batches: int,
    *,
    batch: int = 8,
    steps: int = 12,
    clip: float | None = None,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> Run:
    return Run(seed=2, steps=steps, batch=batch, clip=clip, precision=precision, micro_batches=micro_batches)


def main(rank: str, ranks: str, meeting: str, out: str) -> None:
    """Run every scenario as one rank and keep the weights."""
    torch.set_num_threads(1)
    if int(ranks) > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=int(rank), world_size=int(ranks))
    torch.save({name: scenario(1) for name, scenario in {**SPLITTABLE, **RANKS_ONLY}.items()}, Path(out))
    if int(ranks) > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])

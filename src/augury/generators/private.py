"""Training with differential privacy: clipped gradients, noise, random batches and what they cost (Abadi 2016).

The gradient of each unit, a patient or an image, is cut to a length, the units of a step are drawn by chance (each with
the same probability, so that batches vary in size), and Gaussian noise is added to their sum. What an accountant then
proves holds against whoever knows everything but one unit, and but the noise and the draws: these come from a key that
is not the run's seed and that goes with the run's folder.

torch.func takes the gradient of one image's loss as a function of the weights, exactly, for any network in which no
image meets another. Opacus' own hooks want each layer to be used once and the loss to be one module's output, which
neither an encoder with a decoder nor a critic of two batches is; of Opacus we use the accountant.

B batch of images, U units of the set, u those of a part, N images.
"""

from __future__ import annotations

import functools
import secrets
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from augury.conditions.pairs import Pairs
from augury.data.cache import write_atomically
from augury.errors import Refused, UserError
from augury.training import Run

TOGETHER = 16  # images whose gradients are held at once
KEY = "noise.key"
# Whole ones are quick. Those between matter only where epsilon is large and few.
ORDERS = [1.25, 1.5, 1.75, 2.25, 2.5, 2.75, 3.5, *range(2, 64), 80, 96, 128, 192, 256, 512, 1024]

Loss = Callable[..., Tensor]  # of a batch of one image


@dataclass(frozen=True, kw_only=True)
class DP:
    """How much any unit may change what is learnt: (epsilon, delta)."""

    epsilon: float
    delta: float = 1e-5
    clip: float = 1.0  # length of a unit's gradient
    unit: Literal["patient", "image"] = "patient"  # a patient with all images and their near duplicates

    def __post_init__(self) -> None:
        if not (self.epsilon > 0 and 0 < self.delta < 1 and self.clip > 0):
            raise UserError(
                f"dp.epsilon={self.epsilon}, dp.delta={self.delta}, dp.clip={self.clip}: expected numbers above 0 and "
                "delta below 1; try 8, 1e-5 and 1"
            )


@dataclass(frozen=True, kw_only=True)
class Mechanism:
    """The subsampled Gaussian mechanism of a whole training, and its price."""

    noise: float  # standard deviation of the noise, in clips
    rate: float  # a unit's chance to be in a batch
    clip: float
    releases: int  # noisy gradients in all
    units: int
    epsilon: float  # what they cost together, at the delta asked for; at most the epsilon asked for


def unit_codes(train: Pairs, dp: DP) -> Tensor:
    """unit_N: which unit each image belongs to, 0 .. U - 1."""
    if dp.unit == "image":
        return torch.arange(len(train))
    if train.group_N is None:
        raise UserError("dp.unit=patient got images without patients; expected their groups; set dp.unit=image")
    unit_N: Tensor = torch.unique(train.group_N, return_inverse=True)[1]
    return unit_N


@functools.lru_cache(maxsize=64)
def mechanism(dp: DP, *, units: int, images: int, batch: int, releases: int) -> Mechanism:
    """The least noise at which `releases` batches of about `batch` images cost no more than was asked for.

    By Renyi differential privacy (Mironov 2019), an upper bound.

    Raises:
        UserError: Opacus is not installed; delta is not small beside one unit of the set.
        Refused: no noise within reason keeps to this epsilon.
    """
    try:
        from opacus.accountants import RDPAccountant
        from opacus.accountants.utils import get_noise_multiplier
    except ModuleNotFoundError as error:
        raise UserError(
            "dp.epsilon needs Opacus, which is not installed; install it: pip install 'augury[dp]'"
        ) from error
    if dp.delta * units >= 1:
        raise UserError(
            f"dp.delta={dp.delta:g} with {units} units: expected less than {1 / units:.1g}, since publishing one unit "
            f"as it is would satisfy it; try {0.1 / units:.0e}"
        )
    rate = min(1.0, batch / images)
    accountant = RDPAccountant()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that other orders might give a lower bound
        try:
            noise = get_noise_multiplier(
                target_epsilon=dp.epsilon, target_delta=dp.delta, sample_rate=rate, steps=releases,
                accountant="rdp", alphas=ORDERS,
            )  # fmt: skip
        except ValueError as error:
            raise Refused(
                f"dp.epsilon={dp.epsilon:g} cannot be kept in {releases} steps; ask for more or for fewer steps"
            ) from error
        accountant.history = [(noise, rate, releases)]
        spent = accountant.get_epsilon(delta=dp.delta, alphas=ORDERS)
    return Mechanism(noise=noise, rate=rate, clip=dp.clip, releases=releases, units=units, epsilon=spent)


class Private:
    """A run's private gradients: draws units, clips, adds noise."""

    def __init__(self, train: Pairs, dp: DP, run: Run, *, releases: int) -> None:
        if run.ranks > 1:
            raise UserError(f"dp.epsilon got {run.ranks} ranks; expected one: batches are drawn as one; start it alone")
        self.train, self.run, self.unit_N = train, run, unit_codes(train, dp)
        units = int(self.unit_N.max()) + 1
        self.how = mechanism(dp, units=units, images=len(train), batch=run.batch, releases=releases)
        self.size_U = torch.bincount(self.unit_N)
        self.key = _key(run)

    def draw(self, *, draw: int = 0) -> Tensor:
        """index_B of all images of the units of this step's batch; it may be empty."""
        chance_U = torch.rand(self.how.units, generator=self._random("units", draw))
        return torch.nonzero((chance_U < self.how.rate)[self.unit_N])[:, 0]

    def gradients(self, module: nn.Module, loss: Loss, index_B: Tensor, *batch: Tensor, draw: int = 0) -> list[Tensor]:
        """One gradient a parameter: (sum of clipped ones + noise) / expected number of units.

        `loss` is a mean over the batch; `batch` are tensors of the images `index_B`.
        """
        total = clipped_sum(
            module, loss, batch, unit_B=self.unit_N[index_B], clip=self.how.clip, device=self.run.device
        )
        random, expected = self._random("noise", draw), self.how.rate * self.how.units
        return [
            (value + self.how.noise * self.how.clip * _normal(value, random)) / expected for value in total.values()
        ]

    def update(
        self, module: nn.Module, optimizer: torch.optim.Optimizer, loss: Loss, index_B: Tensor, *batch: Tensor
    ) -> None:
        """One optimiser step on the noisy gradients."""
        noisy = self.gradients(module, loss, index_B, *batch)
        for weight, gradient in zip(module.parameters(), noisy, strict=True):
            weight.grad = gradient
        optimizer.step()

    def _random(self, *purpose: int | str) -> torch.Generator:
        return self.run.random(*purpose, self.key)


def clipped_sum(
    module: nn.Module, loss: Loss, batch: tuple[Tensor, ...], *, unit_B: Tensor, clip: float, device: torch.device
) -> dict[str, Tensor]:
    """Per parameter the sum over units of their gradient, a mean over the unit's images, cut to length `clip`."""
    weights = {f"module.{name}": weight.detach() for name, weight in module.named_parameters()}
    whole = _WithLoss(module, loss)

    def of_one(weights: dict[str, Tensor], *example: Tensor) -> Tensor:
        return torch.as_tensor(functional_call(whole, weights, tuple(part[None] for part in example)))

    each = vmap(grad(of_one), in_dims=(None, *(0 for _ in batch)), randomness="different")
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for index_b, unit_b, count in _parts(unit_B):
        gradient_b = each(weights, *(part[index_b].to(device) for part in batch))
        _add_clipped(total, gradient_b, unit_b.to(device), count=count, clip=clip)
    return total


def _add_clipped(
    total: dict[str, Tensor], gradient_b: dict[str, Tensor], unit_b: Tensor, *, count: int, clip: float
) -> None:
    size_u = torch.bincount(unit_b, minlength=count).float()
    mean_u = {
        name: value.new_zeros(count, *value.shape[1:]).index_add_(0, unit_b, value).flatten(1) / size_u[:, None]
        for name, value in gradient_b.items()
    }
    length_u = torch.stack([value.square().sum(1) for value in mean_u.values()]).sum(0).sqrt()
    factor_u = clip / length_u.clamp(min=clip)
    for name, value in mean_u.items():
        total[name] += (factor_u @ value).view_as(total[name])


def _parts(unit_B: Tensor) -> Iterator[tuple[Tensor, Tensor, int]]:
    """(positions, unit codes from 0, number of units) of some images at a time, units whole."""
    order_B = torch.argsort(unit_B, stable=True)
    _, size_u = torch.unique_consecutive(unit_B[order_B], return_counts=True)
    first = 0
    gathered: list[int] = []
    for size in [*size_u.tolist(), None]:
        if gathered and (size is None or sum(gathered) + size > TOGETHER):
            code_b = torch.repeat_interleave(torch.arange(len(gathered)), torch.tensor(gathered))
            yield order_B[first : first + len(code_b)], code_b, len(gathered)
            first, gathered = first + len(code_b), []
        if size is not None:
            gathered.append(size)


class _WithLoss(nn.Module):
    """A module whose forward is a loss that uses it, so that its weights can be replaced for one call."""

    def __init__(self, module: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.module = module
        self.loss = loss

    def forward(self, *batch: Any) -> Tensor:
        return torch.as_tensor(self.loss(*batch))


def _normal(like: Tensor, random: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=random).to(like)


def _key(run: Run) -> int:
    """A secret number. It lies beside the checkpoints, so that a resumed run adds the same noise; it goes with them."""
    if run.folder is None:
        return secrets.randbits(63)
    path = run.folder / KEY
    if not path.exists():
        run.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, str(secrets.randbits(63)))
        path.chmod(0o600)
    return int(path.read_text())


def without_batch_statistics(net: nn.Module, *, groups: int = 8) -> nn.Module:
    """The net with group norms (Wu and He 2018) in place of batch norms, in which images meet; in place."""
    for name, child in net.named_children():
        if isinstance(child, nn.BatchNorm2d):
            channels = child.num_features
            setattr(net, name, nn.GroupNorm(max(n for n in range(1, groups + 1) if channels % n == 0), channels))
        else:
            without_batch_statistics(child, groups=groups)
    return net

"""Averages of weights whose length can be chosen after the training (Karras 2024, section 3).

The profile of a power-function average after t updates is p(s) = (g + 1) s^g / t^(g+1) on [0, t]: its relative length
stays the same as training goes on. Two such averages are kept, copies of both are laid aside now and then, and any
other length is their least-squares combination. The weights of update k are taken to hold over (k - 1, k].

A averages, S snapshots, P parameters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]


def exponent(length: float) -> float:
    """g of the profile whose standard deviation is `length` times the time (Karras 2024, equation 6, solved for g).

    Raises ValueError for a length that no profile has.

    >>> round(exponent(0.05), 2), round(exponent(0.1), 2)
    (16.97, 6.94)
    """
    if not 0 < length < math.sqrt(1 / 12):
        raise ValueError(f"got an average's length of {length}; expected more than 0 and less than 0.288")
    # length^2 = (g + 1) / ((g + 2)^2 (g + 3)); the only root above 0.
    square = length**-2
    roots = np.roots([1.0, 7.0, 16.0 - square, 12.0 - square])
    return float(np.real(roots[np.isreal(roots)]).max())


class PowerAverages:
    """Running averages of a module's weights, one for each length, and copies of them laid aside.

    `snapshots` copies of each, evenly over `updates`, in half precision.
    """

    def __init__(self, module: nn.Module, *, lengths: tuple[float, ...], snapshots: int, updates: int) -> None:
        weights = [weight.detach() for weight in module.parameters()]
        self.exponents = tuple(exponent(length) for length in lengths)
        self.running = [[weight.clone() for weight in weights] for _ in lengths]
        self.updates = 0
        self.due = sorted({max(1, round(updates * (n + 1) / snapshots)) for n in range(snapshots)})
        self.history = History(sum(weight.numel() for weight in weights), averages=len(lengths), snapshots=snapshots)

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take the module's present weights into the averages (Karras 2024, equation 2)."""
        self.updates += 1
        weights: list[Tensor] = list(module.parameters())
        for g, running in zip(self.exponents, self.running, strict=True):
            torch._foreach_lerp_(running, weights, 1.0 - (1.0 - 1.0 / self.updates) ** (g + 1))
        if self.updates in self.due:
            copies_AP = torch.stack([torch.cat([w.reshape(-1) for w in running]) for running in self.running])
            self.history.add(copies_AP, updates=self.updates, exponents=self.exponents)

    @torch.no_grad()
    def restart(self, module: nn.Module) -> None:
        """Forget what was: the module's present weights are taken to have held from the beginning."""
        for running in self.running:
            torch._foreach_copy_(running, list(module.parameters()))

    @torch.no_grad()
    def into(self, module: nn.Module, *, average: int = 0) -> None:
        """Write a running average into the module; before the first update, the weights that it began with."""
        for weight, value in zip(module.parameters(), self.running[average], strict=True):
            weight.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """The running averages, the copies and the number of updates."""
        return {"running": self.running, "history": self.history.state_dict(), "updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        self.running = state_dict["running"]
        self.history.load_state_dict(state_dict["history"])
        self.updates = state_dict["updates"]


class History(nn.Module):
    """Copies of averages with the time and the exponent of each, as buffers, so that they are saved with a model."""

    def __init__(self, parameters: int, *, averages: int, snapshots: int) -> None:
        super().__init__()
        self.register_buffer("copy_SAP", torch.zeros(snapshots, averages, parameters, dtype=torch.float16))
        self.register_buffer("updates_SA", torch.zeros(snapshots, averages, dtype=torch.int64))
        self.register_buffer("exponent_SA", torch.zeros(snapshots, averages, dtype=torch.float64))
        self.copy_SAP: Tensor
        self.updates_SA: Tensor
        self.exponent_SA: Tensor

    def __len__(self) -> int:
        """How many copies of each average have been laid aside."""
        return int((self.updates_SA > 0).all(1).sum())

    def add(self, copies_AP: Tensor, *, updates: int, exponents: tuple[float, ...]) -> None:
        """Lay copies aside; no more than there is room for."""
        place = len(self)
        self.copy_SAP[place] = copies_AP.to(self.copy_SAP)
        self.updates_SA[place] = updates
        self.exponent_SA[place] = torch.tensor(exponents, dtype=torch.float64)

    def at(self, length: float, *, updates: int | None = None) -> Tensor:
        """weight_P of the average of another length, at the last copy or after so many updates.

        Raises ValueError where nothing was laid aside, or for a length that no profile has.
        """
        if not len(self):
            raise ValueError("no average was laid aside; expected a training with snapshots; train it anew")
        kept = len(self)
        times = self.updates_SA[:kept].flatten().cpu().numpy().astype(np.float64)
        powers = self.exponent_SA[:kept].flatten().cpu().numpy()
        wanted = float(times.max()) if updates is None else float(updates)
        share_X = combination(times, powers, time=wanted, power=exponent(length))
        copy_XP = self.copy_SAP[:kept].flatten(0, 1)
        weight_P = torch.zeros(copy_XP.shape[1], device=copy_XP.device)
        for share, copy_P in zip(share_X.tolist(), copy_XP, strict=True):
            weight_P.add_(copy_P.float(), alpha=share)
        return weight_P


@torch.no_grad()
def pour(weight_P: Tensor, module: nn.Module) -> None:
    """Write all weights, in one row, into a module."""
    weights = list(module.parameters())
    for weight, value in zip(weights, weight_P.split([weight.numel() for weight in weights]), strict=True):
        weight.copy_(value.view(weight.shape))


def combination(time_X: Array, power_X: Array, *, time: float, power: float) -> Array:
    """share_X of each copy, so that their profiles come nearest to the one asked for (Karras 2024, algorithm 3)."""
    gram_XX = product(time_X[:, None], power_X[:, None], time_X[None], power_X[None])
    aim_X = product(time_X, power_X, np.full_like(time_X, time), np.full_like(power_X, power))
    return np.asarray(np.linalg.lstsq(gram_XX, aim_X, rcond=1e-12)[0], dtype=np.float64)


def product(time_a: Array, power_a: Array, time_b: Array, power_b: Array) -> Array:
    """Integral of the product of two profiles; in logarithms, since times to the power of 20 overflow nothing then."""
    shorter = np.minimum(time_a, time_b)
    logarithm = (
        np.log(power_a + 1)
        + np.log(power_b + 1)
        - np.log(power_a + power_b + 1)
        + (power_a + power_b + 1) * np.log(shorter)
        - (power_a + 1) * np.log(time_a)
        - (power_b + 1) * np.log(time_b)
    )
    return np.asarray(np.exp(logarithm))

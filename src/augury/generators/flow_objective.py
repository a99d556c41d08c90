"""What the network of `flow` learns: a velocity (rectified flow) or a noise (ddpm), and the images that it learns from.

Rectified flow (Lipman 2023, Liu 2023): x_t = (1 - t) x + t e with data x of unit variance and unit normal e; the
velocity is v = e - x. Preconditioned as in Karras 2022, table 1, for this path: with q = (1 - t)^2 + t^2 the variance
of x_t, the best linear guess of v from x_t is (2 t - 1) / q x_t and leaves a variance of 1 / q. The network is given
x_t / sqrt(q) and says what is left, times sqrt(q): input and target have unit variance at every t.

B batch, C channels, H height, W width, N steps of a schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

NOISES = 1000  # steps of ddpm's schedule (Ho 2020)
Net = Callable[[Tensor, Tensor], Tensor]  # x_BCHW and noise_B in [0, 1] to x_BCHW


def along(value_B: Tensor) -> Tensor:
    """value_B111."""
    return value_B.view(-1, 1, 1, 1)


def noised(data_BCHW: Tensor, noise_BCHW: Tensor, time_B: Tensor) -> Tensor:
    """x_t, the straight path from data at 0 to noise at 1 (Liu 2023, equation 1)."""
    return torch.lerp(data_BCHW, noise_BCHW, along(time_B))


def velocity(net: Net, x_BCHW: Tensor, time_B: Tensor) -> Tensor:
    """velocity_BCHW that the network says."""
    skip_B111, scale_B111 = preconditioner(time_B)
    return skip_B111 * x_BCHW + scale_B111 * net(scale_B111 * x_BCHW, time_B)


def residual(x_BCHW: Tensor, velocity_BCHW: Tensor, time_B: Tensor) -> Tensor:
    """What the network should have said where the velocity is known; of unit variance."""
    skip_B111, scale_B111 = preconditioner(time_B)
    return (velocity_BCHW - skip_B111 * x_BCHW) / scale_B111


def preconditioner(time_B: Tensor) -> tuple[Tensor, Tensor]:
    """skip_B111 and scale_B111 of the module's docstring."""
    time_B111 = along(time_B)
    variance_B111 = (1 - time_B111).square() + time_B111.square()
    return (2 * time_B111 - 1) / variance_B111, variance_B111.rsqrt()


def flow_error(net: Net, data_BCHW: Tensor, noise_BCHW: Tensor, time_B: Tensor) -> Tensor:
    """error_B: mean square of the network's error, at unit weight for every t (Karras 2022, equation 8, for this path).

    The logit-normal times, not a weight, say which noise levels matter.
    """
    x_BCHW = noised(data_BCHW, noise_BCHW, time_B)
    scale_B111 = preconditioner(time_B)[1]
    aim_BCHW = residual(x_BCHW, noise_BCHW - data_BCHW, time_B)
    return (net(scale_B111 * x_BCHW, time_B) - aim_BCHW).square().flatten(1).mean(1)


def logit_normal(normal_B: Tensor, *, mean: float, sd: float) -> Tensor:
    """time_B in (0, 1) from unit normal draws (Esser 2024, equation 19)."""
    return torch.sigmoid(mean + sd * normal_B)


def signal(schedule: Literal["linear", "scaled_linear"]) -> Tensor:
    """kept_N: the share of the data's variance left after each of 1000 steps, alpha-bar (Ho 2020, equation 4).

    "linear" is Ho 2020, section 4; "scaled_linear" is linear in the square root (Rombach 2022).
    """
    if schedule == "linear":
        beta_N = torch.linspace(1e-4, 0.02, NOISES, dtype=torch.float64)
    else:
        beta_N = torch.linspace(0.00085**0.5, 0.012**0.5, NOISES, dtype=torch.float64).square()
    return torch.cumprod(1 - beta_N, 0).float()


def diffused(data_BCHW: Tensor, noise_BCHW: Tensor, kept_B: Tensor) -> Tensor:
    """x after a step of which this share of the variance is left (Ho 2020, equation 4)."""
    return along(kept_B).sqrt() * data_BCHW + (1 - along(kept_B)).sqrt() * noise_BCHW


def ddpm_error(net: Net, data_BCHW: Tensor, noise_BCHW: Tensor, *, step_B: Tensor, kept_N: Tensor) -> Tensor:
    """error_B: mean square of the error in the noise (Ho 2020, equation 14)."""
    x_BCHW = diffused(data_BCHW, noise_BCHW, kept_N.to(data_BCHW)[step_B])
    return (net(x_BCHW, told(step_B)) - noise_BCHW).square().flatten(1).mean(1)


def told(step_B: Tensor) -> Tensor:
    """noise_B in [0, 1) of a step of the schedule, as the network hears it."""
    return step_B.float() / NOISES

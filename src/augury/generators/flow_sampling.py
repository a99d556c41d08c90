"""From noise to images: the samplers of `flow`, as functions of a field or of a noise prediction.

B batch, C channels, H height, W width, N steps of a schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from augury.generators.flow_objective import NOISES, told

Field = Callable[[Tensor, Tensor], Tensor]  # x_BCHW and time_B to velocity_BCHW or noise_BCHW


def times(steps: int, *, bend: float = 1.0) -> list[float]:
    """From 1 to 0 in so many steps; with a bend above 1 they are finer near 0.

    >>> times(4)
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    return [(1 - step / steps) ** bend for step in range(steps + 1)]


def euler(field: Field, x_BCHW: Tensor, knots: Sequence[float]) -> Tensor:
    """x at the last knot, of first order."""
    for time, after in pairwise(knots):
        x_BCHW = x_BCHW + (after - time) * field(x_BCHW, filled(x_BCHW, time))
    return x_BCHW


def heun(field: Field, x_BCHW: Tensor, knots: Sequence[float]) -> Tensor:
    """x at the last knot, of second order (Karras 2022, algorithm 1, without noise); the step to time 0 is Euler's."""
    for time, after in pairwise(knots):
        slope_BCHW = field(x_BCHW, filled(x_BCHW, time))
        guess_BCHW = x_BCHW + (after - time) * slope_BCHW
        if after > 0:
            slope_BCHW = (slope_BCHW + field(guess_BCHW, filled(x_BCHW, after))) / 2
            guess_BCHW = x_BCHW + (after - time) * slope_BCHW
        x_BCHW = guess_BCHW
    return x_BCHW


def schedule_steps(steps: int) -> list[int]:
    """So many of the 1000 steps, evenly spread, from the noisiest down (Song 2021, appendix D.3)."""
    return [round((NOISES - 1) * step / max(1, steps - 1)) for step in reversed(range(steps))] if steps > 1 else [999]


def denoise(
    field: Field,
    x_BCHW: Tensor,
    *,
    kept_N: Tensor,
    steps: int,
    eta: float,
    bound: tuple[Tensor, Tensor],
    random: torch.Generator,
) -> Tensor:
    """From noise to data under a schedule (Song 2021, equation 12): eta 0 is DDIM, 1 with 1000 steps Ho's ancestral.

    `bound` are the smallest and the largest value that data have (broadcast to x_BCHW): each guess is cut to them.
    """
    order = schedule_steps(steps)
    for step, after in zip(order, [*order[1:], None], strict=True):
        kept = float(kept_N[step])
        kept_after = 1.0 if after is None else float(kept_N[after])
        noise_BCHW = field(x_BCHW, told(torch.full((len(x_BCHW),), step, device=x_BCHW.device)))
        data_BCHW = (x_BCHW - (1 - kept) ** 0.5 * noise_BCHW) / kept**0.5
        data_BCHW = torch.minimum(torch.maximum(data_BCHW, bound[0]), bound[1])
        noise_BCHW = (x_BCHW - kept**0.5 * data_BCHW) / (1 - kept) ** 0.5
        fresh = eta * ((1 - kept_after) / (1 - kept) * (1 - kept / kept_after)) ** 0.5
        x_BCHW = kept_after**0.5 * data_BCHW + max(0.0, 1 - kept_after - fresh**2) ** 0.5 * noise_BCHW
        if fresh:
            x_BCHW = x_BCHW + fresh * torch.randn(x_BCHW.shape, generator=random).to(x_BCHW)
    return x_BCHW


def guided(told_field: Field, other_field: Field, strength: float) -> Field:
    """Away from the other, through the told one: other + strength (told - other) (Ho 2022, equation 6)."""

    def field(x_BCHW: Tensor, time_B: Tensor) -> Tensor:
        return torch.lerp(other_field(x_BCHW, time_B), told_field(x_BCHW, time_B), strength)

    return field


def filled(x_BCHW: Tensor, time: float) -> Tensor:
    """time_B, the same for all."""
    return torch.full((len(x_BCHW),), time, dtype=x_BCHW.dtype, device=x_BCHW.device)

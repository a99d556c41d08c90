"""The student of `flow`: images in 1 to 8 evaluations of the network, learned from the model itself.

Chosen: distillation of the teacher over windows of time (Yan 2024, PeRFlow; progressive distillation, Salimans 2022,
is its ancestor). Time is cut into as many windows as the student has steps; at the head of a window it learns the mean
velocity to the window's end, which the teacher finds with a few of Heun's steps. Why this one: the target is a
function of the input, known exactly, so that a few hundred steps from the teacher's own weights settle it, where
shortcut and consistency training learn from their own unfinished answers over the whole time and take several times
the teacher's steps; mean flow (Geng 2025) needs forward derivatives through the network, at twice the cost a step.
Only as many noise levels occur as there are windows, and the network, its input and its files stay what they are.

B batch, C channels, H height, W width, K knots.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from augury.generators.flow_objective import Net, along, noised, preconditioner, residual, velocity
from augury.generators.flow_sampling import Field

SUBSTEPS = 2  # of Heun's method that the teacher takes in a window


def knots(steps: int) -> list[float]:
    """The windows' borders, from 1 down to 0.

    >>> knots(2)
    [1.0, 0.5, 0.0]
    """
    return [1 - step / steps for step in range(steps + 1)]


@torch.no_grad()
def ends(teacher: Field, x_BCHW: Tensor, head_B: Tensor, end_B: Tensor, *, substeps: int = SUBSTEPS) -> Tensor:
    """x_BCHW at the end of each image's own window, by Heun's method from its head.

    Near time 0 the teacher bends most: the substeps of a window that ends there are finer towards it, and its last one
    is Euler's, as in Karras 2022, algorithm 1.
    """
    bend_B = torch.where(end_B > 0, 1.0, 2.0)
    for place in range(substeps):
        time_B, after_B = (end_B + (head_B - end_B) * (1 - done / substeps) ** bend_B for done in (place, place + 1))
        slope_BCHW = teacher(x_BCHW, time_B)
        guess_BCHW = x_BCHW + along(after_B - time_B) * slope_BCHW
        if place < substeps - 1 or bool((end_B > 0).any()):
            mean_BCHW = (slope_BCHW + teacher(guess_BCHW, after_B)) / 2
            guess_BCHW = torch.where(along(after_B) > 0, x_BCHW + along(after_B - time_B) * mean_BCHW, guess_BCHW)
        x_BCHW = guess_BCHW
    return x_BCHW


def student_error(
    net: Net, teacher: Field, data_BCHW: Tensor, noise_BCHW: Tensor, *, uniform_B: Tensor, borders: Sequence[float]
) -> Tensor:
    """error_B: mean square of the error in the mean velocity over a window drawn by `uniform_B`."""
    knot_K = torch.tensor(borders, device=data_BCHW.device)
    window_B = (uniform_B * (len(borders) - 1)).long()
    head_B, end_B = knot_K[window_B], knot_K[window_B + 1]
    x_BCHW = noised(data_BCHW, noise_BCHW, head_B)
    end_BCHW = ends(teacher, x_BCHW, head_B, end_B)
    aim_BCHW = residual(x_BCHW, (end_BCHW - x_BCHW) / along(end_B - head_B), head_B)
    scale_B111 = preconditioner(head_B)[1]
    return (net(scale_B111 * x_BCHW, head_B) - aim_BCHW).square().flatten(1).mean(1)


def jump(net: Net, x_BCHW: Tensor, borders: Sequence[float]) -> Tensor:
    """From noise to data, one evaluation a window."""
    for head, end in pairwise(borders):
        time_B = torch.full((len(x_BCHW),), head, device=x_BCHW.device)
        x_BCHW = x_BCHW + (end - head) * velocity(net, x_BCHW, time_B)
    return x_BCHW

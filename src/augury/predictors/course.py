"""The course of training that all networks of ours take: the schedule's steps, and the best weights on validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from augury.predictors.phases import Phase, Turn, turns
from augury.training import Run

Score = tuple[float, float]  # what decides, and what decides between equals; more is better


def take(
    nets: nn.Module,
    phases: Sequence[Phase],
    run: Run,
    *,
    optimizer: torch.optim.Optimizer,
    warm_up: float,
    validations: int,
    step: Callable[[Turn], None],
    settle: Callable[[], None],
    score: Callable[[], Score] | None,
) -> int:
    """Go through all phases and leave the best weights in `nets`; returns how many steps those had.

    `step` takes one turn with `nets` in training mode, `settle` makes them ready for use, `score` judges them, evenly
    over the last phase and at its end; without it (None: nobody can judge) the last weights stay.
    """
    schedule = turns(phases, warm_up=warm_up)
    if len(schedule) != run.steps:
        raise ValueError(f"the phases have {len(schedule)} steps, the run {run.steps}; expected the same")
    best = Best()
    due = set() if score is None else _due(run.steps, phases[-1].steps, validations)
    for at in run.loop(nets=nets, optimizer=optimizer, best=best):
        nets.train()
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * schedule[at].rate
        step(schedule[at])
        if score is not None and at + 1 in due:
            settle()
            best.offer(nets, score(), step=at + 1)
    if score is None:
        settle()
    else:
        nets.load_state_dict(best.weights)
    nets.eval()
    return run.steps if score is None else best.step


def adamw(nets: nn.Module, *, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """Loshchilov and Hutter 2019, Algorithm 2; gains, shifts and biases do not decay. "peak" is the schedule's top."""
    matrices = [weight for weight in nets.parameters() if weight.ndim > 1]
    vectors = [weight for weight in nets.parameters() if weight.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([{**group, "peak": lr} for group in groups], lr)


class Best:
    """The best weights so far; a part of the run, so that it survives an interruption."""

    def __init__(self) -> None:
        self.score: Score = (-math.inf, -math.inf)
        self.step = 0
        self.weights: dict[str, Tensor] = {}

    def offer(self, nets: nn.Module, score: Score, *, step: int) -> None:
        """Keep these weights if none had a better score."""
        if score > self.score:
            self.score, self.step = score, step
            self.weights = {name: value.clone() for name, value in nets.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Score, step and weights."""
        return {"score": list(self.score), "step": self.step, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        first, second = state_dict["score"]
        self.score, self.step, self.weights = (first, second), state_dict["step"], state_dict["weights"]


def _due(steps: int, last_phase: int, validations: int) -> set[int]:
    """After how many steps to validate: evenly over the last phase, and at its end."""
    count = max(1, min(validations, last_phase))
    return {steps - last_phase + math.ceil(last_phase * (i + 1) / count) for i in range(count)}

"""A moving average of weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class Ema:
    """An exponential moving average of a module's weights, in `.module`; buffers are copied.

    `half_life` is in updates. Early on the average is short: decay <= (1 + t) / (10 + t) after t updates.
    """

    def __init__(self, module: nn.Module, *, half_life: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = 0.5 ** (1.0 / half_life)
        self.updates = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards the module's present weights."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(list(self.module.parameters()), list(module.parameters()), 1.0 - decay)
        for mine, theirs in zip(self.module.buffers(), module.buffers(), strict=True):
            mine.copy_(theirs)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights and the number of updates."""
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        self.module.load_state_dict(state_dict["module"])
        self.updates = state_dict["updates"]

"""The contract of every generator: p(image | condition). B batch, C channels, H height, W width."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape as Shape
from augury.data.weights import load_weights, save_weights
from augury.training import Run


class Generator(ABC):
    """A conditional generator. Subclasses are final and hold their networks in `nets`."""

    method: ClassVar[str]
    revision: ClassVar[int] = 1  # raised when the method's results change
    config: Any
    shape: Shape
    nets: nn.ModuleDict

    @abstractmethod
    def fit(self, train: Pairs, run: Run) -> Self:
        """Fit to the pairs in the steps of `run`; goes on where an interrupted run stopped."""

    @abstractmethod
    def sample(self, condition: Condition, *, seed: int) -> Tensor:
        """One image_CHW in [-1, 1] per condition, float32 on the CPU; the same seed gives the same images."""

    @abstractmethod
    def membership(self, image_BCHW: Tensor, condition: Condition, *, seed: int) -> Tensor:
        """score_B, higher for images that the generator was more likely fitted on: ELBO or critic."""

    def save(self, folder: Path) -> None:
        """Write config.json and weights.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "method": self.method,
            "revision": self.revision,
            "config": asdict(self.config),
            "shape": asdict(self.shape),
        }
        (folder / "config.json").write_text(json.dumps(facts, indent=1, sort_keys=True))
        save_weights(self.nets, folder / "weights.safetensors")

    def restore(self, folder: Path) -> Self:
        """Read weights.safetensors into the networks; UserError where the file is not theirs."""
        load_weights(self.nets, folder / "weights.safetensors")
        self.nets.eval()
        return self

    def device(self) -> torch.device:
        """Where the networks live."""
        return next(self.nets.parameters()).device

"""The contract of every predictor: p(label | image) or p(mask | image).

N images, B batch, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from augury.conditions.pairs import to_unit
from augury.conditions.shape import Shape
from augury.data.cache import write_atomically
from augury.data.weights import load_weights, save_weights

Images = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32] | Tensor


class Predictor(ABC):
    """What says something of images. Subclasses are final and hold their networks in `nets`."""

    method: ClassVar[str]
    revision: ClassVar[int] = 1  # raised when the method's results change
    config: Any
    shape: Shape
    nets: nn.ModuleDict

    @abstractmethod
    def predict(self, image_NCHW: Images, *, batch: int = 256) -> NDArray[np.float32]:
        """probability_NK, or probability_NHW of a mask, of stored pixels (uint8, uint16) or of images in [-1, 1]."""

    def save(self, folder: Path) -> None:
        """Write config.json and weights.safetensors."""
        facts = {
            "method": self.method,
            "revision": self.revision,
            "config": asdict(self.config),
            "shape": asdict(self.shape),
        }
        write_atomically(folder / "config.json", json.dumps(facts, indent=1, sort_keys=True))
        save_weights(self.nets, folder / "weights.safetensors")

    def restore(self, folder: Path) -> Self:
        """Read weights.safetensors into the networks; UserError where the file is not theirs."""
        load_weights(self.nets, folder / "weights.safetensors")
        self.nets.eval()
        return self

    def device(self) -> torch.device:
        """Where the networks live."""
        return next(self.nets.parameters()).device


@torch.no_grad()
def in_batches(net: nn.Module, image_NCHW: Images, *, batch: int) -> Tensor:
    """The network's output for all images, in evaluation mode, float32 on the CPU."""
    net.eval()
    device = next(net.parameters()).device
    parts = [net(_unit(image_NCHW[i : i + batch]).to(device)).float().cpu() for i in range(0, len(image_NCHW), batch)]
    return torch.cat(parts)


def _unit(image_BCHW: Images) -> Tensor:
    return image_BCHW.float() if isinstance(image_BCHW, Tensor) else to_unit(image_BCHW)


def probabilities(nets: nn.ModuleDict, image_NCHW: Images, *, batch: int) -> NDArray[np.float32]:
    """probability_NK of a "backbone" and a "head"; an empty array for no images."""
    if len(image_NCHW) == 0:
        return np.zeros((0, nets["head"].out_features), dtype=np.float32)  # type: ignore[arg-type]
    logit_NK = in_batches(nn.Sequential(nets["backbone"], nets["head"]), image_NCHW, batch=batch)
    probability_NK: NDArray[np.float32] = logit_NK.double().softmax(dim=1).float().numpy()
    return probability_NK

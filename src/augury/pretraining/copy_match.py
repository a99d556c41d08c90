"""copy_match: an encoder that puts an altered copy of an image beside it, and other images elsewhere.

Instance discrimination by NT-Xent (Chen 2020, equation 1) with the changes that copies undergo, as for the detection
of copied photographs (Pizzi 2022). Flips and quarter turns are not among the changes: a search tries all
eight orientations of an image, which is exact and leaves the network more of its few parameters.

N images, B batch, C channels, H height, W width, D features.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from augury.conditions.pairs import to_unit
from augury.data.augmentation import Augmentation, two_views
from augury.data.cache import write_atomically
from augury.data.weights import load_weights, save_weights
from augury.nets.descriptor import Descriptor
from augury.training import Run

Images = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
BATCH = 512  # images encoded at once

# Near copies as generators make them: a little moved, cut, brighter, darker, noisy or soft.
CHANGES = Augmentation(
    rotate=3, shift=0.02, crop=0.25, aspect=0.05, contrast=0.3, brightness=0.15, gamma=0.3, noise=0.06, blur=1.2
)


@dataclass(frozen=True, kw_only=True)
class CopyMatchConfig:
    """How the encoder is trained."""

    width: int = 16  # channels of its first stage
    dim: int = 128
    temperature: float = 0.08
    rate: float = 2e-3
    weight_decay: float = 0.02


class CopyMatch:
    """Encoder of images whose unit vectors are near where one image is a copy of the other."""

    method: ClassVar[str] = "copy_match"
    revision: ClassVar[int] = 1

    def __init__(self, config: CopyMatchConfig, channels: int) -> None:
        self.config, self.channels, self.dim = config, channels, config.dim
        self.net = Descriptor(channels, width=config.width, dim=config.dim).eval()

    def fit(self, image_NCHW: Images, run: Run) -> Self:
        """Tell these images apart whatever is done to each; at least two of them."""
        if len(image_NCHW) < 2:
            raise ValueError(f"got {len(image_NCHW)} images; expected at least two to tell apart")
        with run.seeded("networks"):
            self.net = Descriptor(self.channels, width=self.config.width, dim=self.dim).to(run.device).train()
        settings = self.config
        optimizer = torch.optim.AdamW(self.net.parameters(), settings.rate, weight_decay=settings.weight_decay)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=run.steps)
        for _ in run.loop(net=self.net, optimizer=optimizer, rate=rate):
            chosen_BCHW = image_NCHW[run.indices(len(image_NCHW)).numpy()]
            views = two_views(to_unit(chosen_BCHW).to(run.device), CHANGES, generator=run.random("changes"))
            loss = run.update(self.net, optimizer, self._loss, *views)
            rate.step()
            run.log(loss=loss)
        self.net.eval()
        return self

    def _loss(self, first_BCHW: Tensor, second_BCHW: Tensor) -> Tensor:
        return nt_xent(self.net(torch.cat([first_BCHW, second_BCHW])), temperature=self.config.temperature)

    @torch.no_grad()
    def __call__(self, image_NCHW: Images) -> NDArray[np.float32]:
        """z_ND of length 1, on the CPU."""
        self.net.eval()
        device = next(self.net.parameters()).device
        parts = [image_NCHW[i : i + BATCH] for i in range(0, len(image_NCHW), BATCH)]
        coded = [self.net(to_unit(part).to(device)).float().cpu() for part in parts]
        z_ND: NDArray[np.float32] = torch.cat([*coded, torch.zeros(0, self.dim)]).numpy()
        return z_ND

    def save(self, folder: Path) -> None:
        """Write config.json and weights.safetensors."""
        facts = {"method": self.method, "revision": self.revision, "config": asdict(self.config),
                 "channels": self.channels}  # fmt: skip
        write_atomically(folder / "config.json", json.dumps(facts, indent=1, sort_keys=True))
        save_weights(self.net, folder / "weights.safetensors")

    def restore(self, folder: Path) -> Self:
        """Read weights.safetensors into the network; UserError where the file is not its own."""
        load_weights(self.net, folder / "weights.safetensors")
        self.net.eval()
        return self


def nt_xent(z_VD: Tensor, *, temperature: float) -> Tensor:
    """Mean cross-entropy of finding each view's partner among all other views (Chen 2020, equation 1).

    z_VD of length 1: the first half of the V views are those of the images, the second half their partners.
    """
    count = len(z_VD) // 2
    likeness_VV = (z_VD @ z_VD.T).float() / temperature
    likeness_VV = likeness_VV.masked_fill(torch.eye(2 * count, dtype=torch.bool, device=z_VD.device), -torch.inf)
    partner_V = torch.arange(2 * count, device=z_VD.device).roll(count)
    return F.cross_entropy(likeness_VV, partner_V)

"""Near copies of training images, made on purpose: what the power of a search for copies is measured with.

Five ways in which a copy may differ from its original (EVALUATION.md): noise of 2 to 5 % of the range, a crop of 3 to
10 % of the side, a flip, brightness changed by 10 to 20 %, and the round trip through an autoencoder that keeps a
quarter of the numbers. B batch, N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augury.conditions.pairs import to_uint8, to_unit
from augury.data.augmentation import warp
from augury.nets.autoencoder import Autoencoder
from augury.pretraining.copy_match import Images
from augury.training import Run

KINDS = ("noise", "crop", "flip", "brightness", "autoencoder")
STEPS, BATCH = 300, 32  # of the autoencoder


def planted(image_NCHW: Images, *, autoencoder: Autoencoder, seed: int) -> dict[str, NDArray[np.uint8]]:
    """Every image as a near copy of each kind, by the kind's name; stored pixels."""
    image = to_unit(image_NCHW)
    return {
        kind: to_uint8(_MADE[kind](image, torch.Generator().manual_seed(seed + place), autoencoder))
        for place, kind in enumerate(KINDS)
    }


def fit_autoencoder(image_NCHW: Images, *, seed: int = 0, device: str = "cpu") -> Autoencoder:
    """An autoencoder of these images, by the mean absolute error."""
    run = Run(seed=seed, steps=STEPS, batch=min(BATCH, len(image_NCHW)), device=device)
    with run.seeded("networks"):
        net = Autoencoder(image_NCHW.shape[1], side=min(image_NCHW.shape[2:])).to(run.device)
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in run.loop(net=net, optimizer=optimizer):
        chosen_BCHW = to_unit(image_NCHW[run.indices(len(image_NCHW)).numpy()])
        run.update(net, optimizer, lambda image_BCHW: (net(image_BCHW) - image_BCHW).abs().mean(), chosen_BCHW)
    return net.eval()


def _noise(image_BCHW: Tensor, random: torch.Generator, _: Autoencoder) -> Tensor:
    """The range is 2 wide."""
    sd_B111 = 2 * (0.02 + 0.03 * torch.rand(len(image_BCHW), 1, 1, 1, generator=random))
    return image_BCHW + sd_B111 * torch.randn(image_BCHW.shape, generator=random)


def _crop(image_BCHW: Tensor, random: torch.Generator, _: Autoencoder) -> Tensor:
    kept_B = 1 - (0.03 + 0.07 * torch.rand(len(image_BCHW), generator=random))
    theta_B23 = torch.zeros(len(image_BCHW), 2, 3)
    theta_B23[:, 0, 0] = theta_B23[:, 1, 1] = kept_B
    theta_B23[:, :, 2] = (2 * torch.rand(len(image_BCHW), 2, generator=random) - 1) * (1 - kept_B[:, None])
    size = list(image_BCHW.shape)
    return warp(image_BCHW, torch.nn.functional.affine_grid(theta_B23, size, align_corners=False))


def _flip(image_BCHW: Tensor, random: torch.Generator, _: Autoencoder) -> Tensor:
    down_B = torch.rand(len(image_BCHW), 1, 1, 1, generator=random) < 0.5
    return torch.where(down_B, image_BCHW.flip(2), image_BCHW.flip(3))


def _brightness(image_BCHW: Tensor, random: torch.Generator, _: Autoencoder) -> Tensor:
    change_B = 0.1 + 0.1 * torch.rand(len(image_BCHW), 1, 1, 1, generator=random)
    sign_B = torch.where(torch.rand(len(image_BCHW), 1, 1, 1, generator=random) < 0.5, -1.0, 1.0)
    return (image_BCHW + 1) * (1 + sign_B * change_B) - 1


@torch.no_grad()
def _autoencoded(image_BCHW: Tensor, _: torch.Generator, autoencoder: Autoencoder) -> Tensor:
    device = next(autoencoder.parameters()).device
    return torch.cat([autoencoder(part.to(device)).cpu() for part in image_BCHW.split(BATCH)])


_MADE: dict[str, Callable[[Tensor, torch.Generator, Autoencoder], Tensor]] = {
    "noise": _noise, "crop": _crop, "flip": _flip, "brightness": _brightness, "autoencoder": _autoencoded,
}  # fmt: skip

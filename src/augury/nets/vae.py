"""Variational autoencoder networks for small images, in the two encoders and two decoders that System 2 compares.

B batch, Z latent, K classes, C channels, H height, W width. Images are float32 in [-1, 1].
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augury.nets.gan import LEAK, cut, halvings


class Encoder(nn.Module):
    """image_BCHW and label_B to mean_BZ and logvar_BZ of q(z | x, y).

    `depth` 3 is one strided 4x4 convolution per halving of the map (three at 32 px), 6 two 3x3 convolutions and a max
    pooling per halving; then a dense layer, which the label joins. With `linear` a linear map of the pixels is added
    to the mean. There are no connections to the decoder: samples from the prior could not use them.
    """

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        width: int,
        classes: int,
        depth: Literal[3, 6],
        latent: int,
        features: int,
        linear: bool,
    ) -> None:
        super().__init__()
        stages = halvings(height, width)
        sizes = [channels, *(features * min(2**i, 8) for i in range(stages))]
        self.convs = nn.Sequential(*(_fall(a, b, depth) for a, b in pairwise(sizes)))
        self.classes = classes
        self.dense = nn.Linear(sizes[-1] * (height >> stages) * (width >> stages) + classes, 2 * latent)
        self.linear = nn.Linear(channels * height * width, latent) if linear else None

    def forward(self, image_BCHW: Tensor, label_B: Tensor) -> tuple[Tensor, Tensor]:
        told_BK = _one_hot(label_B, self.classes).to(image_BCHW.dtype)
        mean_BZ, logvar_BZ = self.dense(torch.cat([self.convs(image_BCHW).flatten(1), told_BK], 1)).chunk(2, 1)
        if self.linear is not None:
            mean_BZ = mean_BZ + self.linear(image_BCHW.flatten(1))
        # Beyond these bounds exp() of the log-variance is no longer a usable standard deviation in fp32.
        return mean_BZ, logvar_BZ.clamp(-14.0, 6.0)


class Decoder(nn.Module):
    """latent_BZ and label_B to image_BCHW in [-1, 1] and deviation_BCHW: dense, then 3 or 6 ConvT at 32 px.

    `depth` 3 is one 4x4 ConvT per doubling of the map, 6 a 4x4 and a 3x3 one. The deviation is what is left of a pixel
    that the latent does not tell: a mean absolute error. With `linear` a linear map of the latent is added to the
    image, and the sum is cut to the range instead of bent by tanh.
    """

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        width: int,
        classes: int,
        depth: Literal[3, 6],
        latent: int,
        features: int,
        linear: bool,
    ) -> None:
        super().__init__()
        stages = halvings(height, width)
        self.classes, self.base = classes, (height >> stages, width >> stages)
        sizes = [features * min(2 ** (stages - 1 - i), 8) for i in range(stages)]
        self.dense = nn.Linear(latent + classes, sizes[0] * self.base[0] * self.base[1])
        self.convs = nn.Sequential(
            nn.BatchNorm2d(sizes[0]), nn.LeakyReLU(LEAK), *(_rise(a, b, depth) for a, b in pairwise(sizes))
        )
        self.last = _last(sizes[-1], 2 * channels, depth)
        self.linear = nn.Linear(latent, channels * height * width) if linear else None

    def forward(self, latent_BZ: Tensor, label_B: Tensor) -> tuple[Tensor, Tensor]:
        told_BK = _one_hot(label_B, self.classes).to(latent_BZ.dtype)
        x_BCHW = self.dense(torch.cat([latent_BZ, told_BK], 1)).unflatten(1, (-1, *self.base))
        image_BCHW, deviation_BCHW = self.last(self.convs(x_BCHW)).chunk(2, 1)
        deviation_BCHW = F.softplus(deviation_BCHW - 2.0) + 1e-3
        if self.linear is None:
            return torch.tanh(image_BCHW), deviation_BCHW
        return cut(image_BCHW + self.linear(latent_BZ).view_as(image_BCHW)), deviation_BCHW


def _one_hot(label_B: Tensor, classes: int) -> Tensor:
    """As torch's, which looks at the values and so has no gradient image by image."""
    return label_B[:, None] == torch.arange(classes, device=label_B.device)


def _fall(a: int, b: int, depth: int) -> nn.Module:
    if depth == 3:
        return nn.Sequential(nn.Conv2d(a, b, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(LEAK))
    first = [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(LEAK)]
    second = [nn.Conv2d(b, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(LEAK), nn.MaxPool2d(2)]
    return nn.Sequential(*first, *second)


def _rise(a: int, b: int, depth: int) -> nn.Module:
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(b),
        nn.LeakyReLU(LEAK),
    ]
    if depth == 6:
        layers += [nn.ConvTranspose2d(b, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(LEAK)]
    return nn.Sequential(*layers)


def _last(a: int, channels: int, depth: int) -> nn.Module:
    if depth == 3:
        return nn.ConvTranspose2d(a, channels, 4, stride=2, padding=1)
    return nn.Sequential(
        nn.ConvTranspose2d(a, a // 2, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(a // 2),
        nn.LeakyReLU(LEAK),
        nn.ConvTranspose2d(a // 2, channels, 3, padding=1),
    )

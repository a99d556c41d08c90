"""A small KL autoencoder: images to a map of latents with a factor-th of each side, and back.

After Kingma and Welling 2014 and Rombach 2022 (appendix, "autoencoder models"), for few cores: the first layer folds
2 x 2 pixels into channels, so that no convolution works at full resolution, and no layer norms over the picture, so
that what becomes of a lesion depends on its neighbourhood alone and training on crops is training on images.
A linear path of squares of pixels runs beside both halves and may begin as principal components: without it a short
training spends itself on what a linear code knows, and small lesions come last.
B batch, C channels, H height, W width, Z latent channels, h = H / factor, w = W / factor, F features,
D values of a square.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

QUIET = -6.0  # log-variance of a latent at first


class KLAutoencoder(nn.Module):
    """image_BCHW in [-1, 1] to mean_BZhw and logvar_BZhw of q(z | x), and z_BZhw to image_BCHW.

    `width` features at half the image's resolution, twice as many at each further halving. Sides that are no multiple
    of `factor` raise ValueError.
    """

    def __init__(self, *, channels: int, factor: Literal[4, 8], latent: int, width: int) -> None:
        super().__init__()
        self.factor = factor
        sizes = [width * 2**i for i in range(int(math.log2(factor)))]
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * channels, sizes[0], 3, padding=1),
            Residual(sizes[0]),
            *(_down(a, b) for a, b in pairwise(sizes)),
            Residual(sizes[-1]),
            nn.SiLU(),
            _silent(nn.Conv2d(sizes[-1], 2 * latent, 3, padding=1)),
        )
        self.fold = nn.Conv2d(channels, latent, factor, stride=factor)
        self.unfold = nn.ConvTranspose2d(latent, channels, factor, stride=factor)
        self.decoder = nn.Sequential(
            nn.Conv2d(latent, sizes[-1], 3, padding=1),
            Residual(sizes[-1]),
            *(_up(a, b) for a, b in pairwise(reversed(sizes))),
            Residual(sizes[0]),
            nn.SiLU(),
            _silent(nn.Conv2d(sizes[0], 4 * channels, 3, padding=1)),
            nn.PixelShuffle(2),
        )

    def encode(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """mean_BZhw and logvar_BZhw."""
        height, width = image_BCHW.shape[-2:]
        if height % self.factor or width % self.factor:
            raise ValueError(f"got a picture of {height}x{width}, expected sides that are multiples of {self.factor}")
        mean_BZhw, logvar_BZhw = self.encoder(image_BCHW).chunk(2, 1)
        # Beyond these bounds exp() of the log-variance is no longer a usable standard deviation in fp32.
        return self.fold(image_BCHW) + mean_BZhw, (QUIET + logvar_BZhw).clamp(-14.0, 6.0)

    def decode(self, z_BZhw: Tensor) -> Tensor:
        """image_BCHW, about [-1, 1]: not cut."""
        image_BCHW: Tensor = self.unfold(z_BZhw) + self.decoder(z_BZhw)
        return image_BCHW

    @torch.no_grad()
    def aim(self, mean_D: Tensor, axis_DZ: Tensor, sd_Z: Tensor) -> None:
        """Begin as a linear code: squares (channel, row, column) less their mean, along unit axes, over sd_Z."""
        shape = self.fold.weight.shape
        self.fold.weight.copy_((axis_DZ / sd_Z).T.reshape(shape))
        self.fold.bias.copy_(-(axis_DZ / sd_Z).T @ mean_D)  # type: ignore[union-attr]
        self.unfold.weight.copy_((axis_DZ * sd_Z).T.reshape(shape))
        channels = shape[1]
        # One bias a channel: a mean that differs within the square is the network's to learn.
        self.unfold.bias.copy_(mean_D.view(channels, -1).mean(1))  # type: ignore[union-attr]


class Residual(nn.Module):
    """x plus two convolutions of it; the second begins at zero, so that depth costs nothing at first."""

    def __init__(self, features: int) -> None:
        super().__init__()
        last = nn.Conv2d(features, features, 3, padding=1)
        nn.init.zeros_(last.weight)
        self.layers = nn.Sequential(nn.SiLU(), nn.Conv2d(features, features, 3, padding=1), nn.SiLU(), last)

    def forward(self, x_BFHW: Tensor) -> Tensor:
        more_BFHW: Tensor = self.layers(x_BFHW)
        return x_BFHW + more_BFHW


def _silent(conv: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _down(a: int, b: int) -> nn.Module:
    return nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * a, b, 3, padding=1), Residual(b))


def _up(a: int, b: int) -> nn.Module:
    return nn.Sequential(Residual(a), nn.Conv2d(a, 4 * b, 3, padding=1), nn.PixelShuffle(2))

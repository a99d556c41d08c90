"""The space of a KL autoencoder's latents, in which a generator may work instead of pixels (Rombach 2022).

B batch, N images, C channels, H height, W width, Z latent channels, K map channels; h and w are H and W by the factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augury.conditions.pairs import Pairs
from augury.errors import UserError
from augury.nets.kl_autoencoder import KLAutoencoder

AT_ONCE = 16  # large images through the autoencoder
MEASURED = 2048  # images that tell the latents' mean and variance


@dataclass(frozen=True, kw_only=True)
class Latent:
    """From what size on images become latents, how, and how much of a small lesion must come back from there."""

    least: int = 256  # pixels of either side (of the square of equal area); smaller images stay pixels
    factor: Literal[4, 8] = 4  # a latent stands for so many pixels a side
    channels: int = 4
    width: int = 24  # features at half resolution
    share: float = 0.3  # of a fit's steps are the autoencoder's, the first ones
    batch: int = 16  # images a step, a crop of each
    rate: float = 1e-3  # Adam's largest learning rate
    sharpness: float = 0.5  # weight of the differences between neighbouring pixels
    kl: float = 1e-4  # weight of the KL, nats per number
    survives: float = 0.7  # share of the smallest lesions' contrast that must come back, or the fit ends
    radius: float = 2.0  # pixels, of the smallest lesion that matters, where no masks tell
    when_lost: Literal["refuse", "accept"] = "refuse"

    def __post_init__(self) -> None:
        if not (1 <= self.channels <= self.factor**2 and self.width >= 8 and self.batch >= 2):
            raise UserError(
                f"latent.channels={self.channels}, latent.width={self.width}, latent.batch={self.batch}: expected 1 to "
                f"{self.factor**2}, from 8 and from 2; try 4, 24 and 16"
            )
        if not (self.rate > 0 and self.radius >= 0.5):
            raise UserError(
                f"latent.rate={self.rate}, latent.radius={self.radius}: expected a number above 0 and one from 0.5; "
                "try 1e-3 and 2"
            )
        if not (0 < self.share < 1 and 0 <= self.survives <= 1):
            raise UserError(
                f"latent.share={self.share}, latent.survives={self.survives}: expected a share between 0 and 1 and one "
                "of 0 to 1; try 0.3 and 0.7"
            )
        if not all(0 <= weight < math.inf for weight in (self.sharpness, self.kl)):
            raise UserError(
                f"latent.sharpness={self.sharpness}, latent.kl={self.kl}: expected numbers from 0 (off); try 0.5 and "
                "1e-4"
            )

    def serves(self, height: int, width: int) -> bool:
        """Whether images of this size become latents."""
        return height * width >= self.least**2


class LatentSpace(nn.Module):
    """From images to latents of mean 0 and variance 1 over the training set, channel by channel, and back."""

    def __init__(self, latent: Latent, *, channels: int) -> None:
        super().__init__()
        self.channels, self.factor = latent.channels, latent.factor
        self.autoencoder = KLAutoencoder(
            channels=channels, factor=latent.factor, latent=latent.channels, width=latent.width
        ).to(memory_format=torch.channels_last)
        self.register_buffer("mean_Z", torch.zeros(latent.channels))
        self.register_buffer("sd_Z", torch.ones(latent.channels))
        self.mean_Z: Tensor
        self.sd_Z: Tensor

    @torch.no_grad()
    def measure(self, train: Pairs) -> None:
        """Take mean and standard deviation of the latents of the training images (of `MEASURED`, evenly chosen)."""
        self.mean_Z.zero_()
        self.sd_Z.fill_(1.0)
        chosen = torch.linspace(0, len(train) - 1, min(len(train), MEASURED)).long()
        total_Z = square_Z = torch.zeros(len(self.mean_Z), dtype=torch.float64)
        for index_B in chosen.split(AT_ONCE):
            z_BZhw = self.data(train[index_B][0].to(self.mean_Z.device)).double().cpu()
            total_Z = total_Z + z_BZhw.mean((2, 3)).sum(0)
            square_Z = square_Z + z_BZhw.square().mean((2, 3)).sum(0)
        mean_Z, square_Z = total_Z / len(chosen), square_Z / len(chosen)
        self.mean_Z.copy_(mean_Z)
        self.sd_Z.copy_((square_Z - mean_Z.square()).clamp(min=1e-8).sqrt())

    @torch.no_grad()
    def data(self, image_BCHW: Tensor) -> Tensor:
        """The means of the latents, z_BZhw of unit variance."""
        z_BZhw = torch.cat([self.autoencoder.encode(part)[0].float() for part in image_BCHW.split(AT_ONCE)])
        return (z_BZhw - self.mean_Z[:, None, None]) / self.sd_Z[:, None, None]

    @torch.no_grad()
    def image(self, data_BZhw: Tensor) -> Tensor:
        """image_BCHW in [-1, 1]."""
        z_BZhw = data_BZhw * self.sd_Z[:, None, None] + self.mean_Z[:, None, None]
        return torch.cat([self.autoencoder.decode(part).float() for part in z_BZhw.split(AT_ONCE)]).clamp_(-1.0, 1.0)

    def maps(self, map_BKHW: Tensor) -> Tensor:
        """Maps at the latents' own size, every pixel of them kept: squares of pixels as channels (Shi 2016)."""
        return F.pixel_unshuffle(map_BKHW, self.factor)

    def bound(self) -> tuple[Tensor, Tensor]:
        """The smallest and the largest value that data can have: none are known."""
        none = torch.full((len(self.mean_Z), 1, 1), torch.inf, device=self.mean_Z.device)
        return -none, none

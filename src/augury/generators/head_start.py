"""A head start: networks that begin as the principal components of the training images.

A linear path through encoder and decoder, set to the best linear code there is (Pearson 1901), spares the first minutes
of a training on two cores, and gives every latent a meaning before the first step. The convolutions then learn what the
linear map cannot. N images, Z latent, D values of an image, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from augury.conditions.pairs import Pairs
from augury.generators.chunks import chunks
from augury.training import Run

IMAGES = 4096  # a sample of so many determines the components


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The largest principal components of a set; those beyond its rank are empty."""

    mean_D: Tensor
    axis_ZD: Tensor
    sd_Z: Tensor

    def code(self, image_BCHW: Tensor) -> Tensor:
        """code_BZ with variance 1 over the set."""
        return (image_BCHW.flatten(1) - self.mean_D) @ self.axis_ZD.T / self.sd_Z

    def codes(self, train: Pairs) -> Tensor:
        """code_NZ of all images."""
        parts = (train[torch.arange(part.start, part.stop)][0] for part in chunks(len(train)))
        return torch.cat([self.code(image_BCHW) for image_BCHW in parts])

    @torch.no_grad()
    def aim_encoder(self, linear: nn.Linear) -> None:
        """Make the map the code."""
        linear.weight.copy_(self.axis_ZD / self.sd_Z[:, None])
        linear.bias.copy_(-(self.axis_ZD / self.sd_Z[:, None]) @ self.mean_D)

    @torch.no_grad()
    def aim_decoder(self, linear: nn.Linear) -> None:
        """Make the map the image that a code stands for."""
        linear.weight.copy_((self.axis_ZD * self.sd_Z[:, None]).T)
        linear.bias.copy_(self.mean_D)


def principal(train: Pairs, *, latent: int, run: Run) -> Principal:
    """The `latent` largest components, by a randomised decomposition (Halko 2011, algorithm 5.1)."""
    chosen = torch.randperm(len(train), generator=run.random("principal"))[:IMAGES]
    image_ND = train[chosen][0].flatten(1)
    rank = min(latent, *image_ND.shape)
    with run.seeded("principal"):
        _, singular_Z, axis_DZ = torch.pca_lowrank(image_ND, q=min(rank + 8, *image_ND.shape), niter=3)
    axis_ZD = torch.zeros(latent, image_ND.shape[1])
    axis_ZD[:rank] = axis_DZ.T[:rank]
    sd_Z = torch.ones(latent)
    sd_Z[:rank] = (singular_Z[:rank] / len(image_ND) ** 0.5).clamp(min=1e-4)
    return Principal(mean_D=image_ND.mean(0), axis_ZD=axis_ZD, sd_Z=sd_Z)

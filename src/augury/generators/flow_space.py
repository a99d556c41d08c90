"""The spaces that `flow` may work in: pixels, or the latents of an autoencoder. B batch, C channels, H height, W width.

Either gives data of mean 0 and variance 1 over the training set, takes them back, and brings maps to their size.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.generators.chunks import chunks
from augury.generators.latent_space import Latent, LatentSpace


class Scale(nn.Module):
    """Images shifted and scaled to mean 0 and variance 1 over the training set, channel by channel, and back."""

    factor = 1  # pixels a side that a value stands for

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("mean_C", torch.zeros(channels))
        self.register_buffer("sd_C", torch.ones(channels))
        self.mean_C: Tensor
        self.sd_C: Tensor

    def measure(self, train: Pairs) -> None:
        """Take mean and standard deviation of all pixels."""
        total_C = square_C = torch.zeros(len(self.mean_C), dtype=torch.float64)
        for part in chunks(len(train)):
            image_BCHW = train[torch.arange(part.start, part.stop)][0].double()
            total_C = total_C + image_BCHW.mean((2, 3)).sum(0)
            square_C = square_C + image_BCHW.square().mean((2, 3)).sum(0)
        mean_C, square_C = total_C / len(train), square_C / len(train)
        self.mean_C.copy_(mean_C)
        self.sd_C.copy_((square_C - mean_C.square()).clamp(min=1e-4).sqrt())

    def data(self, image_BCHW: Tensor) -> Tensor:
        """data_BCHW of unit variance."""
        return (image_BCHW - self.mean_C[:, None, None]) / self.sd_C[:, None, None]

    def image(self, data_BCHW: Tensor) -> Tensor:
        """image_BCHW in [-1, 1]."""
        return (data_BCHW * self.sd_C[:, None, None] + self.mean_C[:, None, None]).clamp(-1.0, 1.0)

    def maps(self, map_BKHW: Tensor) -> Tensor:
        """Maps at the data's size: as they are."""
        return map_BKHW

    def bound(self) -> tuple[Tensor, Tensor]:
        """The smallest and the largest value that data can have."""
        one = torch.ones(len(self.mean_C), 1, 1, device=self.mean_C.device)
        return self.data(-one), self.data(one)


Space = Scale | LatentSpace


def at_size(condition: Condition, space: Space) -> Condition:
    """The condition with its maps at the size of the space's data."""
    if condition.map_BKHW is None:
        return condition
    return replace(condition, map_BKHW=space.maps(condition.map_BKHW))


def space_for(latent: Latent | None, shape: Shape) -> Space:
    """Latents where they are asked for and the images are large enough, else pixels.

    Raises:
        ValueError: sides that are no multiples of the factor.
    """
    if latent is None or not latent.serves(shape.height, shape.width):
        return Scale(shape.channels)
    if shape.height % latent.factor or shape.width % latent.factor:
        raise ValueError(
            f"got a picture of {shape.height}x{shape.width}, expected sides in steps of {latent.factor}, such as 256"
        )
    return LatentSpace(latent, channels=shape.channels)

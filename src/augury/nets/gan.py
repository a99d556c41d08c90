"""Adversarial networks for small images: a generator and a critic, in the two kinds each that System 2 compares.

B batch, Z latent, F features, C channels, H height, W width. Images are float32 in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SMALLEST_BASE = 4  # halving stops where a side would fall below this
LEAK = 0.2


def halvings(height: int, width: int) -> int:
    """How often both sides can be halved before one is odd or would fall below 4: 3 at 32 px, 5 at 128 px.

    Raises ValueError where it is fewer than two, so that no network carries a large map into a dense layer.

    >>> halvings(32, 32), halvings(28, 28), halvings(96, 128)
    (3, 2, 4)
    """
    count = 0
    while height % 2 == 0 and width % 2 == 0 and min(height, width) // 2 >= SMALLEST_BASE:
        height, width, count = height // 2, width // 2, count + 1
    if count < 2 or max(height, width) > 16:
        raise ValueError(f"got a picture whose base is {height}x{width}, expected sides such as 32, 64, 96 or 128")
    return count


def cut(image_BCHW: Tensor) -> Tensor:
    """The image cut to [-1, 1], with the gradient of the uncut one (Bengio 2013).

    Under tanh a pixel that the critic drove to the end of the range in the first steps stayed there, white in every
    picture, since the slope is zero at both ends.
    """
    return image_BCHW + (image_BCHW.clamp(-1.0, 1.0) - image_BCHW).detach()


class LabelledNorm(nn.Module):
    """Batch normalisation whose gain and shift are the label's own (de Vries 2017): the label reaches every layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Embedding(classes, channels)
        self.shift = nn.Embedding(classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x_BCHW: Tensor, label_B: Tensor) -> Tensor:
        gain_BC11 = self.gain(label_B)[:, :, None, None]
        normed_BCHW: Tensor = self.norm(x_BCHW)
        return torch.addcmul(self.shift(label_B)[:, :, None, None], normed_BCHW, gain_BC11)


class Painter(nn.Module):
    """The generator: latent_BZ and label_B to image_BCHW in [-1, 1].

    `kind` 1 doubles the map with ConvT 4x4, kind 2 with nearest upsampling and Conv 3x3; both normalise by batch and
    use LeakyReLU. `label` says how the class enters: "norm" (an embedding beside the latent, and gain and shift of
    every normalisation), "concat" (the embedding alone) or "multiply" (the latent times the embedding), the last two
    being the document's. The latent passes a dense layer first, so it is not drowned by the label. With `linear` a
    linear map of the latent is added to the image. `last` brings the picture into the range: see `cut`; "tanh" is the
    document's.
    """

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        width: int,
        classes: int,
        kind: Literal[1, 2] = 1,
        latent: int = 128,
        features: int = 32,
        label: Literal["norm", "concat", "multiply"] = "norm",
        linear: bool = False,
        last: Literal["cut", "tanh"] = "cut",
    ) -> None:
        super().__init__()
        self.last: Callable[[Tensor], Tensor] = cut if last == "cut" else torch.tanh
        stages = halvings(height, width)
        self.base = (height >> stages, width >> stages)
        self.label = label
        sizes = [features * min(2 ** (stages - 1 - i), 8) for i in range(stages)]
        self.embedding = nn.Embedding(classes, latent)
        joint = latent if label == "multiply" else 2 * latent
        self.dense = nn.Linear(joint, sizes[0] * self.base[0] * self.base[1])
        self.norms = nn.ModuleList(_norm(size, classes, label) for size in sizes)
        self.rises = nn.ModuleList(_rise(a, b, kind) for a, b in zip(sizes, [*sizes[1:], channels], strict=True))
        self.linear = nn.Linear(latent, channels * height * width) if linear else None

    def forward(self, latent_BZ: Tensor, label_B: Tensor) -> Tensor:
        told_BZ = self.embedding(label_B)
        joint_BZ = latent_BZ * told_BZ if self.label == "multiply" else torch.cat([latent_BZ, told_BZ], 1)
        x_BCHW = self.dense(joint_BZ).unflatten(1, (-1, *self.base))
        for norm, rise in zip(self.norms, self.rises, strict=True):
            normed_BCHW = norm(x_BCHW, label_B) if isinstance(norm, LabelledNorm) else norm(x_BCHW)
            x_BCHW = rise(F.leaky_relu(normed_BCHW, LEAK))
        return self.last(x_BCHW if self.linear is None else x_BCHW + self.linear(latent_BZ).view_as(x_BCHW))


class Critic(nn.Module):
    """image_BCHW and label_B to score_B: strided 4x4 convolutions with LeakyReLU.

    `kind` 1 adds dropout, kind 2 batch normalisation, which makes the score of one image depend on the others and so
    invalidates a per-image gradient penalty: kept to show that. `label` "projection" adds the inner product of the
    features with the label's embedding (Miyato and Koyama 2018, equation 3); "map" appends a label channel to the
    image, as the document does. `spectral` bounds every layer's norm (Miyato 2018).
    """

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        width: int,
        classes: int,
        kind: Literal[1, 2] = 1,
        features: int = 32,
        dropout: float = 0.0,
        label: Literal["projection", "map"] = "projection",
        spectral: bool = False,
    ) -> None:
        super().__init__()
        stages = halvings(height, width)
        wrap: Callable[[nn.Module], nn.Module] = spectral_norm if spectral else _unchanged
        self.plane = wrap(nn.Embedding(classes, height * width)) if label == "map" else None
        sizes = [channels + (label == "map"), *(features * min(2**i, 8) for i in range(stages))]
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(pairwise(sizes)):
            layers.append(wrap(nn.Conv2d(a, b, 4, stride=2, padding=1)))
            layers += [nn.BatchNorm2d(b)] if kind == 2 and i > 0 else []
            layers += [nn.LeakyReLU(LEAK)] + ([nn.Dropout(dropout)] if kind == 1 and dropout else [])
        self.convs = nn.Sequential(*layers)
        hidden = 4 * features
        self.dense = wrap(nn.Linear(sizes[-1] * (height >> stages) * (width >> stages), hidden))
        self.score = wrap(nn.Linear(hidden, 1))
        self.project = wrap(nn.Embedding(classes, hidden)) if label == "projection" else None

    def forward(self, image_BCHW: Tensor, label_B: Tensor) -> Tensor:
        if self.plane is not None:
            plane_B1HW = self.plane(label_B).view(len(label_B), 1, *image_BCHW.shape[2:])
            image_BCHW = torch.cat([image_BCHW, plane_B1HW], 1)
        z_BF = F.leaky_relu(self.dense(self.convs(image_BCHW).flatten(1)), LEAK)
        score_B: Tensor = self.score(z_BF).squeeze(1)
        return score_B if self.project is None else score_B + (self.project(label_B) * z_BF).sum(1)


def _norm(channels: int, classes: int, label: str) -> nn.Module:
    return LabelledNorm(channels, classes) if label == "norm" else nn.BatchNorm2d(channels)


def _rise(a: int, b: int, kind: int) -> nn.Module:
    if kind == 1:
        return nn.ConvTranspose2d(a, b, 4, stride=2, padding=1)
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(a, b, 3, padding=1))


def _unchanged(module: nn.Module) -> nn.Module:
    return module

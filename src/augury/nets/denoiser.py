"""A compact U-Net that answers to noise level, label, text, maps and augmentation (Ronneberger 2015, Dhariwal 2021).

Made for two CPU cores: pixels are folded into channels first, and most parameters lie where the map is small. A branch
that steers it from beside (ControlNet, Zhang 2023) is a copy of `trunk`, whose answers are added as `control`.

B batch, C channels, K map channels, H height, W width, T tokens, A augmentation numbers, E embedding,
F features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from augury.nets.denoiser_blocks import Attention, Block, groups

SMALLEST = 4  # a side of the smallest map, at least
WAVES = 16  # frequencies that a noise level is told in


def levels(height: int, width: int, *, patch: int, most: int) -> int:
    """How many maps, each half as large as the one before, the sides allow.

    Raises ValueError where it is fewer than two, or where patches do not cover the picture.

    >>> levels(32, 32, patch=2, most=3), levels(28, 28, patch=2, most=3), levels(96, 160, patch=4, most=3)
    (3, 2, 3)
    """
    if height % patch or width % patch:
        raise ValueError(f"got a picture of {height}x{width}, expected sides in steps of {patch}, such as 32 or 64")
    height, width, count = height // patch, width // patch, 1
    while count < most and height % 2 == 0 and width % 2 == 0 and min(height, width) // 2 >= SMALLEST:
        height, width, count = height // 2, width // 2, count + 1
    if count < 2 and most > 1:
        raise ValueError(
            f"got a picture of {height * patch}x{width * patch}, expected sides of which {2 * patch} is a factor, "
            "such as 32, 64 or 96"
        )
    return count


def patch_for(height: int, width: int) -> int:
    """Side of the squares of pixels that become channels: 2 up to 48 px, 4 up to 128, then 8."""
    side = min(height, width)
    return 2 if side <= 48 else 4 if side <= 128 else 8


class Denoiser(nn.Module):
    """image_BCHW and a noise level to a picture of the same shape; at first all zeros.

    `widths` are the features of each map, the largest map first; a picture whose sides allow fewer maps has fewer.
    Whatever it may be told (label, text, maps) has a learned null for images whose `keep_B` is False.

    Raises:
        ValueError: sides that do not fit.
    """

    def __init__(
        self,
        channels: int,
        *,
        height: int,
        width: int,
        classes: int = 0,
        words: int = 0,
        maps: int = 0,
        augments: int = 0,
        patch: int | None = None,
        widths: Sequence[int] = (32, 64, 128),
        blocks: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.patch = patch_for(height, width) if patch is None else patch
        widths = tuple(widths)[: levels(height, width, patch=self.patch, most=len(widths))]
        embedding = 4 * widths[0]
        self.null_map_K = nn.Parameter(torch.zeros(maps)) if maps else None
        self.ear = Ear(embedding, classes=classes, words=words, augments=augments)
        outputs = channels * self.patch**2
        self.trunk = Trunk(
            outputs, maps=maps * self.patch**2, widths=widths, blocks=blocks, embedding=embedding, dropout=dropout
        )
        self.decoder = Decoder(outputs, widths=widths, blocks=blocks, embedding=embedding, dropout=dropout)

    def forward(
        self,
        image_BCHW: Tensor,
        noise_B: Tensor,
        *,
        label_B: Tensor | None = None,
        text_BT: Tensor | None = None,
        map_BKHW: Tensor | None = None,
        keep_B: Tensor | None = None,
        augment_BA: Tensor | None = None,
        control: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """`noise_B` in [0, 1]; `keep_B` None keeps all, `augment_BA` None says that nothing was done to the images.

        `control` is added to what the trunk finds, map by map.
        """
        told_BE, token_BTE, heard_BT = self.ear(
            noise_B, label_B=label_B, text_BT=text_BT, keep_B=keep_B, augment_BA=augment_BA
        )
        folded_BCHW, folded_BKHW = self.folded(image_BCHW, map_BKHW, keep_B=keep_B)
        found = self.trunk(folded_BCHW, folded_BKHW, told_BE, token_BTE, heard_BT)
        if control is not None:
            found = [mine + theirs for mine, theirs in zip(found, control, strict=True)]
        return F.pixel_shuffle(self.decoder(found, told_BE), self.patch)

    def folded(
        self, image_BCHW: Tensor, map_BKHW: Tensor | None, *, keep_B: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """What the trunk reads: the image and its maps, squares of pixels as channels."""
        if (map_BKHW is None) != (self.null_map_K is None):
            raise ValueError("maps must be given where the network was built for maps, and only there")
        folded_BCHW = F.pixel_unshuffle(image_BCHW, self.patch)
        if map_BKHW is None or self.null_map_K is None:
            return folded_BCHW, None
        if keep_B is not None:
            map_BKHW = torch.where(keep_B[:, None, None, None], map_BKHW, self.null_map_K[:, None, None])
        return folded_BCHW, F.pixel_unshuffle(map_BKHW, self.patch)


class Ear(nn.Module):
    """Noise level, label, text and augmentation as one vector, and the text as tokens too (a bag of words)."""

    def __init__(self, embedding: int, *, classes: int, words: int, augments: int) -> None:
        super().__init__()
        self.classes, self.words = classes, words
        self.register_buffer("wave_F", math.pi * torch.logspace(-1, 5, WAVES, base=2.0), persistent=False)
        self.wave_F: Tensor
        self.noise = nn.Linear(2 * WAVES, embedding)
        self.label = nn.Embedding(classes + 1, embedding) if classes else None  # the last one is the null
        self.word = nn.Embedding(words + 2, embedding, padding_idx=0) if words else None  # the last one is the null
        self.pooled = nn.Linear(embedding, embedding) if words else None
        self.augment = nn.Linear(augments, embedding, bias=False) if augments else None
        self.mix = nn.Sequential(nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU())

    def forward(
        self,
        noise_B: Tensor,
        *,
        label_B: Tensor | None,
        text_BT: Tensor | None,
        keep_B: Tensor | None,
        augment_BA: Tensor | None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """told_BE, token_BTE and heard_BT, which tokens are words."""
        turn_BF = noise_B[:, None] * self.wave_F
        told_BE = self.noise(torch.cat([turn_BF.cos(), turn_BF.sin()], 1))
        if self.label is not None:
            if label_B is None:
                raise ValueError("labels must be given: the network was built for classes")
            if keep_B is not None:
                label_B = torch.where(keep_B, label_B, self.classes)
            told_BE = told_BE + self.label(label_B)
        if self.augment is not None and augment_BA is not None:
            told_BE = told_BE + self.augment(augment_BA)
        token_BTE = heard_BT = None
        if self.word is not None and self.pooled is not None:
            if text_BT is None:
                raise ValueError("text must be given: the network was built for words")
            text_BT = self._or_null(text_BT, keep_B)
            token_BTE, heard_BT = self.word(text_BT), text_BT > 0
            count_B1 = heard_BT.sum(1, keepdim=True).clamp(min=1)
            told_BE = told_BE + self.pooled((token_BTE * heard_BT[:, :, None]).sum(1) / count_B1)
        return self.mix(told_BE), token_BTE, heard_BT

    def _or_null(self, text_BT: Tensor, keep_B: Tensor | None) -> Tensor:
        if keep_B is None:
            return text_BT
        null_BT = torch.zeros_like(text_BT)
        null_BT[:, 0] = self.words + 1
        return torch.where(keep_B[:, None], text_BT, null_BT)


class Trunk(nn.Module):
    """First convolution, encoder and middle: a list of maps, those that the decoder joins in, then the middle's."""

    def __init__(
        self, inputs: int, *, maps: int, widths: Sequence[int], blocks: int, embedding: int, dropout: float
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.map_stem = nn.Conv2d(maps, widths[0], 3, padding=1, bias=False) if maps else None
        self.steps = nn.ModuleList()
        self.features = [width for width in widths for _ in range(blocks)]  # of each map that it finds
        features = widths[0]
        for depth, width in enumerate(widths):
            for place in range(blocks):
                halved = depth > 0 and place == 0
                self.steps.append(Block(features, width, embedding=embedding, dropout=dropout, halves=halved))
                features = width
        self.middle = nn.ModuleList([
            Block(features, features, embedding=embedding, dropout=dropout),
            Attention(features, context=embedding),
            Block(features, features, embedding=embedding, dropout=dropout),
        ])  # fmt: skip

    def forward(
        self,
        folded_BCHW: Tensor,
        folded_BKHW: Tensor | None,
        told_BE: Tensor,
        token_BTE: Tensor | None,
        heard_BT: Tensor | None,
        *,
        hint_BFHW: Tensor | None = None,
    ) -> list[Tensor]:
        """One map for each block of the encoder, and the middle's; a hint joins after the first convolution."""
        x_BFHW, found = self.stem(folded_BCHW), []
        if self.map_stem is not None and folded_BKHW is not None:
            x_BFHW = x_BFHW + self.map_stem(folded_BKHW)
        if hint_BFHW is not None:
            x_BFHW = x_BFHW + hint_BFHW
        for step in self.steps:
            x_BFHW = step(x_BFHW, told_BE)
            found.append(x_BFHW)
        first, attention, last = self.middle
        x_BFHW = attention(first(x_BFHW, told_BE), token_BTE, heard_BT)
        return [*found, last(x_BFHW, told_BE)]


class Decoder(nn.Module):
    """From the smallest map up, joining in one map of the encoder at each block."""

    def __init__(self, outputs: int, *, widths: Sequence[int], blocks: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.joins, self.steps = nn.ModuleList(), nn.ModuleList()
        self.rises = []
        features = widths[-1]
        for depth in reversed(range(len(widths))):
            for place in range(blocks):
                self.rises.append(depth < len(widths) - 1 and place == 0)
                self.joins.append(nn.Conv2d(features + widths[depth], widths[depth], 1))
                features = widths[depth]
                self.steps.append(Block(features, features, embedding=embedding, dropout=dropout))
        self.norm = nn.GroupNorm(groups(features), features)
        self.head = nn.Conv2d(features, outputs, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, found: Sequence[Tensor], told_BE: Tensor) -> Tensor:
        """Pixels, still folded into channels."""
        *sides, x_BFHW = found
        for rises, join, step in zip(self.rises, self.joins, self.steps, strict=True):
            if rises:
                x_BFHW = F.interpolate(x_BFHW, scale_factor=2, mode="nearest")
            x_BFHW = step(join(torch.cat([x_BFHW, sides.pop()], 1)), told_BE)
        out_BFHW: Tensor = self.head(F.silu(self.norm(x_BFHW)))
        return out_BFHW

"""A small U-Net, plain or with attention gates, for two cores: no convolution but the last runs at full resolution.

B batch, C channels, H height, W width.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch import channels_last as CHANNELS_LAST

STAGES = 4  # maps of 1/2, 1/4, 1/8 and 1/16 of the side
HEAD = 4  # channels at full resolution, beside the image's


class UNet(nn.Module):
    """image_BCHW in [-1, 1] to logit_B1HW of the foreground; any size, any number of channels.

    Ronneberger et al. 2015, figure 1, with three changes for speed: squares of 2 x 2 pixels enter as channels and leave
    the same way, convolutions are padded and followed by batch norm, maps grow by bilinear interpolation. `gates`
    "attention" puts the gates of Oktay et al. 2018 on all skips but the first, which carries no more than the image.
    0.49 M parameters at width 16.
    """

    def __init__(self, channels: int, *, width: int = 16, gates: Literal["none", "attention"] = "none") -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(STAGES)]
        self.enter = nn.PixelUnshuffle(2)
        self.down = nn.ModuleList(
            _convolutions(inputs, outputs) for inputs, outputs in zip([4 * channels, *widths], widths, strict=False)
        )
        self.shrink = nn.MaxPool2d(2)
        self.up = nn.ModuleList(_convolutions(small + large, small) for small, large in _steps(widths))
        self.gates = nn.ModuleList(
            Gate(small, large) if gates == "attention" and small > width else Open() for small, large in _steps(widths)
        )
        self.leave = nn.Sequential(
            nn.Conv2d(width, 4 * HEAD, 1, bias=False), nn.PixelShuffle(2), nn.BatchNorm2d(HEAD), nn.ReLU()
        )
        self.head = nn.Conv2d(HEAD + channels, 1, 3, padding=1)
        self.to(memory_format=CHANNELS_LAST)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """logit_B1HW."""
        height, width = image_BCHW.shape[-2:]
        padded_BCHW = padded(image_BCHW, multiple=2**STAGES).contiguous(memory_format=CHANNELS_LAST)
        map_BCHW, skips = self.enter(padded_BCHW), []
        for stage, convolutions in enumerate(self.down):
            map_BCHW = convolutions(map_BCHW if stage == 0 else self.shrink(map_BCHW))
            skips.append(map_BCHW)
        for convolutions, gate, skip_BCHW in zip(self.up, self.gates, skips[-2::-1], strict=True):
            grown_BCHW = F.interpolate(map_BCHW, scale_factor=2, mode="bilinear", align_corners=False)
            map_BCHW = convolutions(torch.cat([gate(skip_BCHW, map_BCHW), grown_BCHW], dim=1))
        logit_B1HW: Tensor = self.head(torch.cat([self.leave(map_BCHW), padded_BCHW], dim=1))
        return logit_B1HW[..., :height, :width]


class Gate(nn.Module):
    """How much of a skip passes at each place, as the coarser map below decides (Oktay et al. 2018, equations 1-2)."""

    def __init__(self, skip: int, coarse: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(skip, skip, 2, stride=2, bias=False)
        self.coarse = nn.Conv2d(coarse, skip, 1)
        self.weigh = nn.Conv2d(skip, 1, 1)

    def forward(self, skip_BCHW: Tensor, coarse_BCHW: Tensor) -> Tensor:
        """The skip times its attention coefficients, which lie in [0, 1]."""
        weight_B1HW = self.weigh(F.relu(self.skip(skip_BCHW) + self.coarse(coarse_BCHW))).sigmoid()
        return skip_BCHW * F.interpolate(weight_B1HW, scale_factor=2, mode="bilinear", align_corners=False)


class Open(nn.Module):
    """A gate that lets everything pass."""

    def forward(self, skip_BCHW: Tensor, _: Tensor) -> Tensor:
        """The skip."""
        return skip_BCHW


def padded(image_BCHW: Tensor, *, multiple: int) -> Tensor:
    """The image with its last row and column repeated until both sides are multiples of a number."""
    height, width = image_BCHW.shape[-2:]
    right, below = -width % multiple, -height % multiple
    return F.pad(image_BCHW, (0, right, 0, below), mode="replicate") if right or below else image_BCHW


def _steps(widths: list[int]) -> list[tuple[int, int]]:
    """(channels of the skip, channels of the map below it), from the smallest map up."""
    return list(pairwise(widths))[::-1]


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
    )  # fmt: skip


class Padded(nn.Module):
    """A network of somebody else's that wants sides to be multiples of a number, for images of any size."""

    def __init__(self, net: nn.Module, *, multiple: int) -> None:
        super().__init__()
        self.net, self.multiple = net, multiple

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """What the network gives, as large as the image."""
        height, width = image_BCHW.shape[-2:]
        out_BCHW: Tensor = self.net(padded(image_BCHW, multiple=self.multiple))
        return out_BCHW[..., :height, :width]

"""A small residual network for two cores: few channels where the map is large, parameters where it is small.

B batch, C channels, H height, W width, D features.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch import channels_last as CHANNELS_LAST


class ResNet(nn.Module):
    """image_BCHW in [-1, 1] to features z_BD, D = `dim`; any size from 8 px, any number of channels.

    Squares of `patch` x `patch` pixels become channels (no pixel is lost and no convolution runs at full
    resolution), then stages of residual blocks (He 2015), as many as `blocks` says for each, every stage at half the
    size and twice the channels of the one before, then the mean over the map. The first stage may have none.
    """

    def __init__(
        self, channels: int, *, patch: int = 2, width: int = 16, blocks: tuple[int, ...] = (1, 1, 1, 1)
    ) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(len(blocks))]
        self.patch, self.dim = patch, widths[-1]
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(patch),
            nn.Conv2d(channels * patch**2, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        inputs = [width, *widths[:-1]]
        self.body = nn.Sequential(
            *(
                Block(inputs[stage] if block == 0 else widths[stage], widths[stage], halve=stage > 0 and block == 0)
                for stage, count in enumerate(blocks)
                for block in range(count)
            )
        )
        self.to(memory_format=CHANNELS_LAST)  # 1.2-1.4 times faster than channels first on two cores, 32 and 64 px

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """z_BD."""
        return self.map(image_BCHW).mean(dim=(2, 3))

    def map(self, image_BCHW: Tensor) -> Tensor:
        """map_BDHW, what the mean is taken of."""
        height, width = image_BCHW.shape[-2:]
        right, below = -width % self.patch, -height % self.patch
        if right or below:
            image_BCHW = F.pad(image_BCHW, (0, right, 0, below), mode="replicate")
        map_BDHW: Tensor = self.body(self.stem(image_BCHW.contiguous(memory_format=CHANNELS_LAST)))
        return map_BDHW


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut; `halve` halves the map (the shortcut by averaging, He 2019, ResNet-D)."""

    def __init__(self, inputs: int, outputs: int, *, halve: bool) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2 if halve else 1, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        shrink = nn.AvgPool2d(2, ceil_mode=True) if halve else nn.Identity()
        match = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)
        self.shortcut = nn.Sequential(shrink, match)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map after one more correction."""
        return F.relu(self.residual(map_BCHW) + self.shortcut(map_BCHW))

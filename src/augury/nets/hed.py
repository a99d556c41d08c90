"""HED: a VGG-16 whose five blocks each name the edges that they see (Xie and Tu 2015, section 3).

B batch, C channels, H height, W width, S side outputs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST = 16  # pixels: the image is halved four times
_BLOCKS = ((3, 64, 2), (64, 128, 2), (128, 256, 3), (256, 512, 3), (512, 512, 3))  # inputs, outputs, convolutions
_MEAN_BGR = (104.00699, 116.66877, 122.67892)  # what the weights' images were centred by


class HED(nn.Module):
    """image_BCHW in [-1, 1], grey or RGB, to edge_B1HW in [0, 1]; any size from 16 px.

    Names of the parameters as in the released weights: conv1_1 ... conv5_3, dsn1 ... dsn5, fuse.
    """

    mean_3: Tensor

    def __init__(self) -> None:
        super().__init__()
        for block, (inputs, outputs, count) in enumerate(_BLOCKS, start=1):
            for place in range(1, count + 1):
                layer = nn.Conv2d(inputs if place == 1 else outputs, outputs, 3, padding=1)
                self.add_module(f"conv{block}_{place}", layer)
            self.add_module(f"dsn{block}", nn.Conv2d(outputs, 1, 1))
        self.fuse = nn.Conv2d(len(_BLOCKS), 1, 1)
        self.register_buffer("mean_3", torch.tensor(_MEAN_BGR), persistent=False)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The fused probability of an edge (equation 7); ValueError below 16 px or for other than 1 or 3 channels."""
        channels, *size = image_BCHW.shape[1:]
        if channels not in (1, 3) or min(size) < LEAST:
            raise ValueError(f"got images of {channels} channels and {size} px; expected 1 or 3, from {LEAST} px")
        flow_BCHW = self._centred(image_BCHW)
        sides = []
        for block in range(1, len(_BLOCKS) + 1):
            flow_BCHW = self._block(flow_BCHW, block)
            side_B1hw = self.get_submodule(f"dsn{block}")(flow_BCHW)
            sides.append(F.interpolate(side_B1hw, size=size, mode="bilinear", align_corners=False))
        edge_B1HW: Tensor = self.fuse(torch.cat(sides, dim=1))
        return edge_B1HW.sigmoid()

    def _centred(self, image_BCHW: Tensor) -> Tensor:
        """BGR, 0 to 255, less the mean."""
        bgr_B3HW = image_BCHW.expand(-1, 3, -1, -1).flip(1)
        return (bgr_B3HW + 1) * 127.5 - self.mean_3[:, None, None]

    def _block(self, flow_BCHW: Tensor, block: int) -> Tensor:
        if block > 1:
            flow_BCHW = F.max_pool2d(flow_BCHW, 2)
        for place in range(1, _BLOCKS[block - 1][2] + 1):
            flow_BCHW = F.relu(self.get_submodule(f"conv{block}_{place}")(flow_BCHW))
        return flow_BCHW

"""A network whose output says which image this is and where its parts lie. B batch, C channels, H height, W width."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from augury.nets.resnet import ResNet

CELLS = 4  # of the pooled map on either side


class Descriptor(nn.Module):
    """image_BCHW in [-1, 1] to unit vectors z_BD, D = `dim`.

    The map is pooled to 4 x 4 cells, not to one: copies share their layout, look-alikes only their contents.
    """

    def __init__(self, channels: int, *, width: int = 16, dim: int = 128) -> None:
        super().__init__()
        self.dim = dim
        self.trunk = ResNet(channels, width=width)
        self.pool = nn.AdaptiveAvgPool2d(CELLS)
        self.head = nn.Linear(self.trunk.dim * CELLS**2, dim)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """z_BD of length 1."""
        return F.normalize(self.head(self.pool(self.trunk.map(image_BCHW)).flatten(1)), dim=1)

"""A plain convolutional autoencoder that keeps a quarter of the numbers of an image. B batch, C channels."""

from __future__ import annotations

from torch import Tensor, nn

COARSE_FROM = 48  # pixels: from here on the code's map has a quarter of the side, below it half


class Autoencoder(nn.Module):
    """image_BCHW to image_BCHW, both about [-1, 1]; sides that are no multiple of 4 come back as they were."""

    def __init__(self, channels: int, *, side: int, width: int = 32) -> None:
        super().__init__()
        halvings = 2 if side >= COARSE_FROM else 1
        down, up = [_down(channels, width)], [_up(width, width) for _ in range(halvings)]
        down += [_down(width, width) for _ in range(halvings - 1)]
        code = max(1, channels * 4**halvings // 4)
        self.factor = 2**halvings
        self.net = nn.Sequential(
            *down,
            nn.Conv2d(width, code, 3, padding=1),
            nn.Conv2d(code, width, 3, padding=1),
            nn.SiLU(),
            *up,
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The image after the round trip."""
        height, width = image_BCHW.shape[-2:]
        padding = (0, -width % self.factor, 0, -height % self.factor)
        drawn_BCHW: Tensor = self.net(nn.functional.pad(image_BCHW, padding, mode="replicate"))
        return drawn_BCHW[..., :height, :width]


def _down(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.SiLU())


def _up(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1), nn.SiLU())

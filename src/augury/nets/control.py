"""A branch that steers a finished denoiser by maps: ControlNet (Zhang 2023).

The denoiser keeps its weights. A copy of its trunk (encoder and middle) reads the same noisy image and, added after the
first convolution, the maps; what it finds goes through 1 x 1 convolutions that begin at zero into the decoder's joins
(equation 2), so that at first the branch changes nothing. B batch, C channels, K map channels, H height, W width,
T tokens, A augmentation numbers, F features.
"""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn

from augury.nets.denoiser import Denoiser, Trunk

HINTS = 16  # features of the maps' own convolutions at full resolution


class Steered(nn.Module):
    """A denoiser without maps and the branch beside it; called as a denoiser with maps is.

    Where the net folds squares of pixels, the maps come down to its first map by strided convolutions. Raises
    ValueError for a net with maps of its own, and for squares whose side is no power of two.
    """

    def __init__(self, net: Denoiser, *, maps: int) -> None:
        super().__init__()
        if net.null_map_K is not None:
            raise ValueError("got a network that is told maps; expected one that the branch alone tells them")
        self.net = net
        self.branch: Trunk = copy.deepcopy(net.trunk)
        self.null_map_K = nn.Parameter(torch.zeros(maps))
        self.hint = _hint(maps, features=net.trunk.stem.out_channels, patch=net.patch)
        self.gates = nn.ModuleList(
            _silent(nn.Conv2d(features, features, 1)) for features in [*net.trunk.features, net.trunk.features[-1]]
        )

    def train_only(self, part: Literal["net", "branch"]) -> None:
        """Freeze the other."""
        self.requires_grad_(part == "branch")
        self.net.requires_grad_(part == "net")

    def copy_trunk(self) -> None:
        """Let the branch begin as the trunk is now."""
        self.branch.load_state_dict(self.net.trunk.state_dict())

    def forward(
        self,
        image_BCHW: Tensor,
        noise_B: Tensor,
        *,
        label_B: Tensor | None = None,
        text_BT: Tensor | None = None,
        map_BKHW: Tensor,
        keep_B: Tensor | None = None,
        augment_BA: Tensor | None = None,
    ) -> Tensor:
        """As `Denoiser`."""
        told_BE, token_BTE, heard_BT = self.net.ear(
            noise_B, label_B=label_B, text_BT=text_BT, keep_B=keep_B, augment_BA=augment_BA
        )
        if keep_B is not None:
            map_BKHW = torch.where(keep_B[:, None, None, None], map_BKHW, self.null_map_K[:, None, None])
        folded_BCHW, _ = self.net.folded(image_BCHW, None, keep_B=None)
        found = self.branch(folded_BCHW, None, told_BE, token_BTE, heard_BT, hint_BFHW=self.hint(map_BKHW))
        control = [gate(one) for gate, one in zip(self.gates, found, strict=True)]
        steered_BCHW: Tensor = self.net(
            image_BCHW, noise_B, label_B=label_B, text_BT=text_BT, keep_B=keep_B, augment_BA=augment_BA,
            control=control,
        )  # fmt: skip
        return steered_BCHW


def _hint(maps: int, *, features: int, patch: int) -> nn.Sequential:
    """map_BKHW to as many features as the trunk's first convolution has, a patch-th of each side; at first zero."""
    halvings = patch.bit_length() - 1
    if patch != 2**halvings:
        raise ValueError(f"got squares of {patch} pixels a side, expected 1, 2, 4 or 8 for a branch")
    layers: list[nn.Module] = [nn.Conv2d(maps, HINTS, 3, padding=1), nn.SiLU()]
    width = HINTS
    for _ in range(halvings):
        layers += [nn.Conv2d(width, min(2 * width, features), 3, padding=1, stride=2), nn.SiLU()]
        width = min(2 * width, features)
    return nn.Sequential(*layers, _silent(nn.Conv2d(width, features, 3, padding=1)))


def _silent(conv: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv

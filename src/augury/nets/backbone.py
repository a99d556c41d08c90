"""Any timm network as features of images in [-1, 1]. B batch, C channels, H height, W width, D features."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Backbone(nn.Module):
    """image_BCHW in [-1, 1] to features z_BD, D = `dim`: resized to `side`, normalised as the network expects.

    Random weights, or with `file` those of a safetensors file of three-channel weights (summed over the channels
    where images have one). Raises ValueError where timm knows no such network or the file does not fit it.
    """

    def __init__(self, name: str, channels: int, *, side: int, file: Path | None = None) -> None:
        super().__init__()
        import timm  # 4 CPU seconds, for those only who ask for it

        if name not in timm.list_models():
            near = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.0)
            raise ValueError(
                f"timm has no backbone {name!r}; expected small or one of timm's, such as {', '.join(near)}"
            )
        overlay = None if file is None else {"file": str(file)}
        try:
            self.net: nn.Module = timm.create_model(
                name, pretrained=file is not None, in_chans=channels, num_classes=0, pretrained_cfg_overlay=overlay
            )
        except (RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())[:160]
            raise ValueError(f"the file is not of timm's {name}: {reason}") from error
        # Some networks widen the pooled map once more before the classifier.
        self.dim: int = getattr(self.net, "head_hidden_size", None) or self.net.num_features  # type: ignore[assignment]
        self.side = side
        usual: Any = self.net.pretrained_cfg
        self.mean: Tensor
        self.sd: Tensor
        self.register_buffer("mean", _per_channel(usual["mean"], channels), persistent=False)
        self.register_buffer("sd", _per_channel(usual["std"], channels), persistent=False)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """z_BD."""
        if image_BCHW.shape[-2:] != (self.side, self.side):
            image_BCHW = F.interpolate(
                image_BCHW, size=(self.side, self.side), mode="bilinear", align_corners=False, antialias=True
            )
        z_BD: Tensor = self.net(((image_BCHW + 1) / 2 - self.mean) / self.sd)
        return z_BD


def _per_channel(values: tuple[float, ...], channels: int) -> Tensor:
    """The network's normalisation, its mean where the images have another number of channels."""
    value_C = torch.tensor(values)
    if len(value_C) != channels:
        value_C = value_C.mean().expand(channels)
    return value_C.view(1, channels, 1, 1).clone()

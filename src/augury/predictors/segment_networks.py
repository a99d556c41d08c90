"""Which network draws the masks: our own small ones, MONAI's, or one of segmentation-models-pytorch."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import nn

from augury.conditions.shape import Shape
from augury.errors import UserError
from augury.nets.unet import Padded, UNet

NETWORKS = ("small", "attention", "monai", "smp:NAME")
_MONAI = (16, 32, 64, 128, 128, 256)  # channels of DiffBoost's attention U-Net, each stage at half the side


def build(name: str, shape: Shape, *, width: int) -> nn.Module:
    """image_BCHW to logit_B1HW, any size, random weights; `width` is of our own two.

    "monai" is MONAI's attention U-Net as DiffBoost configures it; "smp:resnet34" is the U-Net of
    segmentation-models-pytorch on that encoder. UserError for an unknown name, or where the library is not installed.
    """
    if name == "small":
        return UNet(shape.channels, width=width)
    if name == "attention":
        return UNet(shape.channels, width=width, gates="attention")
    if name == "monai":
        net = _library("monai.networks.nets", "monai").AttentionUnet(
            spatial_dims=2, in_channels=shape.channels, out_channels=1, channels=_MONAI, strides=(2,) * 5
        )
        return Padded(net, multiple=32)
    if name.startswith("smp:"):
        return Padded(_smp(name.removeprefix("smp:"), shape), multiple=32)
    raise UserError(f"got the network {name!r}; expected one of {', '.join(NETWORKS)}; correct the name")


def _smp(encoder: str, shape: Shape) -> nn.Module:
    library = _library("segmentation_models_pytorch", "segmentation-models-pytorch")
    if encoder not in library.encoders.get_encoder_names():
        raise UserError(
            f"segmentation-models-pytorch has no encoder {encoder!r}; expected one such as resnet34 or mobilenet_v2; "
            "write smp:resnet34"
        )
    net: nn.Module = library.Unet(encoder_name=encoder, encoder_weights=None, in_channels=shape.channels, classes=1)
    return net


def _library(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(
            f"the network needs the package {package}, which is not installed ({error}); expected it, or another "
            f"network; run `pip install {package}` or choose small or attention"
        ) from error

"""Which network reads the images: our own small one or any of timm's, with random or given weights."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from augury.conditions.shape import Shape
from augury.data.weights import load_weights, read_weights
from augury.errors import UserError
from augury.nets.backbone import Backbone
from augury.nets.resnet import ResNet


def build(name: str, shape: Shape, *, width: int, side: int) -> nn.Module:
    """The backbone "small" or timm's of that name, with random weights and a `dim`; UserError where there is none."""
    if name == "small":
        return _small(shape, width)
    return _timm(name, shape, side=side, file=None)


def load_given(backbone: nn.Module, name: str, shape: Shape, *, weights: Path) -> None:
    """Put the weights of a user's file into a backbone from `build`; UserError where they do not fit."""
    if isinstance(backbone, Backbone):
        expected = {key for key in backbone.net.state_dict() if not key.endswith("num_batches_tracked")}
        if missing := sorted(expected - read_weights(weights).keys()):  # timm would leave those random
            raise UserError(
                f"weights {str(weights)!r}: {missing[0]} and {len(missing) - 1} more are missing; expected all of "
                f"timm's {name}; name its file"
            )
        given = _timm(name, shape, side=backbone.side, file=weights)
        backbone.load_state_dict(given.state_dict())
    else:
        load_weights(backbone, weights)


def _timm(name: str, shape: Shape, *, side: int, file: Path | None) -> Backbone:
    try:
        return Backbone(name, shape.channels, side=side, file=file)
    except ValueError as error:
        where = "" if file is None else f"weights {str(file)!r}: "
        raise UserError(f"{where}{error}; name another backbone or file") from error


def _small(shape: Shape, width: int) -> ResNet:
    """Large images enter by larger squares and are halved before the first block, so that a step stays cheap."""
    side = max(shape.height, shape.width)
    patch = 2 if side <= 96 else 4
    return ResNet(shape.channels, patch=patch, width=width, blocks=(1 if side / patch <= 24 else 0, 1, 1, 1))

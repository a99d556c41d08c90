"""The networks of a `flow`: what its settings and the picture's shape make of them."""

from __future__ import annotations

import copy

import torch
from torch import nn

from augury.conditions.shape import Shape
from augury.errors import UserError
from augury.generators.flow_settings import FlowConfig
from augury.generators.flow_space import Space, space_for
from augury.generators.flow_warps import TOLD
from augury.nets.control import Steered
from augury.nets.denoiser import Denoiser
from augury.nets.power_average import History

LARGE = 32  # latents a side, from which on squares of them become channels


def build(config: FlowConfig, shape: Shape) -> nn.ModuleDict:
    """`mean` (which draws), `student` if there is one, `scale`, `history`; UserError where the sides do not fit."""
    if config.control == "branch" and not config.maps:
        raise UserError(
            f"control=branch with conditions={list(config.conditions)}: expected a map among them, such as mask or "
            "edges, for the branch to read; add one, or leave control out"
        )
    try:
        space = space_for(config.latent, shape)
        mean = _net(config, shape, space)
    except ValueError as error:
        latent = (
            ""
            if config.latent is None or not config.latent.serves(shape.height, shape.width)
            else (f"in latent space of factor {config.latent.factor}: ")
        )
        raise UserError(f"{latent}{error}; prepare the images at such a size") from error
    # Channels last in memory: a tenth faster on a CPU, the same numbers.
    mean = mean.to(memory_format=torch.channels_last)
    parameters = sum(weight.numel() for weight in mean.parameters())
    history = History(parameters, averages=len(config.lengths), snapshots=config.snapshots)
    nets = nn.ModuleDict({"mean": mean, "scale": space, "history": history})
    if config.extra:
        nets["student"] = copy.deepcopy(mean)
    return nets


def _net(config: FlowConfig, shape: Shape, space: Space) -> Denoiser | Steered:
    """The denoiser of the space's data, with its maps beside the image or in a branch."""
    height, width = shape.height // space.factor, shape.width // space.factor
    maps, beside = len(config.maps) * space.factor**2, config.control == "concat"
    net = Denoiser(
        space.channels,
        height=height,
        width=width,
        classes=shape.classes if "label" in config.conditions else 0,
        words=len(config.words),
        maps=maps if beside else 0,
        augments=TOLD if config.warps.chance else 0,
        patch=_patch(config, space, side=min(height, width)),
        widths=config.net.widths,
        blocks=config.net.blocks,
        dropout=config.net.dropout,
    )
    return net if beside else Steered(net, maps=maps)


def _patch(config: FlowConfig, space: Space, *, side: int) -> int | None:
    """Latents stand for many pixels already, so few of them become channels; None: what suits pixels."""
    if config.net.patch is not None or space.factor == 1:
        return config.net.patch
    return 1 if side <= LARGE else 2

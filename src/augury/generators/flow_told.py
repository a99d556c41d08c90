"""What a `flow` is told: a condition narrowed to what it was fitted with, or one line that says what is amiss.

B batch, T tokens, K map channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.errors import UserError
from augury.generators.flow_objective import Net
from augury.generators.flow_settings import FlowConfig
from augury.nets.control import Steered
from augury.nets.denoiser import Denoiser


def narrowed(condition: Condition, config: FlowConfig, shape: Shape) -> Condition:
    """Only the slots that the model knows, maps in its own order. What it does not know is left out.

    Raises:
        UserError: something that it was fitted with is missing, of another size or outside what it knows.
    """
    return Condition(
        label_B=_label(condition, shape) if "label" in config.conditions else None,
        text_BT=_text(condition, config) if "prompt" in config.conditions else None,
        map_BKHW=_maps(condition, config, shape) if config.maps else None,
        maps=config.maps,
        keep_B=condition.keep_B if condition.keep_B is not None else torch.ones(len(condition), dtype=torch.bool),
    )


def refuse_unknown(condition: Condition, config: FlowConfig) -> None:
    """Raises UserError where maps or a prompt are asked for that the model was not fitted with."""
    strange = [name for name in condition.maps if name not in config.maps]
    if condition.text_BT is not None and "prompt" not in config.conditions:
        strange.append("prompt")
    if strange:
        raise UserError(
            f"got {', '.join(strange)}; this model was fitted with {', '.join(config.conditions) or 'nothing'}; leave "
            "it out or fit one with it"
        )


def expect_pairs(train: Pairs, config: FlowConfig, shape: Shape) -> None:
    """Raises UserError where the training images are not what the model was built for."""
    wanted = (shape.channels, shape.height, shape.width)
    if train.shape != wanted:
        raise UserError(f"got images of shape {train.shape}, expected {wanted}; prepare them at the generator's size")
    if len(train) < 2:
        raise UserError(f"got {len(train)} training images, expected at least 2; give more images")
    if "label" in config.conditions:
        _label(train.condition, shape)
    if "prompt" in config.conditions:
        _text(train.condition, config)
    narrowed(train[torch.arange(1)][1], config, shape)


def hearing(net: Denoiser | Steered, condition: Condition, *, augment_BA: Tensor | None = None) -> Net:
    """The network, told this condition."""

    def told(x_BCHW: Tensor, noise_B: Tensor) -> Tensor:
        out_BCHW: Tensor = net(
            x_BCHW, noise_B, label_B=condition.label_B, text_BT=condition.text_BT, map_BKHW=condition.map_BKHW,
            keep_B=condition.keep_B, augment_BA=augment_BA,
        )  # fmt: skip
        return out_BCHW

    return told


def _label(condition: Condition, shape: Shape) -> Tensor:
    if condition.label_B is None:
        raise UserError("got no labels; this model was fitted with them; give each image a label")
    label_B, classes = condition.label_B, shape.classes
    outside_B = (label_B < 0) | (label_B >= classes)
    if condition.keep_B is not None:
        outside_B = outside_B & condition.keep_B
    if outside := int(outside_B.sum()):
        raise UserError(
            f"{outside} of {len(label_B)} labels are none of the {classes} classes (or empty); label those images or"
            " leave them out"
        )
    return label_B


def _text(condition: Condition, config: FlowConfig) -> Tensor:
    if condition.text_BT is None:
        raise UserError("got no prompt; this model was fitted with prompts; give one")
    text_BT = condition.text_BT
    if text_BT.ndim != 2 or text_BT.shape[1] < 1 or bool(((text_BT < 0) | (text_BT > len(config.words))).any()):
        raise UserError(
            f"got a prompt of shape {tuple(text_BT.shape)} with word ids up to {int(text_BT.max())}; expected ids from "
            f"0 to {len(config.words)}, a row an image; encode it with this model's words"
        )
    return text_BT


def _maps(condition: Condition, config: FlowConfig, shape: Shape) -> Tensor:
    missing = [name for name in config.maps if name not in condition.maps]
    if missing or condition.map_BKHW is None:
        raise UserError(
            f"got no {', '.join(missing)}; this model was fitted with {', '.join(config.conditions)}; give it to the "
            "condition's maps"
        )
    _, channels, height, width = condition.map_BKHW.shape
    if (channels, height, width) != (len(condition.maps), shape.height, shape.width):
        raise UserError(
            f"got {channels} maps of {height}x{width} pixels, expected {len(condition.maps)} of "
            f"{shape.height}x{shape.width}; prepare them at the model's size"
        )
    return condition.map_BKHW[:, [condition.maps.index(name) for name in config.maps]]

"""Where a `flow` starts that does not start from nothing: the weights of another one, fitted to other images.

What the two are told is matched by name: a class or word that the other did not know starts as its null, a map that it
was not given starts by changing nothing. The rest of the network must be the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from augury.conditions.shape import Shape
from augury.errors import UserError
from augury.generators.flow_settings import FlowConfig
from augury.generators.flow_space import Space
from augury.generators.latent_space import LatentSpace
from augury.nets.control import Steered
from augury.nets.denoiser import Denoiser


@dataclass(frozen=True, kw_only=True)
class Told:
    """A model's networks and settings, what it draws, and what its classes are called, in their order."""

    config: FlowConfig
    shape: Shape
    nets: nn.ModuleDict
    classes: Sequence[str]

    @property
    def mean(self) -> Denoiser | Steered:
        """The network that draws."""
        return self.nets["mean"]  # type: ignore[return-value]

    @property
    def space(self) -> Space:
        """Where it works."""
        return self.nets["scale"]  # type: ignore[return-value]


def expect_same(mine: Told, theirs: Told) -> None:
    """Raises UserError where the two are not of one network, with all that differs."""
    wanted, got = _build(mine), _build(theirs)
    differing = [name for name in wanted if wanted[name] != got[name]]
    if differing:
        raise UserError(
            "the model to start from has "
            + ", ".join(f"{name} {got[name]}" for name in differing)
            + "; expected "
            + ", ".join(f"{name} {wanted[name]}" for name in differing)
            + f", as is asked for here; it draws {_drawn(theirs.shape)}, here {_drawn(mine.shape)}; set these alike, "
            "or start from another model"
        )


def _drawn(shape: Shape) -> str:
    return f"{shape.height}x{shape.width} pixels in {shape.channels} channel{'s' * (shape.channels > 1)}"


def _build(told: Told) -> dict[str, Any]:
    """What makes a network of one size."""
    net, space = told.mean.net if isinstance(told.mean, Steered) else told.mean, told.space
    width = space.autoencoder.encoder[1].out_channels if isinstance(space, LatentSpace) else 0
    return {
        "objective": told.config.objective,
        "image channels": told.shape.channels,
        "latent (factor, channels, width)": (space.factor, space.channels, width) if width else "null",
        "net.patch": net.patch,
        "net.widths": sorted(set(net.trunk.features)),
        "net.blocks": told.config.net.blocks,
    }


@torch.no_grad()
def inherit(mine: Told, theirs: Told) -> None:
    """Write their averaged weights into my network, and their autoencoder's, if there is one, into mine.

    Raises:
        UserError: they are not of one network, or their maps lie beside the image and mine go through a branch.
    """
    expect_same(mine, theirs)
    given = dict(theirs.mean.state_dict())
    if isinstance(mine.mean, Steered) != isinstance(theirs.mean, Steered):
        given = _for_a_branch(mine, theirs, given)
    state = mine.mean.state_dict()
    index_of = _places(mine, theirs)
    for name, value in state.items():
        if name in given:
            value.copy_(_matched(name, given[name], index_of))
        elif name.endswith("map_stem.weight"):  # they were told no map
            value.zero_()
    if isinstance(mine.space, LatentSpace):
        mine.space.load_state_dict(theirs.space.state_dict())


def _for_a_branch(mine: Told, theirs: Told, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A model without maps as the trunk, which the branch begins as a copy of."""
    if not isinstance(mine.mean, Steered) or theirs.config.maps:
        raise UserError(
            f"the model to start from has control={theirs.config.control} with {', '.join(theirs.config.maps)}; "
            f"expected control={mine.config.control}, as is asked for here, or for a branch a model without maps; set "
            "control alike, or start from another model"
        )
    inner = {f"net.{name}": value for name, value in given.items()}
    outer = {f"branch{name[5:]}": value for name, value in given.items() if name.startswith("trunk.")}
    return inner | outer


def _places(mine: Told, theirs: Told) -> dict[str, Tensor]:
    """For each place of a table of mine, whose order names decide, the place in theirs; -1 where they have none."""
    null_label, null_word = len(theirs.classes), len(theirs.config.words) + 1
    label = [_place(name, theirs.classes, null_label) for name in mine.classes]
    word = [_place(name, theirs.config.words, null_word - 1) + 1 for name in mine.config.words]
    cell = mine.space.factor**2
    maps = [_place(name, theirs.config.maps, -1) for name in mine.config.maps]
    map_K = torch.tensor([-1 if k < 0 else k * cell + i for k in maps for i in range(cell)], dtype=torch.int64)
    square = (mine.mean.net if isinstance(mine.mean, Steered) else mine.mean).patch ** 2
    map_X, inner_X = map_K.repeat_interleave(square), torch.arange(square).repeat(len(map_K))
    return {
        "ear.label.weight": torch.tensor([*label, null_label]),
        "ear.word.weight": torch.tensor([0, *word, null_word]),
        "null_map_K": map_K,
        "hint.0.weight": map_K,
        "map_stem.weight": torch.where(map_X < 0, -1, map_X * square + inner_X),
    }


def _place(name: str, names: Sequence[str], otherwise: int) -> int:
    return names.index(name) if name in names else otherwise


def _matched(name: str, value: Tensor, index_of: Mapping[str, Tensor]) -> Tensor:
    """Their value with its rows (its inputs, for a convolution) in my order; zeros for a map that they do not know."""
    found = next((index for end, index in index_of.items() if name.endswith(end)), None)
    if found is None:
        return value
    found, axis = found.to(value.device), int(value.ndim == 4)
    kept = (found >= 0).view([-1 if place == axis else 1 for place in range(value.ndim)])
    return value.index_select(axis, found.clamp(min=0)) * kept

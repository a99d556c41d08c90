"""Weights as safetensors files: read with suspicion, since users bring them from anywhere. Never a pickle."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from augury.data.cache import blame_full_disk
from augury.errors import UserError


def save_weights(module: nn.Module, path: Path) -> None:
    """Write the module's parameters and buffers. UserError where the disk is full."""
    values = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    with blame_full_disk(path.parent):
        save_file(values, path)


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, on the CPU.

    Raises:
        UserError: there is no such file, it is of another format (a pickle by that name), or holds NaN or infinity.
    """
    if not path.is_file():
        raise UserError(f"weights {str(path)!r}: no such file; expected a .safetensors file; correct the path")
    try:
        values = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"weights {str(path)!r}: not a safetensors file ({_one_line(error)}); expected one, since pickles can run "
            "code; convert it with safetensors.torch.save_file"
        ) from error
    for name, value in values.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise UserError(f"weights {str(path)!r}: {name} holds NaN or infinity; expected numbers; get the file anew")
    return values


def load_weights(module: nn.Module, path: Path) -> None:
    """Read a file into a module of exactly these names and shapes; UserError otherwise."""
    given, expected = read_weights(path), module.state_dict()
    if name := next(iter(sorted(given.keys() ^ expected.keys())), None):
        where = "is missing" if name in expected else "is unknown"
        raise UserError(f"weights {str(path)!r}: {name} {where}; expected those of this network; name another file")
    for name, value in given.items():
        if value.shape != expected[name].shape:
            raise UserError(
                f"weights {str(path)!r}: {name} has shape {tuple(value.shape)}, expected "
                f"{tuple(expected[name].shape)}; name the file of this network"
            )
    module.load_state_dict(given)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]

"""What a reader hands over: pixels, and what was done to them; or why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from augury.errors import UserError


class UnreadableImage(UserError):
    """A file that cannot be decoded. The text is the reason alone; whoever lists files adds the name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """Decoded pixels (H, W) or (H, W, 3), the bytes of its file (its share, where that holds many), and what was done.

    `notes` are sentences for people, the same for all files of a kind, so that they can be counted. `applied` are facts
    for programs, of this file alone: where it has "slope" and "intercept", the value in the file's own unit is
    pixel * slope + intercept.
    """

    pixels: NDArray[Any]
    file_size: int = 0
    notes: tuple[str, ...] = ()
    applied: Mapping[str, str] = field(default_factory=dict)


def number(value: float) -> str:
    """A number as `applied` writes it: float() of it gives the same number again.

    >>> number(0.0625), number(-1024.0)
    ('0.0625', '-1024')
    """
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))

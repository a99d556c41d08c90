"""Which slices of a volume become images: a rule that is written in a word, and said in the notes.

middle:8         eight slices, evenly spaced over the middle half of the axis (what is done when nothing is said)
every:3          every third slice, from the first
all              every slice
mask             those in which the volume's mask is anything but background
...,axis:coronal along another axis than axial (or sagittal)
...,volume:0     of a fourth dimension that volume; without it a fourth dimension is refused
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from augury.errors import UserError

AXES = ("sagittal", "coronal", "axial")  # of the frame RAS+: 0, 1, 2
EXPECTED = "expected middle:N, every:N, all or mask, with ,axis:axial|coronal|sagittal or ,volume:N where needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRule:
    """Slices by number (`middle`, `every`) or by content (`mask`), along one axis of RAS+."""

    pick: Literal["middle", "every", "mask"] = "middle"
    count: int = 8  # how many in the middle; or every how manieth
    axis: int = 2
    volume: int | None = None  # of a fourth dimension; None: there must be none

    @staticmethod
    def parse(text: str) -> SliceRule:
        """The rule that a word states; UserError for one that states none.

        >>> SliceRule.parse("every:3,axis:coronal")
        SliceRule(pick='every', count=3, axis=1, volume=None)
        """
        first, *rest = text.strip().lower().split(",")
        options = dict(part.partition(":")[::2] for part in rest)
        word, _, number = first.partition(":")
        axis, volume = options.pop("axis", AXES[2]), options.pop("volume", None)
        numbers = [one for one in (number or "1", volume or "0") if not (one.isascii() and one.isdigit())]
        good = word in ("middle", "every", "mask", "all") and not (number and word in ("mask", "all"))
        if not good or options or numbers or axis not in AXES or number == "0":
            raise UserError(f"the rule for slices {text!r} is none; {EXPECTED}")
        if word == "all":
            return SliceRule(pick="every", count=1, axis=AXES.index(axis), volume=_whole(volume))
        count = int(number) if number else (8 if word == "middle" else 1)
        return SliceRule(pick=word, count=count, axis=AXES.index(axis), volume=_whole(volume))  # type: ignore[arg-type]

    def indices(self, length: int, *, masked: Sequence[int] | None = None) -> list[int]:
        """The chosen indices of an axis of `length` slices; `masked` are those with mask, None where there is none.

        >>> SliceRule(count=3).indices(9), SliceRule(pick="every", count=4).indices(9)
        ([2, 4, 6], [0, 4, 8])
        """
        if self.pick == "mask":
            return [int(index) for index in masked or ()]
        if self.pick == "every":
            return list(range(0, length, self.count))
        ends = (length - 1) / 4, (length - 1) * 3 / 4
        places = np.linspace(*ends, self.count) if self.count > 1 else np.array([(length - 1) / 2])
        return sorted({int(index) for index in np.floor(places + 0.5)})

    def __str__(self) -> str:
        what = {"middle": f"the middle {self.count}", "every": f"every {self.count}th", "mask": "those with mask"}
        named = "every one" if (self.pick, self.count) == ("every", 1) else what[self.pick]
        return f"{named}, {AXES[self.axis]}" + ("" if self.volume is None else f", of volume {self.volume}")


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)

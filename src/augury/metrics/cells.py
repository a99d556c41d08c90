"""What the arms of a study predicted on one fold's test items.

A arms, S seeds, N items, C cells, K columns: a probability for each class, or a measure of each item (Dice, ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One fold of one repeat: its items, the group of each (coded over the whole study), what every arm said of each.

    `label_N` are the strata of resampling: the class of each item, from 0.
    """

    fold: int
    repeat: int
    label_N: IntArray
    group_N: IntArray
    value_ASNK: NDArray[np.float32]

    def __post_init__(self) -> None:
        shape = self.value_ASNK.shape
        if len(shape) != 4 or not shape[2] == len(self.label_N) == len(self.group_N) > 0:
            raise ValueError(
                f"a cell needs one label and group per item and values [arm, seed, item, column], got "
                f"{len(self.label_N)} labels, {len(self.group_N)} groups and values {shape}"
            )


def stratum_of_groups(cells: Sequence[Cell]) -> tuple[IntArray, IntArray]:
    """The groups that occur (sorted codes) and the stratum of each: its items' commonest label (the lower on a tie)."""
    label = np.concatenate([cell.label_N for cell in cells])
    code_G, group = np.unique(np.concatenate([cell.group_N for cell in cells]), return_inverse=True)
    count_GK = np.zeros((len(code_G), int(label.max()) + 1), dtype=np.int64)
    np.add.at(count_GK, (group, label), 1)
    return code_G.astype(np.int64), count_GK.argmax(axis=1).astype(np.int64)

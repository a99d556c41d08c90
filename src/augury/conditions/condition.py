"""What a generator may be told: five kinds of condition in three tensor slots.

B batch, T tokens, K map channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Label, text and maps of a batch; a slot that is None is not used."""

    label_B: Tensor | None = None  # int64
    text_BT: Tensor | None = None  # int64 ids of a closed vocabulary
    map_BKHW: Tensor | None = None  # float32 in [0, 1]
    maps: tuple[str, ...] = ()  # what the K channels are
    keep_B: Tensor | None = None  # bool; False: dropped, so nets add a learned null

    def __len__(self) -> int:
        return next((len(value) for value in self._tensors().values()), 0)

    def __getitem__(self, index: Tensor | slice) -> Condition:
        return self._map(lambda value: value[index])

    def to(self, device: torch.device | str) -> Condition:
        """The same condition on a device."""
        return self._map(lambda value: value.to(device))

    def labels(self) -> Tensor:
        """The labels; an error where there are none."""
        if self.label_B is None:
            raise ValueError("this generator needs label conditions and was given none; pass Condition(label_B=...)")
        return self.label_B

    def _tensors(self) -> dict[str, Tensor]:
        slots = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in slots.items() if isinstance(value, Tensor)}

    def _map(self, change: Callable[[Tensor], Tensor]) -> Condition:
        return replace(self, **{name: change(value) for name, value in self._tensors().items()})  # type: ignore[arg-type]

"""Pixels with their conditions, indexed by a tensor.

N images, B batch, C channels, K map channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augury.conditions.condition import Condition


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Images and what is known of each: `pairs[index_B]` gives (image_BCHW in [-1, 1], Condition).

    `pixels_NCHW` is uint8 or uint16 (a memory map will do) or float32 that already lies in [-1, 1]. `map_NKHW`, if
    there is one, holds the maps of all images (a memory map will do), 255 meaning 1; `maps` names its channels, among
    them "mask", what a segmenter is to find. They come as the condition's map_BKHW.
    """

    pixels_NCHW: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
    condition: Condition
    classes: int
    group_N: Tensor | None = None  # int64: which patient, or group of images, each is of; None: not told
    map_NKHW: NDArray[np.uint8] | None = None
    maps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.pixels_NCHW) != len(self.condition):
            raise ValueError(f"{len(self.pixels_NCHW)} images but {len(self.condition)} conditions; give one each")
        count, _, *sides = self.pixels_NCHW.shape
        shape = None if self.map_NKHW is None else self.map_NKHW.shape
        if shape != ((count, len(self.maps), *sides) if self.maps else None):
            raise ValueError(
                f"maps of shape {shape} for {count} images of {sides}, named {self.maps}; give each a name"
            )

    def __len__(self) -> int:
        return len(self.pixels_NCHW)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        _, channels, height, width = self.pixels_NCHW.shape
        return channels, height, width

    @property
    def label_N(self) -> Tensor:
        """All labels, int64."""
        return self.condition.labels()

    def __getitem__(self, index_B: Tensor) -> tuple[Tensor, Condition]:
        index_b, condition = index_B.cpu().numpy(), self.condition[index_B]
        if self.map_NKHW is not None:
            map_BKHW = torch.from_numpy(self.map_NKHW[index_b].astype(np.float32)).div_(255)
            condition = replace(condition, map_BKHW=map_BKHW, maps=self.maps)
        return to_unit(np.asarray(self.pixels_NCHW[index_b])), condition

    def channel(self, name: str) -> NDArray[np.uint8]:
        """map_NHW of this name, 0 .. 255; ValueError where there is none."""
        if self.map_NKHW is None or name not in self.maps:
            raise ValueError(f"got no map {name!r}, only {self.maps}; make the pairs with it")
        return self.map_NKHW[:, self.maps.index(name)]

    def subset(self, index_n: Tensor) -> Pairs:
        """The pairs at these positions."""
        return replace(
            self, pixels_NCHW=self.pixels_NCHW[index_n.numpy()], condition=self.condition[index_n],
            group_N=None if self.group_N is None else self.group_N[index_n],
            map_NKHW=None if self.map_NKHW is None else self.map_NKHW[index_n.numpy()],
        )  # fmt: skip


def to_unit(pixels: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]) -> Tensor:
    """Stored pixels as float32 in [-1, 1]: 0 becomes -1, the largest integer becomes 1; floats pass unchanged."""
    if pixels.dtype == np.float32:
        return torch.from_numpy(np.ascontiguousarray(pixels))
    largest = 255.0 if pixels.dtype == np.uint8 else 65535.0
    return torch.from_numpy(pixels.astype(np.float32)).mul_(2.0 / largest).sub_(1.0)


def to_uint8(image_BCHW: Tensor) -> NDArray[np.uint8]:
    """Images in [-1, 1] as stored bytes (rounded, clipped)."""
    return ((image_BCHW.detach().float().cpu() + 1.0) * 127.5).round_().clamp_(0, 255).to(torch.uint8).numpy()

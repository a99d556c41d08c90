"""The shape of what a generator draws and a predictor reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Channels, height and width of an image, and the number of classes."""

    channels: int
    height: int
    width: int
    classes: int

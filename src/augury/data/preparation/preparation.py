"""What a store's images have in common: size, channels, and what is done to each of them on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from augury.data.preparation.windows import HOUNSFIELD
from augury.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What is done to every image, in this order.

    Field of view or border, median, Hounsfield window or clip, resize, CLAHE, black outside the field, letterbox,
    channels. Everything but the size is off unless asked for.
    """

    size: tuple[int, int]  # height, width
    channels: Literal[1, 3] | None = None  # None: one if every image is grey, or grey in effect
    fit: Literal["stretch", "pad"] = "stretch"  # pad keeps the aspect ratio, with black beside
    clip: tuple[float, float] | None = None  # percentiles of each image that become black and white
    clip_over: Literal["image", "foreground"] = "image"  # foreground: what is above 2 % of the image's maximum
    crop_border: bool = False  # cut away empty rows and columns at the margins, where no field of view was found
    field_of_view: bool = False  # find the bright circle, crop its square, make black what lies outside
    median: bool = False  # 3 x 3, against speckle
    window: str | None = None  # of HOUNSFIELD, for CT whose values are known; None: none
    clahe: bool = False  # contrast-limited adaptive histogram equalisation

    def __post_init__(self) -> None:
        if not all(1 <= side <= 8192 for side in self.size):
            raise UserError(
                f"got a size of {self.size[0]}x{self.size[1]}; expected sides from 1 to 8192: change --size"
            )
        if self.clip is not None and not 0.0 <= self.clip[0] < self.clip[1] <= 100.0:
            raise UserError(f"got clip percentiles {self.clip}; expected 0 <= low < high <= 100: change them")
        if self.window is not None and self.window not in HOUNSFIELD:
            raise UserError(
                f"got the Hounsfield window {self.window!r}; expected one of {', '.join(HOUNSFIELD)}: correct it"
            )
        if self.window is not None and self.clip is not None:
            raise UserError(
                f"got the Hounsfield window {self.window!r} and clip percentiles {self.clip}; expected one of the two: "
                "set preparation.clip=null or preparation.window=null"
            )

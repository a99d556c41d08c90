"""May a generator learn in latent space? Only if small lesions come back from it, which is measured here.

Where masks are known: contrast of each lesion against its ring, before and after the round trip. Where not: discs of
known size and contrast are planted into real images, and what they add to the reconstruction is compared with what
they are. N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augury.metrics.lesion_contrast import Contrasts, lesion_contrasts

RoundTrip = Callable[[Tensor], Tensor]  # image_BCHW to what comes back

CONTRAST = 0.3  # of a planted disc; images span 2
SIZES = (1.0, 1.5, 2.0, 3.0)  # radii of planted discs, as multiples of the smallest that matters
FEWEST = 3  # lesions that make a measurement


@dataclass(frozen=True, kw_only=True)
class Survival:
    """What a round trip leaves of lesions' contrast: of all, and of the smallest."""

    source: Literal["masks", "planted"]
    every: float  # share of contrast, slope through the origin
    smallest: float
    lesions: int
    small: int  # how many of them are the smallest
    largest: int  # pixels of the largest of these

    def in_words(self) -> str:
        """Such as "0.62 of the contrast of the 4 smallest of 12 masked lesions (up to 14 pixels)"."""
        kind = "masked lesions" if self.source == "masks" else "planted discs"
        which = f"the {self.small} smallest of {self.lesions} {kind} (up to {self.largest} pixels)"
        return f"{self.smallest:.2f} of the contrast of {which}"


def survival(
    round_trip: RoundTrip, image_NCHW: Tensor, mask_NHW: NDArray[np.bool_] | None, *, radius: float, seed: int
) -> Survival:
    """Measured on masked lesions where there are `FEWEST` with a contrast, else on discs planted from `radius` on."""
    if mask_NHW is not None and mask_NHW.any():
        returned_NCHW = round_trip(image_NCHW).clamp(-1.0, 1.0)
        found = lesion_contrasts(image_NCHW.numpy(), returned_NCHW.numpy(), mask_NHW)
        if len(found) >= FEWEST and np.isfinite(found.smallest_third().surviving()):
            return _survival("masks", found, found.smallest_third())
    return _planted(round_trip, image_NCHW, radius=radius, seed=seed)


def _planted(round_trip: RoundTrip, image_NCHW: Tensor, *, radius: float, seed: int) -> Survival:
    rng, plain_NCHW = np.random.default_rng(seed), round_trip(image_NCHW)
    found = []
    for size in SIZES:
        disc_NHW = discs(image_NCHW.mean(1).numpy(), radius=radius * size, rng=rng)
        disc_NCHW = torch.from_numpy(disc_NHW)[:, None].expand_as(image_NCHW)
        added_NCHW = round_trip(image_NCHW + disc_NCHW) - plain_NCHW
        found.append(lesion_contrasts(disc_NCHW.numpy(), added_NCHW.numpy(), np.abs(disc_NHW) > CONTRAST / 2))
    return _survival("planted", Contrasts.joined(found), found[0])


def discs(grey_NHW: NDArray[np.float32], *, radius: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A disc in each image, `CONTRAST` brighter where it is dark and darker where it is bright, 0 around it.

    It lies in the brighter half of the picture, where the tissue is, and has an edge one pixel wide.
    """
    count, height, width = grey_NHW.shape
    weight_NHW = (grey_NHW >= np.median(grey_NHW, axis=(1, 2), keepdims=True)) * 1.0
    margin = min(int(radius) + 5, min(height, width) // 3)
    inner = (slice(None), slice(margin, height - margin), slice(margin, width - margin))
    allowed_NHW = np.full_like(weight_NHW, 1e-9)
    allowed_NHW[inner] = weight_NHW[inner] + 1e-6
    y_HW, x_HW = np.mgrid[:height, :width]
    disc_NHW = np.zeros_like(grey_NHW, dtype=np.float32)
    for i in range(count):
        chance_X = allowed_NHW[i].ravel() / allowed_NHW[i].sum()
        y, x = divmod(int(rng.choice(height * width, p=chance_X)), width)
        covered_HW = np.clip(radius + 0.5 - np.hypot(y_HW - y, x_HW - x), 0, 1)
        here = float((grey_NHW[i] * covered_HW).sum() / covered_HW.sum())
        disc_NHW[i] = covered_HW * (-CONTRAST if here > 0 else CONTRAST)
    return disc_NHW


def _survival(source: Literal["masks", "planted"], found: Contrasts, small: Contrasts) -> Survival:
    return Survival(
        source=source, every=found.surviving(), smallest=small.surviving(), lesions=len(found), small=len(small),
        largest=int(small.area_L.max(initial=0)),
    )  # fmt: skip

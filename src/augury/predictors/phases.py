"""What a predictor is trained on and when: phases of steps, each step on one source of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from augury.conditions.pairs import Pairs


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Synthetic siblings that share the masks of a source's images, and how both are mixed (Zhang et al. 2024).

    `sibling_NK` (int64) are the positions in `siblings` of the K siblings of each of the source's N images. A step
    reads an image and a random one of its K. The logits are those of the real image with probability `real` in each
    square of a grid, whose side is `patch` of the image's longer side, and of the sibling elsewhere. Such a step has
    two forward passes. Of segmenters only.
    """

    siblings: Pairs
    sibling_NK: Tensor
    real: float = 0.6  # the paper's alpha
    patch: float = 64 / 384  # the paper's 64 pixels of 384


@dataclass(frozen=True, kw_only=True)
class Source:
    """Labelled images, their share of the phase's steps, and the weight of their loss.

    With `fade` the weight falls to 0, linearly, over the last third of the phase. `merge`: None, or the siblings that
    are read beside the images.
    """

    pairs: Pairs
    share: float = 1.0
    weight: float = 1.0
    fade: bool = False
    merge: Merge | None = None

    def __post_init__(self) -> None:
        if self.merge is not None and len(self.merge.sibling_NK) != len(self.pairs):
            raise ValueError(
                f"siblings of {len(self.merge.sibling_NK)} images for {len(self.pairs)}; give each its own"
            )

    def weight_at(self, progress: float) -> float:
        """The loss's weight when `progress` of the phase, in [0, 1], is done."""
        return self.weight * (min(1.0, 3.0 * (1.0 - progress)) if self.fade else 1.0)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """So many steps; each draws its whole batch from one of the sources, which take turns in proportion to share.

    N steps on real and rN on synthetic images: Phase(sources=(Source(real), Source(synthetic, share=r)),
    steps=(1 + r) N).
    """

    sources: tuple[Source, ...]
    steps: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One step: which source (`draw` numbers the sources over all phases), how often it had a turn, how far we are."""

    source: Source
    draw: int
    count: int
    progress: float  # of the phase when the step begins, in [0, 1)
    rate: float  # factor of the learning rate


def turns(phases: Sequence[Phase], *, warm_up: float) -> list[Turn]:
    """All steps in order; every phase has a warm-up and a cosine of its own."""
    schedule: list[Turn] = []
    draw = 0
    for phase in phases:
        counts = [0] * len(phase.sources)
        total = sum(source.share for source in phase.sources)
        for step in range(phase.steps):
            owed = [s.share / total * (step + 1) - count for s, count in zip(phase.sources, counts, strict=True)]
            place = owed.index(max(owed))
            progress = step / phase.steps
            schedule.append(
                Turn(phase.sources[place], draw + place, counts[place], progress, rate(progress, warm_up=warm_up))
            )
            counts[place] += 1
        draw += len(phase.sources)
    return schedule


def rate(progress: float, *, warm_up: float) -> float:
    """A linear rise over the first `warm_up` of the way, then half a cosine to 0 (Loshchilov and Hutter 2017, eq. 5).

    >>> rate(0.05, warm_up=0.1), rate(0.1, warm_up=0.1), round(rate(1.0, warm_up=0.1), 9)
    (0.5, 1.0, 0.0)
    """
    if progress < warm_up:
        return max(progress / warm_up, 0.02)
    return 0.5 * (1.0 + math.cos(math.pi * (progress - warm_up) / (1.0 - warm_up)))

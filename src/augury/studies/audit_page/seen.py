"""What an audit hands to its page: audit.json, and what it saw on the way to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_PAIRS = 24


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """A synthetic image and the training image that it is nearest to, as the audit saw them."""

    synthetic: NDArray[np.uint8]  # (H, W) or (H, W, 3)
    train: NDArray[np.uint8]  # turned as the synthetic one lies
    score: float  # correlation of registered texture, -1 to 1
    flagged: bool
    label: str | None  # None: no class is known


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What the page shows beside audit.json. S synthetic images, C controls."""

    facts: Mapping[str, Any]  # audit.json
    pairs: Sequence[Pair]  # highest score first; the first MOST_PAIRS are shown
    score_S: NDArray[np.float64]
    control_C: NDArray[np.float64]  # scores of real images that cannot be copies
    threshold: float  # a higher score is flagged
    values: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]  # statistic of an image -> (held-out real, synthetic)

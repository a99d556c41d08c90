"""Prepared phantoms for the tests of what a generator remembers: one image a patient."""

from __future__ import annotations

import numpy as np
import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.data.importers import load
from augury.data.preparation.preparation import Preparation
from augury.data.store import prepare


def phantom_pairs(n: int, *, seed: int, size: int = 16) -> Pairs:
    """`n` brains of `n` patients."""
    manifest = load(f"phantom:brain?n={n}&seed={seed}&slices_per_patient=1&size=32")
    pixels = np.array(prepare(manifest, Preparation(size=(size, size))).pixels_NCHW)
    condition = Condition(label_B=torch.from_numpy(manifest.label_N))
    return Pairs(pixels_NCHW=pixels, condition=condition, classes=len(manifest.classes))

"""The best Pearson correlation of an image with any training image, over flips, quarter turns and shifts of a pixel.

Nothing is learned and nothing is left out: it checks the detector, whose candidates an encoder names. N queries, T
training images, P pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from augury.data.registration import Floats, oriented
from augury.data.sample import IntArray

SIDE, MARGIN = 32, 2  # pixels of the compared image; its frame, from which a shifted window may look out
_QUERIES = 256


def best_correlation(
    thumb_NHW: Floats, train_THW: Floats, *, group_N: IntArray | None = None, group_T: IntArray | None = None,
    device: str = "cpu",
) -> NDArray[np.float64]:  # fmt: skip
    """best_N in [-1, 1]; with groups, no training image of the query's own group counts."""
    train_TP = _windows(_small(train_THW), shifts=[(0, 0)])[0].to(device)
    steps = (-MARGIN // 2, 0, MARGIN // 2)
    shifts = [(down, right) for down in steps for right in steps]
    best = []
    for start in range(0, len(thumb_NHW), _QUERIES):
        part = thumb_NHW[start : start + _QUERIES]
        own_nT = None
        if group_N is not None and group_T is not None:
            own_nT = torch.from_numpy(group_N[start : start + _QUERIES, None] == group_T[None]).to(device)
        best_n = torch.full((len(part),), -1.0, device=device)
        for code in range(8):
            small = _small(oriented(part, np.full(len(part), code)))
            for window_nP in _windows(small, shifts=shifts):
                alike_nT = window_nP.to(device) @ train_TP.T
                if own_nT is not None:
                    alike_nT.masked_fill_(own_nT, -1.0)
                best_n = torch.maximum(best_n, alike_nT.amax(1))
        best.append(best_n.double().cpu().numpy())
    return np.concatenate([*best, np.empty(0)])


def _small(thumb_NHW: Floats) -> Tensor:
    return F.adaptive_avg_pool2d(torch.from_numpy(np.ascontiguousarray(thumb_NHW))[:, None], SIDE)[:, 0]


def _windows(small_Nyx: Tensor, *, shifts: list[tuple[int, int]]) -> list[Tensor]:
    """The inner window at each shift as vectors of mean 0 and length 1."""
    side, found = SIDE - 2 * MARGIN, []
    for down, right in shifts:
        rows, columns = slice(MARGIN + down, MARGIN + down + side), slice(MARGIN + right, MARGIN + right + side)
        window_NP = small_Nyx[:, rows, columns].flatten(1)
        found.append(F.normalize(window_NP - window_NP.mean(1, keepdim=True), dim=1))
    return found

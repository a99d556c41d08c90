"""Finds, for any image, the training image that it looks copied from, and says how well the two agree.

In two stages: a learned encoder names a few training images, under all eight flips and quarter turns; each is then
registered, and the score is the correlation of the registered texture. The first stage is quick and forgiving, the
second knows nothing that it learned, so scores of seen and of unseen images are comparable.

N queried images, T training images, k candidates of each query, D features, H = W = 64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from augury.conditions.pairs import to_unit
from augury.data.cells import parallel, processors
from augury.data.fingerprints import SIDE, thumbnail
from augury.data.registration import WHOLE, Floats, agreement, oriented, outline, register, texture
from augury.data.sample import IntArray
from augury.pretraining.copy_match import CopyMatch, CopyMatchConfig, Images
from augury.training import Run

CANDIDATES = 5
STEPS, BATCH = 150, 128  # of the encoder; how often the original is then among the five: docs/log.md
ORIENTATIONS = 8
# Texture of scales in which neither 5 % noise nor an autoencoder leaves much of a difference, but another patient does;
# where the local contrast is below LEVEL, such as in a black border, there is nothing to agree about.
FINE, BROAD, LEVEL = 1.5, 5.0, 0.03
_TOGETHER = 24  # pairs registered at once: their arrays stay in the cache
_QUERIES = 256  # whose likenesses to all training images are held at once


@dataclass(frozen=True, kw_only=True, eq=False)
class Matches:
    """For each queried image the best of its candidates."""

    score_N: NDArray[np.float64]  # correlation of registered texture, -1 to 1
    index_N: IntArray  # position among the training images


class Detector:
    """What copies of the training images look like."""

    def __init__(self, thumb_THW: Floats, group_T: IntArray, *, encoder: CopyMatch) -> None:
        self.thumb_THW, self.group_T, self.encoder = thumb_THW, group_T, encoder
        self.z_TD = torch.from_numpy(self._encode(thumb_THW))

    def matches(
        self, thumb_NHW: Floats, *, group_N: IntArray | None = None, report: Callable[[int, int], None] | None = None
    ) -> Matches:
        """The best match of every image; with `group_N` none of its own group (codes as those of the detector)."""
        parts, workers = [], processors()
        for start in range(0, len(thumb_NHW), _QUERIES):
            part = slice(start, start + _QUERIES)
            groups = None if group_N is None else group_N[part]
            parts.append(self._matches(thumb_NHW[part], groups, workers=workers))
            if report is not None:
                report(min(start + _QUERIES, len(thumb_NHW)), len(thumb_NHW))
        return Matches(
            score_N=np.concatenate([one.score_N for one in parts]),
            index_N=np.concatenate([one.index_N for one in parts]),
        )

    def _matches(self, thumb_NHW: Floats, group_N: IntArray | None, *, workers: int) -> Matches:
        turn_Nk, index_Nk = self._candidates(thumb_NHW, group_N)
        turned_NHW = oriented(np.repeat(thumb_NHW, turn_Nk.shape[1], axis=0), turn_Nk.ravel())
        index_P = index_Nk.ravel()
        batches = [slice(i, i + _TOGETHER) for i in range(0, len(index_P), _TOGETHER)]
        with threadpool_limits(limits=1):  # the threads are ours
            scores = parallel(
                lambda part: likeness(turned_NHW[part], self.thumb_THW[index_P[part]]), batches, workers=workers
            )
        score_Nk = np.concatenate(scores).astype(np.float64).reshape(index_Nk.shape)
        # Of one image under several orientations, or equal scores, the first.
        best_N1 = score_Nk.argmax(axis=1)[:, None]
        return Matches(
            score_N=np.take_along_axis(score_Nk, best_N1, axis=1)[:, 0],
            index_N=np.take_along_axis(index_Nk, best_N1, axis=1)[:, 0],
        )

    def _candidates(self, thumb_NHW: Floats, group_N: IntArray | None) -> tuple[IntArray, IntArray]:
        """orientation_Nk and index_Nk of the k training images nearest to any orientation of each query."""
        z_ONHW = [self._encode(oriented(thumb_NHW, np.full(len(thumb_NHW), o))) for o in range(ORIENTATIONS)]
        alike_NOT = torch.einsum("ond,td->not", torch.from_numpy(np.stack(z_ONHW)), self.z_TD)
        if group_N is not None:
            own_NT = torch.from_numpy(group_N[:, None] == self.group_T[None])
            alike_NOT.masked_fill_(own_NT[:, None], -torch.inf)
        place_Nk = alike_NOT.flatten(1).topk(min(CANDIDATES, alike_NOT[0].numel()), dim=1).indices.numpy()
        return place_Nk // len(self.z_TD), place_Nk % len(self.z_TD)

    def _encode(self, thumb_NHW: Floats) -> NDArray[np.float32]:
        return self.encoder(stored(thumb_NHW))


def learned(
    thumb_NHW: Floats, *, seed: int, device: str = "cpu", report: Callable[[int, int], None] | None = None
) -> CopyMatch:
    """An encoder that tells these images apart, best none of those that it will judge; two at least."""
    run = Run(seed=seed, steps=STEPS, batch=min(BATCH, len(thumb_NHW)), device=device, report=report)
    return CopyMatch(CopyMatchConfig(), 1).fit(stored(thumb_NHW), run)


def likeness(first_BHW: Floats, second_BHW: Floats) -> Floats:
    """Correlation of texture after registration, or before it where that is higher; score_B in [-1, 1]."""
    view_B6 = np.repeat(WHOLE[None], len(first_BHW), axis=0)
    view_B6 = register(outline(first_BHW), outline(second_BHW), view_B6, steps=4)
    first_BHW = texture(first_BHW, fine=FINE, broad=BROAD, level=LEVEL)
    second_BHW = texture(second_BHW, fine=FINE, broad=BROAD, level=LEVEL)
    finer_B6 = register(first_BHW, second_BHW, view_B6, steps=2)
    return np.maximum(agreement(first_BHW, second_BHW, finer_B6), agreement(first_BHW, second_BHW, view_B6))


def thumbs(image_NCHW: Images) -> Floats:
    """Grey images in [0, 1], N x 64 x 64."""
    grey = (to_unit(one).mean(0).add_(1).mul_(0.5).clamp_(0, 1).numpy() for one in image_NCHW)
    small = [one if one.shape == (SIDE, SIDE) else thumbnail(one).astype(np.float32) / 65535 for one in grey]
    return np.array(small, dtype=np.float32).reshape(-1, SIDE, SIDE)


def stored(thumb_NHW: Floats) -> Floats:
    """As the encoder takes them: N x 1 x 64 x 64 in [-1, 1]."""
    image_N1HW: Floats = np.ascontiguousarray(2 * thumb_NHW[:, None] - 1)
    return image_N1HW

"""Which images are copies of one another, exactly or nearly, and the groups that no split may divide.

Near duplicates are found from the fingerprints alone: candidates by a perceptual code (candidates.py), each pair
registered and confirmed by the correlation of its fine texture (registration.py). Nothing is learned from the images,
so that what defines the folds has not seen them. Exact copies are about equal ids. N images, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from augury.data.candidates import Candidates, Thumbs, candidates
from augury.data.cells import parallel, processors
from augury.data.fingerprints import Fingerprints
from augury.data.registration import (
    WHOLE,
    Floats,
    agreement,
    exact_agreement,
    oriented,
    outline,
    register,
    texture,
)

CONFIRMED = 0.88  # correlation of registered texture: planted twins 0.93 and more, strangers at most 0.86
STILL = 0.02  # a pair whose view differs by no more from the whole image, unturned, was taken in one frame: ...
SLACK = 0.08  # ... so much less is asked of it, as no search for a fit could have found it by chance (strangers: 0.78)
HOPELESS = 0.62  # after the coarse registration: planted twins 0.68 and more
UNLIKELY = 0.70  # after the fine one, whose bilinear sampling costs a confirmed pair up to 0.1
_NONE = np.empty(0, dtype=np.int64)
BATCH = 24  # pairs registered together: their arrays stay in the cache


@dataclass(frozen=True, kw_only=True, eq=False)
class NearPairs:
    """Pairs of images (positions, first < second) of different ids whose registered texture correlates."""

    first_P: NDArray[np.int64]
    second_P: NDArray[np.int64]
    correlation_P: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.first_P)

    def above(self, correlation: float) -> NearPairs:
        """The pairs that correlate at least so much."""
        kept = self.correlation_P >= correlation
        return NearPairs(
            first_P=self.first_P[kept], second_P=self.second_P[kept], correlation_P=self.correlation_P[kept]
        )


def exact_groups(id_N: Sequence[str]) -> list[list[int]]:
    """Positions of images with equal ids, for each id that occurs more than once, in order of appearance.

    >>> exact_groups(["a", "b", "a"])
    [[0, 2]]
    """
    first: dict[str, int] = {}
    repeated: dict[int, list[int]] = {}  # lists only where they are needed: most ids of a million occur once
    for position, name in enumerate(id_N):
        start = first.setdefault(name, position)
        if start != position:
            repeated.setdefault(start, [start]).append(position)
    return sorted(repeated.values())


def near_pairs(fingerprints: Fingerprints, *, level: float = CONFIRMED, workers: int | None = None) -> NearPairs:
    """Near duplicates among images of different ids, at least `level` alike, each id stood for by its first image.

    Two images of one frame (no turn, shift or zoom between them: slices of one head, frames of one film) need 0.08
    less. Flips, quarter turns, crops of 5 %, small rotations and shifts, changes of brightness and contrast, JPEG and
    noise leave a pair confirmed. The order of the images does not matter. `workers`: threads; None: one a processor
    that this process may use. Takes time in proportion to the images and holds about 1.4 kB of each (docs/log.md).
    """
    if len(fingerprints) == 0:
        return NearPairs(first_P=_NONE, second_P=_NONE, correlation_P=np.empty(0))
    names_N = np.array([name.encode() for name in fingerprints.id_N])  # bytes: a quarter of the memory of text
    first_U = np.unique(names_N, return_index=True)[1]  # in the order of the ids
    workers = workers or processors()
    with threadpool_limits(limits=1):  # the threads are ours; theirs on top of them would collapse
        found = _confirmed(Thumbs(all_NHW=fingerprints.thumb_NHW, index_U=first_U), workers=workers, level=level)
    ends = first_U[np.stack([found.first_P, found.second_P])]
    first_P, second_P = ends.min(axis=0), ends.max(axis=0)
    order = np.lexsort((second_P, first_P))
    return NearPairs(first_P=first_P[order], second_P=second_P[order], correlation_P=found.correlation_P[order])


def group(patients: Sequence[str], ids: Sequence[str], pairs: NearPairs | None = None) -> list[str]:
    """The group of every image: images of one patient, of one id, or of a near pair share it, directly or in a chain.

    A group is named after the smallest of its patients' names; an empty patient joins nobody.

    >>> group(["ann", "bob", "cat", ""], ["1", "1", "2", "3"])
    ['ann', 'ann', 'cat', 'image:3']
    """
    root = _Roots(len(ids))
    first_of_id: dict[str, int] = {}
    first_of_patient: dict[str, int] = {}
    for position, (patient, name) in enumerate(zip(patients, ids, strict=True)):
        root.join(position, first_of_id.setdefault(name, position))
        if patient:
            root.join(position, first_of_patient.setdefault(patient, position))
    if pairs is not None:
        for first, second in zip(pairs.first_P.tolist(), pairs.second_P.tolist(), strict=True):
            root.join(first, second)
    tops = [root.of(position) for position in range(len(ids))]
    names: dict[int, str] = {}
    for top, patient, name in zip(tops, patients, ids, strict=True):
        own = patient or f"image:{name}"
        names[top] = min(names.get(top, own), own)
    return [names[top] for top in tops]


class _Roots:
    """Union-find with path halving."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def of(self, item: int) -> int:
        above = self._above
        while above[item] != item:
            above[item] = above[above[item]]
            item = above[item]
        return item

    def join(self, first: int, second: int) -> None:
        low, high = sorted((self.of(first), self.of(second)))
        self._above[high] = low


def _confirmed(thumbs: Thumbs, *, workers: int, level: float) -> NearPairs:
    found = candidates(thumbs, workers=workers)
    batches = [np.arange(start, min(start + BATCH, len(found))) for start in range(0, len(found), BATCH)]
    scores = parallel(lambda chosen: _scores(thumbs, found.at(chosen)), batches, workers=workers)
    score_P = np.concatenate([score_b for score_b, _ in scores] or [np.empty(0, dtype=np.float32)])
    still_P = np.concatenate([still_b for _, still_b in scores] or [np.empty(0, dtype=np.bool_)])
    kept = np.flatnonzero(score_P >= np.where(still_P, level - SLACK, level))
    return NearPairs(
        first_P=found.fixed_P[kept], second_P=found.moving_P[kept], correlation_P=score_P[kept].astype(np.float64)
    )


def _scores(thumbs: Thumbs, pairs: Candidates) -> tuple[Floats, NDArray[np.bool_]]:
    """Agreement of some candidates, and which lie still: coarse registration for all, fine where there is hope."""
    turn_B, view_B6 = pairs.orientation_P, pairs.view_P6
    fixed_BHW, moving_BHW = oriented(_unit(thumbs[pairs.fixed_P]), turn_B), _unit(thumbs[pairs.moving_P])
    view_B6 = register(outline(fixed_BHW), outline(moving_BHW), view_B6, steps=4)
    fixed_BHW, detail_BHW = texture(fixed_BHW), texture(moving_BHW)
    score_B = agreement(fixed_BHW, detail_BHW, view_B6)
    hope_b = np.flatnonzero(score_B >= HOPELESS)
    view_B6[hope_b] = register(fixed_BHW[hope_b], detail_BHW[hope_b], view_B6[hope_b], steps=2)
    score_B[hope_b] = agreement(fixed_BHW[hope_b], detail_BHW[hope_b], view_B6[hope_b])
    near_b = np.flatnonzero(score_B >= UNLIKELY)
    score_B[near_b] = exact_agreement(fixed_BHW[near_b], moving_BHW[near_b], view_B6[near_b])
    return score_B, (turn_B == 0) & (np.abs(view_B6 - WHOLE).max(axis=1) <= STILL)


def _unit(thumb_BHW: NDArray[np.uint16]) -> Floats:
    return thumb_BHW.astype(np.float32) / np.float32(65535)

"""How many synthetic images are copies of training images, and how many copies this search would have found.

S synthetic, T training, H held-out images, C controls, P planted copies.

The controls are images of patients that the match cannot be a copy of: held-out images against the training images, and
training images against those of other patients. One image of each group is a control. On one half of them the
threshold is set, on the other it is tried; the test compares all scores and needs no threshold (metrics/tail_excess).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augury.data.registration import Floats
from augury.data.sample import IntArray
from augury.metrics.estimate import Estimate
from augury.metrics.privacy import share_of
from augury.metrics.tail_excess import tail_excess
from augury.studies.audit.detector import Detector, Matches, thumbs

Scores = NDArray[np.float64]
Report = Callable[[int, int], None]
FLAGGED = 0.005  # share of the controls above the threshold
SHARES = (0.01, 0.02, 0.05, 0.2)  # of planted copies, for which the power is stated
REPEATS = 200  # sets with planted copies, for the power at each share
NEEDED = 0.8  # power at one per cent of copies, below which nothing found means nothing
TESTS = 4  # among which Holm divides the error: the power is that of the strictest step
LEVEL = 0.05
PLANTED = 100  # training images that are copied in each way


@dataclass(frozen=True, kw_only=True, eq=False)
class Copies:
    """Scores of synthetic images and controls, and what they say together."""

    found: Matches  # of the S synthetic images
    control_C: Scores
    threshold: float
    tried_c: Scores  # the half of the controls that did not set the threshold
    p: float

    @property
    def flagged_S(self) -> NDArray[np.bool_]:
        """Which synthetic images score above the threshold."""
        return self.found.score_N > self.threshold

    def share(self) -> Estimate:
        """Flagged synthetic images."""
        return share_of(int(self.flagged_S.sum()), len(self.flagged_S))

    def false_alarms(self) -> Estimate:
        """Flagged controls, of those that did not set the threshold."""
        return share_of(int((self.tried_c > self.threshold).sum()), len(self.tried_c), unit="group")

    def memorised(self, trained: int) -> Estimate:
        """Training images of which a flagged synthetic image is a copy, among all `trained`."""
        return share_of(len(np.unique(self.found.index_N[self.flagged_S])), trained)


def controls(
    detector: Detector, *, held_HHW: Floats, group_H: IntArray, seed: int, with_own: bool = True,
    report: Report | None = None,
) -> Scores:  # fmt: skip
    """The score of one image of every held-out group, and (`with_own`) of every training group against the others.

    An encoder that learned to tell the training images apart would rank them as strangers less often than it ranks
    fresh images so: then training images must be no controls.
    """
    held: Scores = np.empty(0)
    if len(held_HHW):
        held = detector.matches(held_HHW[one_each(group_H, seed=seed)], report=report).score_N
    if len(np.unique(detector.group_T)) < 2 or not (with_own or not len(held)):
        return held
    chosen = one_each(detector.group_T, seed=seed)
    own = detector.matches(detector.thumb_THW[chosen], group_N=detector.group_T[chosen], report=report).score_N
    return np.concatenate([held, own])


def one_each(group_N: IntArray, *, seed: int) -> IntArray:
    """The position of one image of every group, drawn at random, in ascending order."""
    order = np.random.default_rng(seed).permutation(len(group_N))
    return np.sort(order[np.unique(group_N[order], return_index=True)[1]])


def judge(found: Matches, control_C: Scores, *, seed: int) -> Copies:
    """Threshold and test; ValueError for fewer than two controls."""
    threshold, tried_c = threshold_of(control_C, seed=seed)
    return Copies(
        found=found, control_C=control_C, threshold=threshold, tried_c=tried_c,
        p=tail_excess(found.score_N, control_C, seed=seed),
    )  # fmt: skip


def threshold_of(control_C: Scores, *, seed: int) -> tuple[float, Scores]:
    """What 0.5 % of one half of the controls exceed (of few controls: none), and the scores of the other half."""
    if len(control_C) < 2:
        raise ValueError(f"got {len(control_C)} control, expected at least two: one half sets, one tries the threshold")
    mixed_C = np.random.default_rng(seed).permutation(control_C)
    half = (len(mixed_C) + 1) // 2
    return float(np.quantile(mixed_C[:half], 1 - FLAGGED, method="higher")), mixed_C[half:]


@dataclass(frozen=True, kw_only=True)
class Power:
    """How often the test would have rejected, had so many synthetic images been near copies."""

    at: Mapping[float, Estimate]  # share of copies -> chance
    sensitivity: Mapping[str, Estimate]  # kind of copy -> share above the threshold

    @property
    def enough(self) -> bool:
        """Whether one per cent of copies would have been found in four of five audits."""
        return self.at[SHARES[0]].value >= NEEDED

    @property
    def smallest(self) -> float | None:
        """The smallest share of those tried that would have been found so often; None for none."""
        return next((share for share in SHARES if self.at[share].value >= NEEDED), None)


def power(copies: Copies, planted: Mapping[str, Matches], *, seed: int) -> Power:
    """From the scores of planted copies by kind: so many of a set as large as this one, the others as its unflagged."""
    score_P = np.concatenate([one.score_N for one in planted.values()])
    rng, size = np.random.default_rng(seed), len(copies.flagged_S)
    clean = copies.found.score_N[~copies.flagged_S] if not copies.flagged_S.all() else copies.control_C

    def rejected(share: float) -> int:
        count, hits = max(1, round(share * size)), 0
        for _ in range(REPEATS):
            with_copies_S = np.concatenate([rng.choice(clean, size - count), rng.choice(score_P, count)])
            p = tail_excess(with_copies_S, copies.control_C, relabellings=399, seed=int(rng.integers(2**31)))
            hits += p < LEVEL / TESTS
        return hits

    return Power(
        at={share: share_of(rejected(share), REPEATS, unit="run") for share in SHARES},
        sensitivity={
            kind: share_of(int((one.score_N > copies.threshold).sum()), len(one.score_N))
            for kind, one in planted.items()
        },
    )


def matches_of(detector: Detector, planted: Mapping[str, NDArray[np.uint8]]) -> dict[str, Matches]:
    """The matches of planted copies, by kind."""
    return {kind: detector.matches(thumbs(image_NCHW)) for kind, image_NCHW in planted.items()}

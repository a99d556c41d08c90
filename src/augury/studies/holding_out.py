"""Images that a fit never sees: a share of its patients, or another set of the same kind.

They tell what a generator knows of its training images from what it knows of their kind. N, M images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from augury.data.duplicates import NearPairs
from augury.data.fingerprints import Fingerprints
from augury.data.importers import PHANTOM, load_with_fingerprints
from augury.data.sample import IntArray, Manifest
from augury.data.splits import halves, parts
from augury.data.twins import twins
from augury.errors import Refused, UserError

FEWEST = 4  # held-out images; of fewer nothing can be told
DECIDE = 10  # groups that must watch before they may end a training


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Images that are not fitted to. `watched` are positions of those that may end the fit: they count as seen."""

    images: Manifest
    watched: IntArray
    share: float | None  # of the training set's groups; None: another data set

    @property
    def facts(self) -> Mapping[str, Any]:
        """For the artefact's record."""
        own = {"share": self.share} if self.share is not None else {"data": self.images.name}
        groups = len({sample.group for sample in self.images})
        return {**own, "images": len(self.images), "groups": groups, "watched": len(self.watched),
                "manifest": self.images.digest}  # fmt: skip

    def seen(self) -> Manifest:
        """Those that decide when the fit ends."""
        return self.images.subset(self.watched)


def share_of(text: str) -> float | None:
    """The share that a text such as "0.2" stands for; None where it names a data set.

    >>> share_of("0.2"), share_of("../other")
    (0.2, None)
    """
    try:
        share = float(text)
    except ValueError:
        return None
    if not 0 < share < 1:
        raise UserError(f"--holdout got {text}, expected a share between 0 and 1 or a data set; write --holdout 0.2")
    return share


def set_aside(manifest: Manifest, share: float, *, seed: int, decides: bool) -> tuple[Manifest, HeldOut]:
    """What is left to fit to, and this share of the groups of every class. UserError where that is too little."""
    part_N = parts(manifest.label_N, manifest.group_N, shares=[1 - share, share], seed=seed)
    held = manifest.subset(np.flatnonzero(part_N == 1))
    return manifest.subset(np.flatnonzero(part_N == 0)), _held(held, share=share, seed=seed, decides=decides)


def other_set(
    data: str,
    manifest: Manifest,
    prints: Fingerprints,
    *,
    no_patients: bool,
    slices: str | None,
    seed: int,
    decides: bool,
    progress: Callable[[int, int], None] | None,
) -> HeldOut:
    """The labelled images of another set; Refused where one of them, its twin or its patient is fitted to.

    `prints` are of the images of `manifest`, in their order.
    """
    whole, their_prints = load_with_fingerprints(
        data, no_patients=no_patients, classes=manifest.classes, slices=slices, progress=progress
    )
    labelled = np.flatnonzero(whole.label_N >= 0)
    theirs = whole.subset(labelled)
    refuse_shared(manifest, prints, theirs, their_prints.subset(labelled))
    return _held(theirs, share=None, seed=seed, decides=decides)


def _held(images: Manifest, *, share: float | None, seed: int, decides: bool) -> HeldOut:
    groups = len({sample.group for sample in images})
    least = 2 * DECIDE if decides else 1
    if len(images) < FEWEST or groups < least:
        why = "to stop at memorisation, where one half watches" if decides else "to hold out"
        raise UserError(
            f"--holdout has {len(images)} labelled images of {groups} patients or groups; expected at least "
            f"{max(FEWEST, least)} {why}; give a larger share or set"
        )
    watched = np.flatnonzero(halves(images.label_N, images.group_N, seed=seed)) if decides else np.empty(0, np.int64)
    return HeldOut(images=images, watched=watched.astype(np.int64), share=share)


def refuse_shared(train: Manifest, prints: Fingerprints, held: Manifest, held_prints: Fingerprints) -> None:
    """Raise Refused where a held-out image is a training image, nearly one, or of a training patient."""
    ids = {sample.id for sample in train}
    same = [sample.row for sample in held if sample.id in ids]
    near = [] if same else [held[i].row for i in _near(prints, held_prints)]
    patients = {sample.patient for sample in train} if _comparable(train, held) else set()
    shared = [sample.row for sample in held if sample.patient in patients]
    for rows, what in ((same, "are"), (near, "are near duplicates of"), (shared, "are of the same patient as")):
        if rows:
            raise Refused(
                f"{len(rows)} of {len(held)} held-out images (first: {rows[0]!r}) {what} images to fit to; expected "
                "images of other patients; leave them out of one of the sets, or hold out a share: --holdout 0.2"
            )


def _comparable(train: Manifest, held: Manifest) -> bool:
    """Whether equal names mean equal patients. Each phantom population numbers its own."""
    drawn = train.name.startswith(PHANTOM) or held.name.startswith(PHANTOM)
    return train.patients_known and held.patients_known and not drawn


def _near(prints: Fingerprints, held_prints: Fingerprints) -> list[int]:
    """Positions of held-out images that have a near duplicate among the others."""
    found: NearPairs = twins(_joined(prints, held_prints))
    n = len(prints)
    across_P = (found.first_P < n) & (found.second_P >= n)
    return sorted({int(place) - n for place in found.second_P[across_P]})


def _joined(first: Fingerprints, second: Fingerprints) -> Fingerprints:
    names = [field.name for field in fields(Fingerprints) if field.name != "id_N"]
    arrays: dict[str, Any] = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names}
    return replace(first, id_N=first.id_N + second.id_N, **arrays)

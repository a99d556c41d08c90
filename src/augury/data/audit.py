"""What `augury check` finds in a set before anything is trained: copies, leaks, conflicting labels, shortcuts.

N images, C classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from augury.data.duplicates import NearPairs, exact_groups, group, near_pairs
from augury.data.fingerprints import Fingerprints
from augury.data.leaks import check_split
from augury.data.neighbours import nearest_neighbour_accuracy
from augury.data.sample import Manifest
from augury.data.shortcuts import shortcuts


def audit(manifest: Manifest, fingerprints: Fingerprints, *, near: NearPairs | None = None) -> dict[str, Any]:
    """INTERFACE.md's `check --json` but for what a study could detect; a JSON value.

    `near`: the near pairs where they are known already (None: they are sought, about 4 ms an image).
    """
    if manifest and tuple(sample.id for sample in manifest) != fingerprints.id_N:
        raise ValueError("the fingerprints are not those of the manifest's samples in their order")
    near = near_pairs(fingerprints) if near is None else near
    return {
        "images": len(manifest),
        "classes": _classes(manifest),
        "unlabelled": int((manifest.label_N < 0).sum()),
        "patients": len({sample.patient for sample in manifest}) if manifest.patients_known else None,
        "groups": len({sample.group for sample in manifest}),
        "unreadable": [{"image": one.image, "why": one.why} for one in manifest.unreadable],
        "exact_duplicates": _counts(exact_groups(fingerprints.id_N)),
        "near_duplicates": _counts(_near_groups(fingerprints, near)),
        "conflicting_labels": _counts(_conflicting(manifest, fingerprints)),
        "leaks": check_split(manifest, near),
        "shortcuts": shortcuts(manifest, fingerprints),
        "nearest_neighbour_accuracy": nearest_neighbour_accuracy(manifest, fingerprints),
    }


def _classes(manifest: Manifest) -> dict[str, int]:
    label_N = manifest.label_N
    counts = np.bincount(label_N[label_N >= 0], minlength=len(manifest.classes))
    return dict(zip(manifest.classes, counts.tolist(), strict=True))


def _near_groups(fingerprints: Fingerprints, near: NearPairs) -> list[list[int]]:
    """Groups that hold two ids or more; their exact copies count as files too."""
    names = group([""] * len(fingerprints), fingerprints.id_N, near)
    members = exact_groups(names)
    return [places for places in members if len({fingerprints.id_N[i] for i in places}) > 1]


def _conflicting(manifest: Manifest, fingerprints: Fingerprints) -> list[list[int]]:
    """Identical images that do not all have the same label."""
    return [
        places
        for places in exact_groups(fingerprints.id_N)
        if len({manifest[i].label for i in places if manifest[i].label is not None}) > 1
    ]


def _counts(groups: list[list[int]]) -> dict[str, int]:
    return {"groups": len(groups), "files": sum(map(len, groups))}

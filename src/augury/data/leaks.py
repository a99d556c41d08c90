"""What a given split lets through: the same image, a near duplicate or a patient on both sides. N images, P pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from itertools import combinations

import numpy as np

from augury.data.duplicates import NearPairs
from augury.data.sample import Manifest

ORDER = ("train", "val", "test")  # where a group lies on two sides, the later side keeps it
Table = dict[str, dict[str, int | None]]


def check_split(manifest: Manifest, near: NearPairs | None = None) -> Table:
    """{"test<-train": {"exact", "near", "either", "patients"}} for each two splits that the source gave.

    exact, near, either: images of the first that have such a twin in the second; patients: patients on both sides,
    None where they are not known. `near` None: the groups stand in for the pairs, and near counts the images that are
    linked, perhaps through others, to an image of the second without being its copy or of its patient.
    """
    split_N = np.array([sample.split or "" for sample in manifest])
    present = [name for name in ORDER if name in split_N] + sorted(set(split_N.tolist()) - {"", *ORDER})
    twins_N = None if near is None else near_ids(manifest, near)
    return {
        f"{later}<-{earlier}": _leak(
            manifest, twins_N, later=np.flatnonzero(split_N == later).tolist(),
            earlier=np.flatnonzero(split_N == earlier).tolist(),
        )
        for earlier, later in combinations(present, 2)
    }  # fmt: skip


def near_ids(manifest: Manifest, near: NearPairs) -> list[Collection[str]]:
    """The ids of every image's near duplicates; images of one id have the same."""
    by_id: defaultdict[str, set[str]] = defaultdict(set)
    for first, second in zip(near.first_P.tolist(), near.second_P.tolist(), strict=True):
        a, b = manifest[first].id, manifest[second].id
        by_id[a].add(b)
        by_id[b].add(a)
    return [by_id.get(sample.id, ()) for sample in manifest]


def leaking(manifest: Manifest) -> int:
    """How many groups lie in more than one of the given splits."""
    return sum(len(sides) > 1 for sides in _sides(manifest).values())


def without_leaks(manifest: Manifest) -> Manifest:
    """The manifest less every image whose group also lies in a later split: test keeps all, train loses the twins."""
    sides = _sides(manifest)
    kept = [i for i, s in enumerate(manifest) if s.split is None or s.split == max(sides[s.group], key=_place)]
    return manifest.subset(kept)


def _sides(manifest: Manifest) -> dict[str, set[str]]:
    sides: dict[str, set[str]] = {}
    for sample in manifest:
        if sample.split is not None:
            sides.setdefault(sample.group, set()).add(sample.split)
    return sides


def _place(split: str) -> tuple[int, str]:
    return (ORDER.index(split) if split in ORDER else len(ORDER), split)


def _leak(
    manifest: Manifest, twins_N: list[Collection[str]] | None, *, later: list[int], earlier: list[int]
) -> dict[str, int | None]:
    ids = {manifest[i].id for i in earlier}
    exact = {i for i in later if manifest[i].id in ids}
    if twins_N is None:
        close = _linked(manifest, later=later, earlier=earlier) - exact
    else:
        close = {i for i in later if not ids.isdisjoint(twins_N[i])}
    shared = len(_patients(manifest, later) & _patients(manifest, earlier)) if manifest.patients_known else None
    return {"exact": len(exact), "near": len(close), "either": len(exact | close), "patients": shared}


def _linked(manifest: Manifest, *, later: list[int], earlier: list[int]) -> set[int]:
    groups, patients = {manifest[i].group for i in earlier}, _patients(manifest, earlier)
    return {i for i in later if manifest[i].group in groups and manifest[i].patient not in patients}


def _patients(manifest: Manifest, index: list[int]) -> set[str]:
    return {manifest[i].patient for i in index}

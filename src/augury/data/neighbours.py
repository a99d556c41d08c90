"""How far the nearest neighbour on 32 x 32 pixels gets: what a network must beat, and what a leaking split adds.

N images, B a block of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augury.data.fingerprints import Fingerprints
from augury.data.sample import Manifest
from augury.data.splits import IntArray, parts

FOLDS = 10  # or as many as there are groups
LARGEST = 20_000  # images; of more, so many are drawn, groups whole
BLOCK = 512


def nearest_neighbour_accuracy(
    manifest: Manifest, fingerprints: Fingerprints, *, seed: int = 0
) -> dict[str, float | None]:
    """{"given_split", "grouped_split", "random_split", "images", "of"}: shares of images whose nearest has their label.

    given_split: test images among the training images of the source's split; the other two: each image among those of
    the other nine of ten folds, with groups whole or ignored. None where there is no such split or too few groups.
    Of more than 20,000 labelled images a sample is scored: `images` is how many were, `of` how many there are.
    """
    chosen = _chosen(manifest, seed=seed)
    label_n, group_n = manifest.label_N[chosen], manifest.group_N[chosen]
    grouped_n = _folds(label_n, group_n, seed=seed)
    random_n = _folds(label_n, np.arange(len(chosen)), seed=seed)
    pixels_nP = fingerprints.small(chosen).reshape(len(chosen), 32 * 32)
    split_n = np.array([manifest[int(i)].split or "" for i in chosen], dtype=np.str_)
    return {
        "given_split": _given(pixels_nP, label_n, split_n),
        "grouped_split": None if grouped_n is None else _cross_validated(pixels_nP, label_n, grouped_n),
        "random_split": None if random_n is None else _cross_validated(pixels_nP, label_n, random_n),
        "images": len(chosen),
        "of": int((manifest.label_N >= 0).sum()),
    }


def nearest(query_BP: NDArray[np.float32], stored_NP: NDArray[np.float32]) -> IntArray:
    """Position of the stored vector at the smallest Euclidean distance, in blocks."""
    half_N = 0.5 * (stored_NP * stored_NP).sum(axis=1)
    blocks = [query_BP[start : start + BLOCK] @ stored_NP.T for start in range(0, len(query_BP), BLOCK)]
    return np.concatenate([(product - half_N).argmax(axis=1) for product in blocks]).astype(np.int64)


def _chosen(manifest: Manifest, *, seed: int) -> IntArray:
    labelled = np.flatnonzero(manifest.label_N >= 0)
    if len(labelled) <= LARGEST:
        return labelled
    group_n = manifest.group_N[labelled]
    order = np.random.default_rng(seed).permutation(np.unique(group_n))
    rank_G = np.empty(int(group_n.max()) + 1, dtype=np.int64)
    rank_G[order] = np.arange(len(order))
    first = np.argsort(rank_G[group_n], kind="stable")[:LARGEST]
    return np.sort(labelled[first])


def _folds(label_n: IntArray, group_n: IntArray, *, seed: int) -> IntArray | None:
    count = min(FOLDS, len(np.unique(group_n)))
    return None if count < 2 else parts(label_n, group_n, shares=[1.0] * count, seed=seed)


def _cross_validated(pixels_nP: NDArray[np.float32], label_n: IntArray, fold_n: IntArray) -> float:
    right = 0
    for fold in range(int(fold_n.max()) + 1):
        inside, outside = np.flatnonzero(fold_n == fold), np.flatnonzero(fold_n != fold)
        found = outside[nearest(pixels_nP[inside], pixels_nP[outside])]
        right += int((label_n[found] == label_n[inside]).sum())
    return right / len(label_n)


def _given(pixels_nP: NDArray[np.float32], label_n: IntArray, split_n: NDArray[np.str_]) -> float | None:
    test, train = np.flatnonzero(split_n == "test"), np.flatnonzero(split_n == "train")
    if len(test) == 0 or len(train) == 0:
        return None
    found = train[nearest(pixels_nP[test], pixels_nP[train])]
    return float((label_n[found] == label_n[test]).mean())

"""Who trains, who chooses, who feeds the gate and who is held out.

In outer fold k, fold k + 1 (mod K) is the validation fold: nothing is fitted on it; one half of its groups chooses
checkpoints and augmentation, the other half feeds the gate. No group stands in two parts. Of the few folds of a
segmentation study only half of the next fold validates, lest too little be left to train on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augury.data.sample import IntArray, Manifest
from augury.data.splits import grouped_folds, halves, parts
from augury.errors import Refused, UserError


@dataclass(frozen=True, kw_only=True)
class Partition:
    """Positions in a manifest of labelled samples."""

    repeat: int
    fold: int
    train: IntArray
    choose: IntArray
    gate: IntArray
    test: IntArray


def grouped(manifest: Manifest, *, folds: int, used: int, repeats: int, seed: int) -> tuple[Partition, ...]:
    """Stratified folds that never split a group; `used` of them serve as the test fold, `repeats` times."""
    _expect_enough(manifest, folds=folds)
    found = []
    for repeat in range(repeats):
        fold_N = grouped_folds(manifest.label_N, manifest.group_N, count=folds, seed=seed + 1000 * repeat)
        for fold in range(used):
            validation = np.flatnonzero(fold_N == (fold + 1) % folds)
            train = np.flatnonzero((fold_N != fold) & (fold_N != (fold + 1) % folds))
            test = np.flatnonzero(fold_N == fold)
            found.append(_with_halves(manifest, train, validation, test, repeat=repeat, fold=fold, seed=seed))
    return tuple(found)


def _expect_enough(manifest: Manifest, *, folds: int) -> None:
    for label, name in enumerate(manifest.classes):
        groups = len({sample.group for sample in manifest if sample.label == label})
        if 0 < groups < 2 * folds:  # the validation fold is halved, and each half needs every class
            fewer = f", or plan fewer with --set folds={groups // 2}" if groups >= 6 else ""
            raise UserError(
                f"the class {name!r} has {groups} independent patients (groups of images); {folds} folds need at least "
                f"{2 * folds}; add images, leave the class out{fewer}"
            )


def kinds(manifest: Manifest) -> IntArray:
    """What segmentation balances over folds: each image's class; of those without one, whether it has a mask."""
    masked_N = np.array([bool(sample.masks) for sample in manifest], dtype=np.int64)
    label_N = manifest.label_N
    return np.where(label_N >= 0, label_N, len(manifest.classes) + masked_N)


def cases(manifest: Manifest, *, folds: int, used: int, repeats: int, seed: int) -> tuple[Partition, ...]:
    """Folds for segmentation: groups whole, kinds of images as equal as they can be, masks in every part."""
    kind_N, group_N, found = kinds(manifest), manifest.group_N, []
    for repeat in range(repeats):
        fold_N = parts(kind_N, group_N, shares=[1.0] * folds, seed=seed + 1000 * repeat)
        for fold in range(used):
            after = np.flatnonzero(fold_N == (fold + 1) % folds)
            part_n = parts(kind_N[after], group_N[after], shares=[2.0, 1.0, 1.0], seed=seed + fold)
            others = np.flatnonzero((fold_N != fold) & (fold_N != (fold + 1) % folds))
            part = Partition(
                repeat=repeat, fold=fold, train=np.sort(np.concatenate([others, after[part_n == 0]])),
                choose=after[part_n == 1], gate=after[part_n == 2], test=np.flatnonzero(fold_N == fold),
            )  # fmt: skip
            found.append(_with_masks(manifest, part))
    return tuple(found)


def _with_masks(manifest: Manifest, part: Partition) -> Partition:
    for role in ("train", "choose", "gate", "test"):
        masked = sum(bool(manifest[int(i)].masks) for i in getattr(part, role))
        if masked == 0:
            raise UserError(
                f"the part {role!r} of fold {part.fold + 1} holds no image with a mask; each part needs one or more; "
                "add patients with masks, or plan fewer folds with --set folds=2"
            )
    return part


def given_cases(manifest: Manifest, *, drop_leaks: bool, seed: int) -> tuple[Partition, ...]:
    """The split that the data came with, for segmentation; a quarter of the training groups validates without `val`."""
    train, validation, test = _given_parts(manifest)
    kind_N, group_N = kinds(manifest), manifest.group_N
    if len(validation) == 0:
        part_n = parts(kind_N[train], group_N[train], shares=[3.0, 1.0], seed=seed)
        train, validation = train[part_n == 0], train[part_n == 1]
    train, validation = _cleaned(manifest, train, validation, test, drop_leaks=drop_leaks)
    first_n = halves(kind_N[validation], group_N[validation], seed=seed)
    part = Partition(
        repeat=0, fold=0, train=train, choose=validation[first_n], gate=validation[~first_n], test=test
    )  # fmt: skip
    return (_with_masks(manifest, part),)


def given(manifest: Manifest, *, drop_leaks: bool, seed: int) -> tuple[Partition, ...]:
    """The split that the data came with. Raises Refused where a group stands on both sides of it."""
    train, validation, test = _given_parts(manifest)
    if len(validation) == 0:
        fold_n = grouped_folds(manifest.label_N[train], manifest.group_N[train], count=4, seed=seed)
        train, validation = train[fold_n != 0], train[fold_n == 0]
    train, validation = _cleaned(manifest, train, validation, test, drop_leaks=drop_leaks)
    return (_with_halves(manifest, train, validation, test, repeat=0, fold=0, seed=seed),)


def _given_parts(manifest: Manifest) -> tuple[IntArray, IntArray, IntArray]:
    split_N = np.array([s.split or "" for s in manifest])
    test = np.flatnonzero(split_N == "test")
    train = np.flatnonzero(split_N == "train")
    if len(test) == 0 or len(train) == 0:
        raise UserError("got --split given but no column `split` with both train and test; use --split grouped")
    return train, np.flatnonzero(split_N == "val"), test


def _cleaned(
    manifest: Manifest, train: IntArray, validation: IntArray, test: IntArray, *, drop_leaks: bool
) -> tuple[IntArray, IntArray]:
    """Training and validation without twins of what comes after them, if asked for; Refused where some are left."""
    if drop_leaks:
        validation = _without(manifest, validation, test)
        train = _without(manifest, train, np.concatenate([test, validation]))
    _refuse_leaks(manifest, train, validation, test)
    return train, validation


def _without(manifest: Manifest, part: IntArray, others: IntArray) -> IntArray:
    group_N = manifest.group_N
    return part[~np.isin(group_N[part], group_N[others])]


def _refuse_leaks(manifest: Manifest, train: IntArray, validation: IntArray, test: IntArray) -> None:
    group_N = manifest.group_N
    leaked = int(np.isin(group_N[test], group_N[np.concatenate([train, validation])]).sum())
    leaked += int(np.isin(group_N[validation], group_N[train]).sum())
    if leaked:
        raise Refused(
            f"the given split leaks: {leaked} test or validation images share a patient or a near-duplicate with "
            "training; use --split grouped, or add --drop-leaks to remove the training twins"
        )


def _with_halves(
    manifest: Manifest, train: IntArray, validation: IntArray, test: IntArray, *, repeat: int, fold: int, seed: int
) -> Partition:
    first_n = halves(manifest.label_N[validation], manifest.group_N[validation], seed=seed + fold)
    part = Partition(
        repeat=repeat, fold=fold, train=train, choose=validation[first_n], gate=validation[~first_n], test=test
    )
    for role in ("train", "choose", "gate", "test"):
        classes = set(manifest.label_N[getattr(part, role)].tolist())
        if len(classes) < 2:
            raise UserError(
                f"the part {role!r} of fold {fold + 1} holds images of {len(classes)} class; each part needs two or "
                "more; add patients, or use --split grouped"
            )
    return part

"""Parts of a data set that never divide a group: folds, halves, shares, nested subsets.

N images, G groups, C classes, P parts. Labels are -1 where unknown: such images are balanced over the parts like a
class of their own, and no part needs one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from augury.errors import UserError

IntArray = NDArray[np.int64]
TRIES = 20  # orders of the groups that are tried until every part holds every class


def grouped_folds(label_N: IntArray, group_N: IntArray, *, count: int, seed: int) -> IntArray:
    """fold_N in 0 .. count - 1: groups whole, classes and sizes as equal as the groups allow.

    UserError where a class lies in fewer groups than there are folds, or no order of the groups gives each fold one.
    """
    for label, groups in _groups_of_classes(label_N, group_N).items():
        if groups < count:
            raise UserError(
                f"class {label} lies in {groups} independent group(s) of images; {count} folds need at least {count}; "
                "use fewer folds, add images or leave the class out"
            )
    fold_N = parts(label_N, group_N, shares=[1.0] * count, seed=seed)
    if not _complete(label_N, fold_N, count=count):
        raise UserError(f"no way was found to put every class into each of {count} folds without dividing a group of "
                        "images of one patient; use fewer folds")  # fmt: skip
    return fold_N


def halves(label_N: IntArray, group_N: IntArray, *, seed: int) -> NDArray[np.bool_]:
    """True for about one half of each class, groups whole; UserError below two groups."""
    first_N: NDArray[np.bool_] = parts(label_N, group_N, shares=[1.0, 1.0], seed=seed) == 0
    return first_N


def parts(label_N: IntArray, group_N: IntArray, *, shares: Sequence[float], seed: int) -> IntArray:
    """part_N in 0 .. P - 1 with about these shares of every class; groups whole.

    Greedy: groups from the largest to the smallest, equal ones in random order, each to the part where it brings the
    class counts nearest to their targets. The first order that gives every part every class is taken, else the last.
    UserError for shares that are not positive and for fewer groups than parts.
    """
    share_P = np.asarray(shares, dtype=np.float64)
    if len(share_P) == 0 or not np.all(share_P > 0):
        raise UserError(f"got the shares {list(shares)}; expected positive numbers, such as 0.7 and 0.3")
    code_N, table_GC = _table(label_N, group_N)
    if len(table_GC) < len(share_P):
        raise UserError(f"got {len(table_GC)} independent group(s) of images for {len(share_P)} parts; "
                        "expected at least one each; ask for fewer parts or add images")  # fmt: skip
    part_N = np.zeros(len(label_N), dtype=np.int64)
    for attempt in range(TRIES):
        part_G = _assigned(table_GC, share_P / share_P.sum(), rng=np.random.default_rng([seed, attempt]))
        part_N = part_G[code_N]
        if _complete(label_N, part_N, count=len(share_P)):
            break
    return part_N


def stratified_subset(label_N: IntArray, group_N: IntArray, *, share: float, seed: int) -> IntArray:
    """Positions of `share` of the groups of every class, ascending; at least one group of each.

    For one seed a smaller share is contained in every larger one. A group counts for the class that most of its images
    have. UserError unless 0 < share <= 1.
    """
    if not 0 < share <= 1:
        raise UserError(f"got the share {share:g}; expected more than 0 and at most 1, such as 0.25")
    code_N, table_GC = _table(label_N, group_N)
    main_G = table_GC.argmax(axis=1) if len(table_GC) else np.empty(0, dtype=np.int64)
    rank_G = np.random.default_rng(seed).permutation(len(table_GC))
    kept_G = np.zeros(len(table_GC), dtype=np.bool_)
    for main in np.unique(main_G):
        members = np.flatnonzero(main_G == main)
        ordered = members[np.argsort(rank_G[members])]
        kept_G[ordered[: max(1, int(np.ceil(share * len(ordered) - 1e-9)))]] = True
    return np.flatnonzero(kept_G[code_N]).astype(np.int64)


def _table(label_N: IntArray, group_N: IntArray) -> tuple[IntArray, IntArray]:
    """Group code per image, and how many images of each class (unlabelled ones first, if any) a group has."""
    if len(label_N) != len(group_N):
        raise ValueError(f"{len(label_N)} labels but {len(group_N)} groups; give one each")
    groups, code_N = np.unique(group_N, return_inverse=True)
    classes, column_N = np.unique(label_N, return_inverse=True)
    table_GC = np.zeros((len(groups), len(classes)), dtype=np.int64)
    np.add.at(table_GC, (code_N, column_N), 1)
    return code_N.astype(np.int64), table_GC


def _assigned(table_GC: IntArray, share_P: NDArray[np.float64], *, rng: np.random.Generator) -> IntArray:
    """Part of every group. Cost: squared relative excess over the target, summed over the classes and the total."""
    wide_GC = np.concatenate([table_GC, table_GC.sum(axis=1, keepdims=True)], axis=1).astype(np.float64)
    wide_GC /= np.maximum(wide_GC.sum(axis=0), 1.0)
    order = rng.permutation(len(wide_GC))
    order = order[np.argsort(-table_GC[order].sum(axis=1), kind="stable")]
    filled_PC = np.zeros((len(share_P), wide_GC.shape[1]))
    part_G = np.empty(len(wide_GC), dtype=np.int64)
    for one, own_C in zip(order.tolist(), wide_GC[order], strict=True):
        # the change of sum (filled / share) ** 2 * share when this group joins a part; empty parts come first
        rise_P = ((2 * filled_PC + own_C) @ own_C) / share_P
        part = int(np.argmin(rise_P + rng.random(len(share_P)) * 1e-12))
        filled_PC[part] += own_C
        part_G[one] = part
    return part_G


def _groups_of_classes(label_N: IntArray, group_N: IntArray) -> dict[int, int]:
    known = label_N >= 0
    pairs = np.unique(np.stack([label_N[known], group_N[known]]), axis=1)
    labels, counts = np.unique(pairs[0], return_counts=True)
    return dict(zip(labels.tolist(), counts.tolist(), strict=True))


def _complete(label_N: IntArray, part_N: IntArray, *, count: int) -> bool:
    """Whether every part has an image of every class and every part has an image."""
    classes = len(np.unique(label_N[label_N >= 0]))
    known = np.unique(np.stack([label_N, part_N])[:, label_N >= 0], axis=1)
    return known.shape[1] == classes * count and len(np.unique(part_N)) == count

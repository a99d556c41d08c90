"""How well the label follows from what is not medicine: file size, image shape, border, mean intensity.

N images, C classes, K bins of a feature. An AUROC of 0.5 means that the feature says nothing of the label.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from augury.data.fingerprints import Fingerprints
from augury.data.sample import Manifest
from augury.data.splits import IntArray, parts
from augury.errors import UserError

FOLDS = 5
BINS = 16
PRIOR = 4.0  # images' worth of the classes' overall shares in each bin: a bin of one image claims little
RARE = 0.005  # image shapes below this share count as one shape


def shortcuts(manifest: Manifest, fingerprints: Fingerprints, *, seed: int = 0) -> list[dict[str, Any]]:
    """[{"feature", "auroc", "images"}], worst first: grouped cross-validation of a rule on each feature alone.

    The rule takes the share of each class among the training images of the same bin; its AUROC is the mean over the
    classes, one against the rest, and over five folds. Empty where classes or groups are too few to cross-validate.
    """
    known = np.flatnonzero(manifest.label_N >= 0)
    label_n = np.unique(manifest.label_N[known], return_inverse=True)[1].astype(np.int64)
    fold_n = _folds(label_n, manifest.group_N[known], seed=seed)
    if fold_n is None:
        return []
    found = {name: _cross_validated(code_N[known], label_n, fold_n) for name, code_N in _features(fingerprints).items()}
    worst = sorted(found, key=lambda name: -found[name])
    return [{"feature": name, "auroc": round(found[name], 4), "images": len(known)} for name in worst]


def auroc(positive_N: NDArray[np.bool_], score_N: NDArray[np.float64]) -> float:
    """Area under the ROC curve, ties counting one half (Mann and Whitney 1947: U / (n1 n0))."""
    ones, zeros = int(positive_N.sum()), int((~positive_N).sum())
    total = float(rankdata(score_N)[positive_N].sum())
    return (total - ones * (ones + 1) / 2) / (ones * zeros)


def _features(prints: Fingerprints) -> dict[str, IntArray]:
    return {
        "file size": _binned(prints.file_size_N.astype(np.float64)),
        "image shape": _shapes(prints),
        "border": _binned(prints.margin_N4.sum(axis=1)),
        "mean intensity": _binned(prints.mean_N),
        "contrast": _binned(prints.spread_N),
    }


def _binned(value_N: NDArray[np.float64]) -> IntArray:
    """Equally filled bins; equal values share one."""
    edges = np.unique(np.quantile(value_N, np.linspace(0, 1, BINS + 1)[1:-1])) if len(value_N) else np.empty(0)
    return np.searchsorted(edges, value_N, side="left").astype(np.int64)


def _shapes(prints: Fingerprints) -> IntArray:
    """One code for each frequent height, width and number of channels; the rest by their aspect."""
    facts_N3 = np.stack([prints.height_N, prints.width_N, prints.channels_N], axis=1)
    _, code_N, count_S = np.unique(facts_N3, axis=0, return_inverse=True, return_counts=True)
    code_N = code_N.reshape(-1)
    rare_N = count_S[code_N] < max(2.0, RARE * len(prints))
    aspect_N = _binned(prints.width_N / np.maximum(prints.height_N, 1))
    return np.where(rare_N, len(count_S) + aspect_N, code_N).astype(np.int64)


def _folds(label_n: IntArray, group_n: IntArray, *, seed: int) -> IntArray | None:
    if len(np.unique(label_n)) < 2:
        return None
    try:
        return parts(label_n, group_n, shares=[1.0] * FOLDS, seed=seed)
    except UserError:
        return None


def _cross_validated(code_n: IntArray, label_n: IntArray, fold_n: IntArray) -> float:
    """0.5 where no fold holds two classes."""
    values: list[float] = []
    bins, classes = int(code_n.max()) + 1, int(label_n.max()) + 1
    for fold in range(FOLDS):
        inside_n = fold_n == fold
        share_KC = _rule(code_n[~inside_n], label_n[~inside_n], bins=bins, classes=classes)
        score_iC, truth_i = share_KC[code_n[inside_n]], label_n[inside_n]
        present = np.unique(truth_i)
        if len(present) > 1:
            values.extend(auroc(truth_i == label, score_iC[:, label]) for label in present)
    return float(np.mean(values)) if values else 0.5


def _rule(code_n: IntArray, label_n: IntArray, *, bins: int, classes: int) -> NDArray[np.float64]:
    """Share of each class in each bin, shrunk to its overall share."""
    count_KC = np.zeros((bins, classes))
    np.add.at(count_KC, (code_n, label_n), 1.0)
    overall_C = count_KC.sum(axis=0) / max(len(label_n), 1)
    share_KC: NDArray[np.float64] = (count_KC + PRIOR * overall_C) / (count_KC.sum(axis=1, keepdims=True) + PRIOR)
    return share_KC

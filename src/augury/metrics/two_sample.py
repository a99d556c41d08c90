"""Can a simple classifier tell synthetic images from real ones? 0.5 is ideal.

N real items, M synthetic items, D features.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from augury.metrics.cells import Cell
from augury.metrics.classification import METRICS
from augury.metrics.estimate import Estimate, Unit
from augury.metrics.intervals import estimate
from augury.metrics.jackknife import blocks
from augury.metrics.neighbours import check_features
from augury.metrics.tails import corrected_t_interval

Floats = NDArray[np.floating]
IntArray = NDArray[np.int64]
_PENALTY = 0.01  # C of the logistic regression


@dataclass(frozen=True, kw_only=True)
class TwoSample:
    """The AUROC of synthetic against real (mean over folds), every item's held-out probability of being synthetic."""

    auroc: float
    score_real_N: NDArray[np.float64]
    score_synthetic_M: NDArray[np.float64]
    fold_real_N: IntArray
    fold_synthetic_M: IntArray
    group_real_N: IntArray  # codes, of one numbering with those of synthetic items
    group_synthetic_M: IntArray

    def estimate(self, *, level: float = 0.95, unit: Unit = "group", draws: int = 2000, seed: int = 0) -> Estimate:
        """The AUROC with the wider of two intervals, as in a contrast of arms: groups resampled, and between folds.

        The first (BCa) takes the classifiers for fixed; the second is the corrected t of Nadeau and Bengio 2003, which
        knows that other training items would have given others.
        """
        label = np.repeat([0, 1], [len(self.score_real_N), len(self.score_synthetic_M)])
        fold = np.concatenate([self.fold_real_N, self.fold_synthetic_M])
        group = np.concatenate([self.group_real_N, self.group_synthetic_M])
        score = np.concatenate([self.score_real_N, self.score_synthetic_M])
        folds = int(fold.max()) + 1
        cells = [
            Cell(fold=k, repeat=0, label_N=label[fold == k], group_N=group[fold == k],
                 value_ASNK=np.stack([1 - score, score], 1)[None, None, fold == k].astype(np.float32))
            for k in range(folds)
        ]  # fmt: skip
        found = estimate(cells, 0, METRICS["auroc_macro"], level=level, draws=draws, seed=seed, unit=unit)
        value_C = np.array([roc_auc_score(label[fold == k], score[fold == k]) for k in range(folds)])
        low, high = corrected_t_interval(value_C, test_to_train=1 / (folds - 1), level=level)
        if high - low <= found.high - found.low:
            return found
        return replace(found, low=max(0.0, min(low, found.value)), high=min(1.0, max(high, found.value)))


def c2st(
    real_ND: Floats,
    synthetic_MD: Floats,
    *,
    group_real_N: NDArray[np.generic],
    group_synthetic_M: NDArray[np.generic],
    seed: int,
    folds: int = 5,
) -> TwoSample:
    """Classifier two-sample test (Lopez-Paz and Oquab 2017) by logistic regression on standardised features.

    Folds are stratified and keep groups whole; the same group among real and synthetic items is one group. Compare at
    equal numbers. The AUROC is the mean over folds, since scores of different classifiers are not on one scale.

    Raises:
        ValueError: features or groups that do not fit, or a fold that lacks one of the two kinds.
    """
    check_features(real_ND, synthetic_MD)
    if len(group_real_N) != len(real_ND) or len(group_synthetic_M) != len(synthetic_MD):
        raise ValueError(f"got {len(group_real_N)} and {len(group_synthetic_M)} groups, expected one for every item")
    feature = np.concatenate([real_ND, synthetic_MD]).astype(np.float32)
    label = np.repeat([0, 1], [len(real_ND), len(synthetic_MD)])
    group = np.unique(np.concatenate([group_real_N, group_synthetic_M]), return_inverse=True)[1].astype(np.int64)
    fold, score = _folds(label, group, folds=folds, seed=seed), np.empty(len(label))
    for k in range(folds):
        test, train = fold == k, fold != k
        if len(set(label[train])) < 2 or len(set(label[test])) < 2:
            raise ValueError(f"a fold of {folds} lacks real or synthetic items; give more groups or fewer folds")
        score[test] = _fit(feature[train], label[train], feature[test])
    aurocs = [roc_auc_score(label[fold == k], score[fold == k]) for k in range(folds)]
    n = len(real_ND)
    return TwoSample(
        auroc=float(np.mean(aurocs)), score_real_N=score[:n], score_synthetic_M=score[n:], fold_real_N=fold[:n],
        fold_synthetic_M=fold[n:], group_real_N=group[:n], group_synthetic_M=group[n:],
    )  # fmt: skip


def _folds(label_N: IntArray, group_N: IntArray, *, folds: int, seed: int) -> IntArray:
    """Whole groups, spread evenly for groups of real items, of synthetic items and of both."""
    has_synthetic_G = np.bincount(group_N, weights=label_N) > 0
    has_real_G = np.bincount(group_N, weights=1 - label_N) > 0
    kind_N, fold_N = (has_real_G + 2 * has_synthetic_G)[group_N], np.empty(len(label_N), dtype=np.int64)
    for kind in np.unique(kind_N):
        fold_N[kind_N == kind] = blocks(group_N[kind_N == kind], count=folds, seed=seed)
    return fold_N


def _fit(train_ND: Floats, label_N: IntArray, test_MD: Floats) -> NDArray[np.float64]:
    """Probability of being synthetic; classes weigh the same."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=_PENALTY, class_weight="balanced", max_iter=200))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # sets that a line separates have no end to reach
        model.fit(train_ND, label_N)
    score_M: NDArray[np.float64] = model.predict_proba(test_MD)[:, 1]
    return score_M

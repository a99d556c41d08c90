"""The classifier two-sample test on sets that can and cannot be told apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn.metrics import roc_auc_score

from augury.metrics.two_sample import TwoSample, c2st


def normal(n: int, d: int, *, seed: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, d)) + shift).astype(np.float32)


def told_apart(real: np.ndarray, synthetic: np.ndarray, *, seed: int = 0) -> TwoSample:
    return c2st(
        real, synthetic, group_real_N=np.arange(len(real)), group_synthetic_M=-1 - np.arange(len(synthetic)), seed=seed
    )


def test_known_truths() -> None:
    real = normal(1500, 6, seed=0)
    assert told_apart(real, normal(1500, 6, seed=1)).auroc == pytest.approx(0.5, abs=0.04)
    assert told_apart(real, normal(1500, 6, seed=1, shift=9)).auroc == 1.0
    # A move of every coordinate by m is told apart by their sum: AUROC = Phi(m sqrt(D) / sqrt(2)).
    moved = told_apart(real, normal(1500, 6, seed=1, shift=0.3))
    assert moved.auroc == pytest.approx(ndtr(0.3 * np.sqrt(6 / 2)), abs=0.03)
    assert told_apart(real, np.repeat(real[:1], 1500, axis=0)).auroc > 0.4  # a linear test cannot see the collapse


def test_scores_are_held_out_one_for_every_item() -> None:
    found = told_apart(normal(60, 400, seed=0), normal(60, 400, seed=1))  # more features than items: all are separable
    assert found.auroc < 0.7
    label = np.repeat([0, 1], 60)
    score, fold = (np.concatenate(pair) for pair in (
        (found.score_real_N, found.score_synthetic_M), (found.fold_real_N, found.fold_synthetic_M)
    ))  # fmt: skip
    assert found.auroc == pytest.approx(np.mean([roc_auc_score(label[fold == k], score[fold == k]) for k in range(5)]))
    interval = found.estimate(draws=300)
    assert interval.value == pytest.approx(found.auroc)
    assert interval.low < 0.5 < interval.high
    assert interval.n == 120


def test_images_of_a_patient_and_what_was_made_of_them_stay_in_one_fold() -> None:
    rng = np.random.default_rng(0)
    patient_G, group = rng.normal(size=(60, 40)), np.repeat(np.arange(60), 4)
    real = (patient_G[group] + 0.1 * rng.normal(size=(240, 40))).astype(np.float32)
    synthetic = (real + 0.1 * rng.normal(size=real.shape)).astype(np.float32)
    found = c2st(real, synthetic, group_real_N=group, group_synthetic_M=group, seed=0)
    for g in range(60):
        here = np.concatenate([found.fold_real_N[group == g], found.fold_synthetic_M[group == g]])
        assert len(set(here.tolist())) == 1
    assert found.auroc == pytest.approx(0.5, abs=0.08)
    assert found.estimate(draws=200).n == 60


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="one for every item"):
        c2st(
            normal(9, 2, seed=0),
            normal(9, 2, seed=1),
            group_real_N=np.arange(8),
            group_synthetic_M=np.arange(9),
            seed=0,
        )
    with pytest.raises(ValueError, match="more groups or fewer folds"):
        c2st(
            normal(30, 2, seed=0),
            normal(30, 2, seed=1),
            group_real_N=np.zeros(30),
            group_synthetic_M=np.ones(30),
            seed=0,
        )

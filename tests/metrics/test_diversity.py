"""Diversity: equal to vendi-score and torchmetrics, and the known truths."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
from vendi_score import vendi as vendi_score

from augury.metrics.diversity import ms_ssim, random_pairs, scales_for, unique_fraction, vendi

BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


@pytest.mark.filterwarnings("ignore:Please import `csr_matrix`:DeprecationWarning")  # theirs, of an old name in scipy
@pytest.mark.parametrize(("n", "d"), [(30, 8), (30, 64), (200, 16)])
def test_vendi_is_vendi_scores(n: int, d: int) -> None:
    z_ND = np.random.default_rng(n).normal(size=(n, d)) + 1
    assert vendi(z_ND) == pytest.approx(vendi_score.score_X(z_ND), rel=1e-6)
    assert vendi(z_ND) == pytest.approx(vendi_score.score_dual(z_ND), rel=1e-6)


def test_vendi_counts_different_items() -> None:
    assert vendi(np.ones((50, 4))) == pytest.approx(1.0)
    assert vendi(np.eye(7)) == pytest.approx(7.0)
    assert vendi(np.repeat(np.eye(7)[:3], 5, axis=0)) == pytest.approx(3.0)
    with pytest.raises(ValueError, match="all zeros"):
        vendi(np.zeros((3, 2)))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 10), st.integers(0, 99))
def test_vendi_lies_between_one_and_n_in_any_order(n: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    z_ND = rng.normal(size=(n, d))
    assert 1 - 1e-9 <= vendi(z_ND) <= min(n, d) + 1e-9
    assert vendi(5 * z_ND[rng.permutation(n)]) == pytest.approx(vendi(z_ND))


def pictures(n: int, channels: int, *, side: tuple[int, int], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = torch.tensor(rng.normal(size=(n, channels, 6, 6)))
    smooth = torch.nn.functional.interpolate(coarse, size=side, mode="bilinear").numpy()
    return np.clip(0.6 * smooth + 0.1 * rng.normal(size=smooth.shape), -1, 1).astype(np.float32)


@pytest.mark.parametrize(("side", "channels", "scales"), [
    ((176, 180), 1, 5), ((128, 100), 1, 4), ((64, 64), 3, 3), ((45, 70), 1, 3), ((32, 28), 1, 2), ((16, 16), 1, 1),
])  # fmt: skip
def test_ms_ssim_is_torchmetricss(side: tuple[int, int], channels: int, scales: int) -> None:
    a, other = pictures(6, channels, side=side, seed=0), pictures(6, channels, side=side, seed=1)
    b = np.clip(a + np.linspace(0, 1, 6)[:, None, None, None].astype(np.float32) * (other - a), -1, 1)
    betas = tuple(beta / sum(BETAS[:scales]) for beta in BETAS[:scales])
    theirs = multiscale_structural_similarity_index_measure(
        torch.tensor(a), torch.tensor(b), data_range=2.0, betas=betas, reduction=None
    )
    assert scales_for(min(side)) == scales
    np.testing.assert_allclose(ms_ssim(a, b), theirs.numpy(), rtol=1e-4, atol=1e-6)


def test_ms_ssim_of_known_pairs_and_refusals() -> None:
    a = pictures(3, 1, side=(64, 64), seed=0)
    np.testing.assert_allclose(ms_ssim(a, a), 1.0, rtol=1e-5)
    assert (ms_ssim(a, -a) < 0.2).all()
    np.testing.assert_allclose(ms_ssim(a, a * 0.8, scales=2), ms_ssim(a * 0.8, a, scales=2), rtol=1e-5)
    with pytest.raises(ValueError, match="expected the same"):
        ms_ssim(a, a[:2])
    with pytest.raises(ValueError, match="expected 1 to 3"):
        ms_ssim(a, a, scales=4)
    with pytest.raises(ValueError, match="at least 11 px"):
        scales_for(10)


def test_unique_items() -> None:
    rng = np.random.default_rng(0)
    real, fresh = rng.normal(size=(500, 8)), rng.normal(size=(500, 8))
    assert unique_fraction(fresh, real).share > 0.97
    assert unique_fraction(np.repeat(fresh[:1], 500, axis=0), real).share == 0.0
    mixed = np.concatenate([fresh[:400], fresh[:100]])
    found = unique_fraction(mixed, real)
    assert not found.unique_M[:100].any()
    assert not found.unique_M[400:].any()
    assert found.unique_M[100:400].mean() > 0.95
    # By definition nearly: of the real set itself 99 % are farther than its own first percentile.
    assert unique_fraction(real, real).share == pytest.approx(0.99, abs=0.003)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=14), st.integers(1, 120), st.integers(0, 99))
def test_pairs_are_different_images_of_one_class(labels: list[str], count: int, seed: int) -> None:
    label_N = np.array(labels)
    every = {(j, i) for i, j in itertools.combinations(range(len(labels)), 2) if labels[i] == labels[j]}
    if not every:
        with pytest.raises(ValueError, match="no pair"):
            random_pairs(label_N, count=count, seed=seed)
        return
    first, second = random_pairs(label_N, count=count, seed=seed)
    found = {(max(pair), min(pair)) for pair in zip(first.tolist(), second.tolist(), strict=True)}
    assert found <= every
    assert len(found) == len(first) == min(count, len(every))

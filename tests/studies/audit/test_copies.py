"""The search for copies on phantoms: what it finds, what it does not, and what its numbers mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from augury.conditions.pairs import to_unit
from augury.data.phantoms import PHANTOMS, render
from augury.studies.audit import copies as module
from augury.studies.audit import detector as detection
from augury.studies.audit.copies import controls, judge, matches_of, one_each, power, threshold_of
from augury.studies.audit.correlation import best_correlation
from augury.studies.audit.detector import Detector, learned, thumbs
from augury.studies.audit.planted import KINDS, fit_autoencoder, planted


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """image_NCHW of 48 px and the patient of each."""
    phantom = render(PHANTOMS["breast"](size=48), n=n, seed=seed)
    return np.ascontiguousarray(phantom.image_NHWC.transpose(0, 3, 1, 2)), phantom.patient_N


@pytest.fixture(scope="module")
def detector() -> Detector:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detection, "STEPS", 40)
        patch.setattr(detection, "BATCH", 64)
        encoder = learned(thumbs(drawn(96, 1)[0]), seed=0)
    train_NCHW, patient_N = drawn(60, 2)
    return Detector(thumbs(train_NCHW), patient_N, encoder=encoder)


def test_near_copies_are_found_with_their_original(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augury.studies.audit.planted.STEPS", 120)
    train_NCHW, _ = drawn(60, 2)
    made = planted(train_NCHW[:20], autoencoder=fit_autoencoder(train_NCHW), seed=0)
    assert set(made) == set(KINDS)
    fresh = detector.matches(thumbs(drawn(60, 3)[0])).score_N
    for kind, found in matches_of(detector, made).items():
        assert (found.index_N == np.arange(20)).mean() >= 0.9, kind
        assert (found.score_N > np.quantile(fresh, 0.98)).mean() >= 0.9, kind


def test_a_query_never_matches_its_own_group(detector: Detector) -> None:
    own = detector.matches(detector.thumb_THW, group_N=detector.group_T)
    assert (detector.group_T[own.index_N] != detector.group_T).all()
    assert detector.matches(detector.thumb_THW).score_N.min() > 0.99


def test_training_images_against_others_score_as_fresh_patients_do(detector: Detector) -> None:
    """What lets training images be controls: the encoder has seen neither."""
    own = detector.matches(detector.thumb_THW, group_N=detector.group_T).score_N
    fresh = detector.matches(thumbs(drawn(120, 3)[0])).score_N
    assert abs(np.median(own) - np.median(fresh)) < 0.08


def test_one_image_of_every_group_is_a_control(detector: Detector) -> None:
    group_N = np.array([3, 3, 1, 1, 1, 7])
    chosen = one_each(group_N, seed=0)
    assert sorted(group_N[chosen]) == [1, 3, 7]
    held_NCHW, patient_N = drawn(40, 4)
    score_C = controls(detector, held_HHW=thumbs(held_NCHW), group_H=patient_N + 1000, seed=0)
    assert len(score_C) == len(np.unique(patient_N)) + len(np.unique(detector.group_T))
    without = controls(detector, held_HHW=thumbs(held_NCHW), group_H=patient_N + 1000, seed=0, with_own=False)
    assert np.array_equal(without, score_C[: len(without)])


def test_the_threshold_is_set_on_one_half_and_tried_on_the_other() -> None:
    score_C = np.random.default_rng(0).normal(size=4000)
    threshold, tried = threshold_of(score_C, seed=1)
    assert len(tried) == 2000
    assert 0.001 < (tried > threshold).mean() < 0.012
    assert 8 <= (score_C > threshold).sum() - (tried > threshold).sum() <= 10  # at most 0.5 % of the other half
    with pytest.raises(ValueError, match="at least two"):
        threshold_of(score_C[:1], seed=0)


def test_power_grows_with_the_share_and_is_low_for_copies_that_look_like_strangers(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REPEATS", 40)
    rng = np.random.default_rng(0)
    found = detection.Matches(score_N=rng.normal(size=500), index_N=np.zeros(500, dtype=np.int64))
    copies = judge(found, rng.normal(size=500), seed=0)
    assert copies.p > 0.01
    clear = {"noise": detection.Matches(score_N=np.full(50, 9.0), index_N=np.zeros(50, dtype=np.int64))}
    hidden = {"noise": detection.Matches(score_N=rng.normal(size=50), index_N=np.zeros(50, dtype=np.int64))}
    strong, weak = power(copies, clear, seed=0), power(copies, hidden, seed=0)
    values = [one.value for one in strong.at.values()]
    assert values == sorted(values)
    assert values[-1] == 1.0
    assert strong.sensitivity["noise"].value == 1.0
    assert weak.at[0.2].value < 0.2
    assert weak.smallest is None
    assert not weak.enough
    copied = replace(found, score_N=np.where(np.arange(500) < 25, 9.0, found.score_N))
    flagged = judge(copied, copies.control_C, seed=0)
    assert flagged.p < 0.01
    assert flagged.flagged_S[:25].all()


def test_plain_correlation_sees_flips_turns_and_shifts() -> None:
    train_NCHW, patient_N = drawn(30, 5)
    thumb_NHW = thumbs(train_NCHW)
    turned = np.ascontiguousarray(np.rot90(thumb_NHW, 1, (1, 2))[:, :, ::-1])
    assert best_correlation(turned, thumb_NHW).min() > 0.999
    shifted = np.roll(thumb_NHW, 2, axis=2)
    assert np.median(best_correlation(shifted, thumb_NHW)) > 0.97
    others = best_correlation(thumb_NHW, thumb_NHW, group_N=patient_N, group_T=patient_N)
    assert others.max() < 0.999
    assert best_correlation(thumb_NHW[:0], thumb_NHW).shape == (0,)


def test_near_copies_are_near_and_not_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augury.studies.audit.planted.STEPS", 30)
    image_NCHW, _ = drawn(12, 6)
    made = planted(image_NCHW, autoencoder=fit_autoencoder(image_NCHW), seed=0)
    for kind, copy_NCHW in made.items():
        assert copy_NCHW.shape == image_NCHW.shape
        assert not np.array_equal(copy_NCHW, image_NCHW), kind
    noise = (to_unit(made["noise"]) - to_unit(image_NCHW)).abs().mean()
    assert 0.01 < float(noise) < 0.1

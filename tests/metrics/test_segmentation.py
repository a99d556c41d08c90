"""Segmentation figures against a slow reference of our own, MONAI's metrics and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from augury.metrics.case_measures import MEASURES
from augury.metrics.segmentation import case_scores, dice, surface_distances

Mask = NDArray[np.bool_]
MASKS = arrays(np.bool_, (7, 9))


def disc(radius: float, *, shift: float = 0.0, side: int = 96) -> Mask:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.hypot(y, x - shift) <= radius


def square(side: int, *, left: int, size: int = 40) -> Mask:
    mask_HW = np.zeros((size, size), dtype=bool)
    mask_HW[5 : 5 + side, left : left + side] = True
    return mask_HW


def _border(mask_HW: Mask) -> list[tuple[int, int]]:
    height, width = mask_HW.shape

    def outside(y: int, x: int) -> bool:
        return not (0 <= y < height and 0 <= x < width and mask_HW[y, x])

    return [
        (y, x) for y in range(height) for x in range(width)
        if mask_HW[y, x] and any(outside(y + dy, x + dx) for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)))
    ]  # fmt: skip


def _slow(found_HW: Mask, truth_HW: Mask, spacing: tuple[float, float]) -> dict[str, float]:
    """Every figure from its definition, one pixel after another."""
    a, b = _border(found_HW), _border(truth_HW)

    def way(here: list[tuple[int, int]], there: list[tuple[int, int]]) -> list[float]:
        return [
            min(math.hypot((y - v) * spacing[0], (x - u) * spacing[1]) for v, u in there) for y, x in here
        ]  # fmt: skip

    hits = {"tp": 0, "fp": 0, "fn": 0, "tn": 0}
    for found, truth in zip(found_HW.flat, truth_HW.flat, strict=True):
        hits[("t" if found == truth else "f") + ("p" if found else "n")] += 1
    tp, fp, fn, tn = hits["tp"], hits["fp"], hits["fn"], hits["tn"]
    forth, back = way(a, b), way(b, a)
    return {
        "dice": 2 * tp / (2 * tp + fp + fn), "jaccard": tp / (tp + fp + fn), "pixel_precision": tp / (tp + fp),
        "pixel_recall": tp / (tp + fn), "pixel_accuracy": (tp + tn) / (tp + tn + fp + fn),
        "hd95": max(float(np.quantile(forth, 0.95)), float(np.quantile(back, 0.95))),
        "assd": sum(forth + back) / len(forth + back),
    }  # fmt: skip


@given(found_HW=MASKS, truth_HW=MASKS, spacing=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)))
def test_they_equal_their_definitions(found_HW: Mask, truth_HW: Mask, spacing: tuple[float, float]) -> None:
    if found_HW.any() and truth_HW.any():
        scores = case_scores(found_HW, truth_HW, spacing=spacing)
        assert scores == pytest.approx(_slow(found_HW, truth_HW, spacing))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # MONAI 1.6 calls what it has deprecated
def test_they_equal_monais() -> None:
    from monai.metrics import (
        compute_average_surface_distance,
        compute_dice,
        compute_hausdorff_distance,
        compute_iou,
    )  # fmt: skip

    rng = np.random.default_rng(0)
    for case in range(6):
        found_HW = disc(8 + case, shift=2 * case, side=48) & (rng.random((48, 48)) < 0.95)
        truth_HW = disc(12, side=48)
        ours = case_scores(found_HW, truth_HW)
        pair = [torch.from_numpy(m[None, None].astype(np.float32)) for m in (found_HW, truth_HW)]
        assert float(compute_hausdorff_distance(*pair, include_background=True, percentile=95)) == pytest.approx(
            ours["hd95"], abs=1e-5
        )
        assert float(compute_average_surface_distance(*pair, include_background=True, symmetric=True)) == pytest.approx(
            ours["assd"], abs=1e-5
        )
        assert float(compute_dice(*pair)) == pytest.approx(ours["dice"])
        assert float(compute_iou(*pair)) == pytest.approx(ours["jaccard"])


@pytest.mark.parametrize("shift", [1, 3, 7])
def test_squares_beside_each_other(shift: int) -> None:
    """Of two squares of side 10, the facing sides are `shift` apart, the others overlap in part."""
    scores = case_scores(square(10, left=4), square(10, left=4 + shift))
    assert scores["dice"] == pytest.approx((10 - shift) / 10)
    assert scores["jaccard"] == pytest.approx((10 - shift) / (10 + shift))
    assert scores["hd95"] == shift, "10 of 36 surface pixels are farther than the others, all by the shift"
    assert scores["pixel_precision"] == scores["pixel_recall"] == pytest.approx((10 - shift) / 10)
    assert scores["pixel_accuracy"] == pytest.approx(1 - 2 * 10 * shift / 1600)


@pytest.mark.parametrize("gap", [2, 5, 9])
def test_rings_around_each_other(gap: int) -> None:
    """Of two discs about one centre, every surface pixel is about the difference of the radii away."""
    scores = case_scores(disc(20), disc(20 + gap))
    assert scores["assd"] == pytest.approx(gap, abs=0.5)
    assert scores["hd95"] == pytest.approx(gap, abs=0.7)
    assert scores["dice"] == pytest.approx(2 * 20**2 / (20**2 + (20 + gap) ** 2), abs=0.01)


def test_discs_apart() -> None:
    """The mean distance of a circle's points to one that is moved by d, for small d: the mean of |d cos| = 2 d / pi."""
    scores = case_scores(disc(40), disc(40, shift=6))
    assert scores["assd"] == pytest.approx(6 * 2 / math.pi, abs=0.5)


def test_empty_masks_are_scored_as_stated() -> None:
    empty, full = np.zeros((30, 40)), np.ones((30, 40))
    both = case_scores(empty, empty)
    assert both == {
        "dice": 1, "jaccard": 1, "pixel_precision": 1, "pixel_recall": 1, "pixel_accuracy": 1, "hd95": 0, "assd": 0
    }  # fmt: skip
    for scores in (case_scores(empty, full), case_scores(full, empty)):
        assert scores["hd95"] == scores["assd"] == 50
        assert all(scores[n] == 0 for n in ("dice", "jaccard", "pixel_precision", "pixel_recall", "pixel_accuracy"))
    assert case_scores(empty, full, spacing=(2, 1))["hd95"] == pytest.approx(math.hypot(60, 40))


def test_one_pixel_is_a_mask() -> None:
    one, other = np.zeros((8, 8)), np.zeros((8, 8))
    one[0, 0], other[3, 4] = 1, 1
    assert case_scores(one, other)["hd95"] == case_scores(one, other)["assd"] == 5
    assert case_scores(one, one)["dice"] == 1


@given(found_HW=MASKS, truth_HW=MASKS)
def test_laws_of_every_figure(found_HW: Mask, truth_HW: Mask) -> None:
    scores, swapped = case_scores(found_HW, truth_HW), case_scores(truth_HW, found_HW)
    assert set(scores) == set(MEASURES)
    for name, value in scores.items():
        assert 0 <= value <= (1 if MEASURES[name][0] == "higher" else math.hypot(7, 9))
    for name in ("dice", "jaccard", "hd95", "assd", "pixel_accuracy"):
        assert scores[name] == pytest.approx(swapped[name])
    assert scores["pixel_precision"] == swapped["pixel_recall"]
    assert scores["dice"] == pytest.approx(2 * scores["jaccard"] / (1 + scores["jaccard"]))
    assert dice(found_HW[None], truth_HW[None])[0] == pytest.approx(scores["dice"])
    same = case_scores(found_HW, found_HW)
    assert same["dice"] == 1
    assert same["hd95"] == same["assd"] == 0


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shapes \(4, 4\) and \(4, 5\)"):
        case_scores(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(ValueError, match="empty mask has no surface"):
        surface_distances(np.zeros((4, 4)), np.ones((4, 4)))

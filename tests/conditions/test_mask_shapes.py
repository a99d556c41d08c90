"""Laws of drawn masks: like the real ones in size, place and number, and copies of none. N masks, M drawn masks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from augury.conditions.mask_shapes import MaskShapes, lesions
from augury.errors import UserError

SIZE = (48, 64)


def lobed(count: int, *, seed: int, wide: float = 1.0) -> NDArray[np.uint8]:
    """mask_NHW of discs with three to five lobes, mostly in the upper left."""
    rng = np.random.default_rng(seed)
    y_HW, x_HW = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    masks = []
    for _ in range(count):
        angle_HW = np.arctan2(y_HW - (cy := rng.normal(18, 3)), x_HW - (cx := rng.normal(24, 5)))
        reach_HW = np.hypot(y_HW - cy, (x_HW - cx) / wide) / (rng.lognormal(1.9, 0.25))
        masks.append(reach_HW <= 1 + 0.25 * np.sin(rng.integers(3, 6) * angle_HW + rng.uniform(0, 6)))
    return np.stack(masks).astype(np.uint8) * np.uint8(255)


def area(mask_NHW: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.asarray((mask_NHW > 0).sum((1, 2)), dtype=np.int64)


def centre(mask_NHW: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.stack([np.argwhere(mask_HW).mean(0) for mask_HW in mask_NHW])


def overlap(one_NHW: NDArray[np.uint8], other_MHW: NDArray[np.uint8]) -> NDArray[np.float64]:
    """iou_NM."""
    one_NP, other_MP = (m.reshape(len(m), -1).astype(bool).astype(float) for m in (one_NHW, other_MHW))
    both_NM = one_NP @ other_MP.T
    iou_NM: NDArray[np.float64] = both_NM / (one_NP.sum(1)[:, None] + other_MP.sum(1) - both_NM)
    return iou_NM


@pytest.mark.parametrize("count", [20, 200])
def test_drawn_masks_are_like_the_real_ones_and_no_copies(count: int) -> None:
    real_NHW = lobed(count, seed=1)
    drawn_MHW = MaskShapes.fit(real_NHW, np.zeros(count, dtype=np.int64), classes=1).draw([0] * 200, seed=2)
    other_NHW = lobed(200, seed=9)
    assert drawn_MHW.shape == (200, *SIZE)
    assert set(np.unique(drawn_MHW)) == {0, 255}
    assert ks_2samp(area(drawn_MHW), area(real_NHW)).pvalue > 0.01
    for axis in (0, 1):
        assert ks_2samp(centre(drawn_MHW)[:, axis], centre(real_NHW)[:, axis]).pvalue > 0.01
    assert len({mask.tobytes() for mask in drawn_MHW}) == 200
    nearest_M = overlap(drawn_MHW, real_NHW).max(1)
    assert nearest_M.max() < 0.95
    # Hardly nearer to the masks that it learnt from than 200 masks of the same kind that it never saw.
    assert np.quantile(nearest_M, 0.95) < np.quantile(overlap(other_NHW, real_NHW).max(1), 0.95) + 0.1


def test_classes_keep_their_shapes() -> None:
    real_NHW = np.concatenate([lobed(40, seed=3), lobed(40, seed=4, wide=2.0)])
    model = MaskShapes.fit(real_NHW, np.repeat([0, 1], 40), classes=2)

    def wide(mask_NHW: NDArray[np.uint8]) -> float:
        return float(np.mean([np.divide(*np.argwhere(mask_HW).std(0)[::-1]) for mask_HW in mask_NHW]))

    for label, part in enumerate((real_NHW[:40], real_NHW[40:])):
        assert wide(model.draw([label] * 100, seed=1)) == pytest.approx(wide(part), rel=0.15)


def test_the_number_of_lesions_and_empty_masks_come_as_often() -> None:
    rng = np.random.default_rng(0)
    real_NHW = lobed(60, seed=5)
    real_NHW[:20] = 0
    for mask_HW in real_NHW[40:]:
        y, x = rng.integers(34, 42), rng.integers(45, 55)
        mask_HW[y : y + 4, x : x + 5] = 255
    drawn_MHW = MaskShapes.fit(real_NHW, np.zeros(60, dtype=np.int64), classes=1).draw([0] * 300, seed=3)
    count_M = np.array([len(lesions(mask_HW > 0)) for mask_HW in drawn_MHW])
    assert (count_M == 0).mean() == pytest.approx(1 / 3, abs=0.08)
    assert (count_M == 2).mean() == pytest.approx(1 / 3, abs=0.09)


def test_a_mask_of_three_pixels_and_one_that_fills_the_image() -> None:
    real_NHW = np.zeros((20, *SIZE), dtype=np.uint8)
    for i, mask_HW in enumerate(real_NHW):
        mask_HW[10 + i % 5, 20 + i : 23 + i] = 255
    few_M = area(MaskShapes.fit(real_NHW, np.zeros(20, dtype=np.int64), classes=1).draw([0] * 50, seed=1))
    assert few_M.min() >= 2
    assert few_M.max() <= 4
    real_NHW[:] = 255
    full = MaskShapes.fit(real_NHW, np.zeros(20, dtype=np.int64), classes=1).draw([0], seed=1)
    assert (full == 255).mean() > 0.95


def test_a_draw_is_a_function_of_the_seed() -> None:
    model = MaskShapes.fit(lobed(25, seed=1), np.zeros(25, dtype=np.int64), classes=1)
    one, same, other = (model.draw([0] * 5, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_no_masks_and_unknown_classes_are_refused() -> None:
    nothing = np.zeros((4, *SIZE), dtype=np.uint8)
    with pytest.raises(UserError, match="nothing marked"):
        MaskShapes.fit(nothing, np.zeros(4, dtype=np.int64), classes=1)
    model = MaskShapes.fit(lobed(4, seed=1), np.zeros(4, dtype=np.int64), classes=2)
    with pytest.raises(UserError, match="class 1"):
        model.draw([1], seed=0)

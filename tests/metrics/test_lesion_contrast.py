"""Laws of surviving contrast: closed forms, and what a blur does to the small."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from augury.metrics.lesion_contrast import lesion_contrasts


def dots() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Three dots of 1, 9 and 81 pixels, one of them dark, on a slope; one image of one channel."""
    mask_HW = np.zeros((40, 60), dtype=bool)
    mask_HW[5, 5] = mask_HW[10:13, 30:33] = mask_HW[20:29, 45:54] = True
    image_HW = 0.01 * np.arange(40.0)[:, None] + np.zeros((40, 60))
    image_HW[5, 5] += 0.5
    image_HW[10:13, 30:33] -= 0.4
    image_HW[20:29, 45:54] += 0.3
    return image_HW[None, None], mask_HW[None]


def test_contrast_is_inside_minus_ring_for_each_lesion() -> None:
    image_NCHW, mask_NHW = dots()
    found = lesion_contrasts(image_NCHW, image_NCHW, mask_NHW)
    assert found.area_L.tolist() == [1, 9, 81]
    np.testing.assert_allclose(found.before_LC[:, 0], [0.5, -0.4, 0.3], atol=1e-9)  # a slope cancels in a whole ring
    assert found.surviving() == pytest.approx(1.0)


def test_a_share_of_the_contrast_is_that_share_whatever_is_added() -> None:
    image_NCHW, mask_NHW = dots()
    assert lesion_contrasts(image_NCHW, 0.3 * image_NCHW + 7, mask_NHW).surviving() == pytest.approx(0.3)
    flipped = lesion_contrasts(image_NCHW, -image_NCHW, mask_NHW)
    assert flipped.surviving() == pytest.approx(-1.0)  # a lesion that comes back with the wrong sign has not survived


def test_a_blur_takes_more_of_the_small() -> None:
    image_NCHW, mask_NHW = dots()
    found = lesion_contrasts(image_NCHW, gaussian_filter(image_NCHW, (0, 0, 1.5, 1.5)), mask_NHW)
    share_L = found.after_LC[:, 0] / found.before_LC[:, 0]
    assert share_L[0] < 0.3 < share_L[1] < 0.6 < share_L[2]
    assert found.smallest_third().area_L.tolist() == [1]
    assert found.smallest_third().surviving() == pytest.approx(share_L[0])


def test_no_lesions_and_no_contrast_are_no_number() -> None:
    image_NCHW, mask_NHW = dots()
    assert np.isnan(lesion_contrasts(image_NCHW, image_NCHW, np.zeros_like(mask_NHW)).smallest_third().surviving())
    assert np.isnan(lesion_contrasts(np.zeros_like(image_NCHW), image_NCHW, mask_NHW).surviving())
    everywhere = np.ones_like(mask_NHW)  # no ring is left
    assert len(lesion_contrasts(image_NCHW, image_NCHW, everywhere)) == 0
    with pytest.raises(ValueError, match="one size"):
        lesion_contrasts(image_NCHW, image_NCHW[..., 1:], mask_NHW)

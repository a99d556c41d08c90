"""Statistics of single images against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from augury.metrics.image_statistics import image_statistics, shift, shifts, spectrum_slope


def test_shift_of_a_moved_sample_is_the_move() -> None:
    rng = np.random.default_rng(0)
    real_N = rng.normal(size=2000)
    moved = shift(real_N, real_N + 0.5)
    assert moved.wasserstein == pytest.approx(0.5 / real_N.std())
    assert shift(real_N, real_N).ks == 0.0
    assert moved.p < 1e-6


def test_statistics_ignore_the_background() -> None:
    image = np.full((1, 1, 16, 16), -1.0)
    image[0, 0, 4:12, 4:12] = 0.5
    found = image_statistics(image)
    assert found["mean"][0] == pytest.approx(0.5)
    assert found["sd"][0] == pytest.approx(0.0)
    assert found["entropy"][0] == pytest.approx(0.0)
    assert image_statistics(np.full((1, 1, 8, 8), -1.0))["mean"][0] == -1.0


def test_shifts_see_blur() -> None:
    rng = np.random.default_rng(0)
    real, other = rng.uniform(-1, 1, (40, 1, 16, 16)), rng.uniform(-1, 1, (40, 1, 16, 16))
    blurred = (other + np.roll(other, 1, 3) + np.roll(other, 1, 2)) / 3
    assert shifts(real, blurred)["gradient"].ks == 1.0
    assert shifts(real, other)["gradient"].ks < 0.5


def noise(power: float, *, side: tuple[int, int], n: int = 20) -> np.ndarray:
    """Images whose power falls as frequency to this power."""
    white = np.random.default_rng(0).normal(size=(n, *side))
    frequency = np.hypot(np.fft.fftfreq(side[0])[:, None], np.fft.fftfreq(side[1])[None])
    frequency[0, 0] = 1
    return np.fft.ifft2(np.fft.fft2(white) * frequency ** (power / 2)).real


@pytest.mark.parametrize("power", [0.0, -1.0, -2.0, -3.0])
@pytest.mark.parametrize("side", [(64, 64), (48, 96), (33, 47)])
def test_the_slope_of_noise_of_known_spectrum(power: float, side: tuple[int, int]) -> None:
    image = noise(power, side=side)
    found = spectrum_slope(image)
    assert found.mean() == pytest.approx(power, abs=0.25)
    np.testing.assert_allclose(spectrum_slope(3 * image + 7), found, rtol=1e-6)  # contrast and brightness play no part


def test_blur_steepens_the_slope_and_a_flat_image_has_none() -> None:
    image = noise(-2.0, side=(64, 64))
    assert (spectrum_slope(gaussian_filter(image, (0, 1, 1))) < spectrum_slope(image) - 1).all()
    assert spectrum_slope(np.full((2, 16, 16), 0.3)).tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="6 px a side"):
        image_statistics(np.zeros((1, 1, 5, 9)))


def test_statistics_of_many_images_are_those_of_each() -> None:
    image = np.random.default_rng(0).uniform(-1, 1, (300, 2, 8, 8)).astype(np.float32)
    whole, one = image_statistics(image), image_statistics(image[280:281])
    assert list(whole) == ["mean", "sd", "skew", "p1", "p99", "entropy", "gradient", "slope"]
    assert all(len(value) == 300 and value[280] == pytest.approx(one[name][0]) for name, value in whole.items())

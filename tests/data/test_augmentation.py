"""Laws of the batched augmentation. B batch, C channels, H height, W width."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from augury.data.augmentation import PRESETS, Augmentation, augment, preset, sampling_grid, two_views, warp
from augury.errors import UserError

SINGLE = {
    "rotate": Augmentation(rotate=20),
    "shift": Augmentation(shift=0.2),
    "scale": Augmentation(scale=0.3),
    "crop": Augmentation(crop=0.5),
    "aspect": Augmentation(crop=0.5, aspect=0.3),
    "elastic": Augmentation(elastic=0.05),
    "contrast": Augmentation(contrast=0.4),
    "brightness": Augmentation(brightness=0.2),
    "gamma": Augmentation(gamma=0.5),
    "noise": Augmentation(noise=0.1),
    "blur": Augmentation(blur=2.0),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth_images(count: int = 8, channels: int = 1, height: int = 32, width: int = 32) -> Tensor:
    coarse = torch.rand(count, channels, 5, 5, generator=seeded(9)) * 1.6 - 0.8
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")


def same_images(count: int = 8) -> Tensor:
    return smooth_images(1).expand(count, -1, -1, -1).contiguous()


@pytest.mark.parametrize("name", PRESETS)
def test_same_seed_same_images_and_range_and_shape(name: str) -> None:
    image_BCHW = smooth_images(channels=3, height=24, width=40)
    before = image_BCHW.clone()
    first = augment(image_BCHW, PRESETS[name], generator=seeded())
    again = augment(image_BCHW, PRESETS[name], generator=seeded())
    assert torch.equal(first, again)
    assert torch.equal(image_BCHW, before), "the input was written to"
    assert first.shape == image_BCHW.shape
    assert first.dtype == torch.float32
    assert float(first.min()) >= -1
    assert float(first.max()) <= 1


def test_nothing_switched_on_is_the_identity() -> None:
    image_BCHW = smooth_images()
    assert torch.equal(augment(image_BCHW, Augmentation(), generator=seeded()), image_BCHW)


def test_the_identity_grid_reads_every_pixel_where_it_is() -> None:
    image_BCHW = smooth_images(height=24, width=40)
    grid = sampling_grid(image_BCHW, Augmentation(), generator=seeded())
    assert torch.allclose(warp(image_BCHW, grid), image_BCHW, atol=1e-4)


@pytest.mark.parametrize("name", SINGLE)
def test_each_change_changes_and_differs_between_images_and_seeds(name: str) -> None:
    image_BCHW = same_images()
    changed = augment(image_BCHW, SINGLE[name], generator=seeded())
    other_seed = augment(image_BCHW, SINGLE[name], generator=seeded(1))
    flat = changed.flatten(1)
    distance = torch.cdist(flat, flat) + torch.eye(len(flat))
    assert float(distance.min()) > 1e-3, "two images of a batch were changed alike"
    assert not torch.allclose(changed, other_seed)
    touched = (changed != image_BCHW).flatten(1).any(dim=1)
    assert int(touched.sum()) >= len(image_BCHW) - 1, "a draw near nothing may leave one image alone, not more"


def test_flips_are_exact_and_hit_about_half() -> None:
    image_BCHW = same_images(400)
    flipped = augment(image_BCHW, Augmentation(flip=True), generator=seeded())
    mirrored = (flipped - image_BCHW.flip(-1)).abs().flatten(1).amax(1) < 1e-4
    kept = (flipped - image_BCHW).abs().flatten(1).amax(1) < 1e-4
    assert bool((mirrored ^ kept).all())
    assert 150 < int(mirrored.sum()) < 250


def test_a_turn_is_rigid_in_images_that_are_not_square() -> None:
    """A disc at the centre stays the same disc under any turn: the sides' ratio is accounted for."""
    height, width = 32, 64
    y, x = torch.meshgrid(torch.arange(height) - 15.5, torch.arange(width) - 31.5, indexing="ij")
    disc = (1 - 2 * torch.sigmoid(torch.hypot(x, y) - 9)).expand(16, 1, -1, -1).contiguous()
    turned = augment(disc, Augmentation(rotate=90), generator=seeded())
    assert float((turned - disc).abs().max()) < 0.06


def test_parameters_stay_within_their_ranges() -> None:
    bright = torch.zeros(2000, 1, 8, 8)
    offsets = augment(bright, Augmentation(brightness=0.1), generator=seeded())[:, 0, 0, 0]
    assert 0.19 < float(offsets.max()) <= 0.2, "a tenth of the range [-1, 1] is 0.2"
    assert -0.2 <= float(offsets.min()) < -0.19
    noisy = augment(bright, Augmentation(noise=0.1), generator=seeded()).flatten(1).std(dim=1)
    assert float(noisy.min()) < 0.02
    assert 0.15 < float(noisy.max()) < 0.3


def test_a_shift_of_a_tenth_moves_the_centre_by_at_most_a_tenth() -> None:
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    spot = torch.exp(-((x - 19.5) ** 2 + (y - 19.5) ** 2) / 18)
    image_BCHW = (spot * 2 - 1).expand(500, 1, -1, -1).contiguous()
    moved = (augment(image_BCHW, Augmentation(shift=0.1), generator=seeded())[:, 0] + 1) / 2
    centre = (moved * x).sum(dim=(1, 2)) / moved.sum(dim=(1, 2)) - 19.5
    assert 3.5 < float(centre.abs().max()) < 4.2
    assert abs(float(centre.mean())) < 0.4


def test_switching_noise_off_leaves_the_geometry_as_it_was() -> None:
    image_BCHW = smooth_images()
    config = Augmentation(rotate=20, shift=0.1)
    plain = augment(image_BCHW, config, generator=seeded())
    noisy = augment(image_BCHW, replace(config, noise=1e-7), generator=seeded())
    assert torch.allclose(plain, noisy, atol=1e-5)


def test_two_views_differ_from_each_other() -> None:
    first, second = two_views(smooth_images(), preset("views"), generator=seeded())
    assert not torch.allclose(first, second)


def test_mask_moves_with_its_image() -> None:
    image_BCHW = smooth_images()
    mask_BCHW = (image_BCHW > 0).float()
    grid = sampling_grid(image_BCHW, Augmentation(rotate=30, shift=0.1, elastic=0.02), generator=seeded())
    agreement = ((warp(image_BCHW, grid) > 0) == (warp(mask_BCHW, grid) > 0.5)).float().mean()
    assert float(agreement) > 0.97


def test_mistakes_are_told_in_one_line() -> None:
    with pytest.raises(UserError, match="expected one of none, light"):
        preset("heavy")
    with pytest.raises(UserError, match="rotate=-3"):
        Augmentation(rotate=-3)
    with pytest.raises(UserError, match="contrast"):
        Augmentation(contrast=1.5)
    with pytest.raises(UserError, match="gamma=nan"):
        Augmentation(gamma=float("nan"))

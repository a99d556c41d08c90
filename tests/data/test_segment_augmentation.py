"""Laws of the recipes: image and mask move together, nothing leaks between images, strengths are as stated."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from augury.data.segment_augmentation import SEGMENT_AUGMENTATIONS, Dial, Recipe, augment_pair, recipe
from augury.errors import UserError
from augury.metrics.segmentation import dice

NAMES = tuple(SEGMENT_AUGMENTATIONS)
MOVING = tuple(name for name, asked in SEGMENT_AUGMENTATIONS.items() if asked.moves)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def discs(
    count: int, *, size: tuple[int, int] = (96, 96), radius: float = 14.0, at: tuple[float, float] = (0.1, -0.15)
) -> tuple[Tensor, Tensor]:
    """A white disc on black, painted in the image and in the mask."""
    height, width = size
    y_HW, x_HW = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    longer = max(size)
    apart_HW = torch.hypot(y_HW - height / 2 - at[0] * longer, x_HW - width / 2 - at[1] * longer)
    mask_BHW = (apart_HW < radius).float().expand(count, *size).contiguous()
    return mask_BHW[:, None] * 2 - 1, mask_BHW


def noise(count: int, *, size: tuple[int, int] = (64, 64), channels: int = 1) -> Tensor:
    return torch.rand((count, channels, *size), generator=seeded(9)) * 2 - 1


def alone(**dials: Dial) -> Recipe:
    return Recipe(**dials)


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> object:
    """Name a recipe for the length of a test."""

    def name(asked: Recipe) -> str:
        monkeypatch.setitem(SEGMENT_AUGMENTATIONS, "one", asked)
        return "one"

    return name


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.parametrize("size", [(96, 96), (64, 120)])
def test_a_disc_painted_in_both_stays_congruent(
    name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the changes of intensity off, the image cut at its middle is the mask, to the pixel."""
    geometry = {field.name: None for field in fields(Recipe)}
    asked = SEGMENT_AUGMENTATIONS[name]
    for kept in ("rotate", "scale", "shift", "bend", "mirror_x", "mirror_y"):
        geometry[kept] = getattr(asked, kept)
    monkeypatch.setitem(SEGMENT_AUGMENTATIONS, name, Recipe(**geometry))
    image_BCHW, mask_BHW = discs(48, size=size)
    moved_BCHW, moved_BHW = augment_pair(image_BCHW, mask_BHW, name, generator=seeded())
    assert torch.equal(moved_BCHW[:, 0] >= 0, moved_BHW >= 0.5)
    changed = ~torch.isclose(moved_BHW, mask_BHW).flatten(1).all(1)
    assert changed.float().mean() > 0.3, "and it moves"


@pytest.mark.parametrize("name", NAMES)
def test_image_and_mask_keep_together_under_the_whole_recipe(name: str) -> None:
    """The disc is still the brightest thing of its image, wherever it went and whatever was done to its grey."""
    image_BCHW, mask_BHW = discs(48)
    moved_BCHW, moved_BHW = augment_pair(image_BCHW, mask_BHW, name, generator=seeded(1))
    cut_BHW = moved_BCHW[:, 0] > moved_BCHW.flatten(1).mean(1).view(-1, 1, 1) + 0.4
    assert dice(cut_BHW.numpy(), moved_BHW.numpy()).min() > 0.75


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("size", "channels"), [((16, 16), 1), ((96, 160), 3), ((33, 20), 1)])
def test_shapes_ranges_and_kinds_stay(name: str, size: tuple[int, int], channels: int) -> None:
    image_BCHW = noise(5, size=size, channels=channels)
    mask_BHW = (image_BCHW[:, 0] > 0.8).float()
    moved_BCHW, moved_BHW = augment_pair(image_BCHW, mask_BHW, name, generator=seeded())
    assert moved_BCHW.shape == image_BCHW.shape
    assert moved_BHW.shape == mask_BHW.shape
    assert set(moved_BHW.unique().tolist()) <= {0.0, 1.0}
    assert moved_BCHW.abs().max() <= 1
    assert torch.isfinite(moved_BCHW).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_decides_and_the_pixels_do_not(name: str) -> None:
    """Two images of one mask are moved alike by two generators of one state: what the merged loss relies on."""
    image_BCHW, mask_BHW = discs(12)
    first, again = (augment_pair(image_BCHW, mask_BHW, name, generator=seeded(3)) for _ in range(2))
    assert torch.equal(first[0], again[0])
    other_BCHW, other_BHW = augment_pair(noise(12, size=(96, 96)), mask_BHW, name, generator=seeded(3))
    assert torch.equal(first[1], other_BHW)
    assert not torch.equal(first[0], other_BCHW)


@pytest.mark.parametrize("name", NAMES)
def test_the_input_is_left_alone(name: str) -> None:
    image_BCHW, mask_BHW = discs(6)
    kept = image_BCHW.clone(), mask_BHW.clone()
    augment_pair(image_BCHW, mask_BHW, name, generator=seeded())
    assert torch.equal(image_BCHW, kept[0])
    assert torch.equal(mask_BHW, kept[1])


@pytest.mark.parametrize("name", ["none", "contrast", "noise"])
def test_changes_of_intensity_leave_the_mask(name: str) -> None:
    image_BCHW, mask_BHW = discs(8)
    assert torch.equal(augment_pair(image_BCHW, mask_BHW, name, generator=seeded())[1], mask_BHW)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"nnunet"}))
def test_left_stays_left_save_in_nnunet(name: str) -> None:
    """A mark on the left of the upper half stays left and up under every recipe but the one whose authors mirror."""
    image_BCHW, mask_BHW = discs(64, at=(-0.2, -0.2), radius=10)
    _, moved_BHW = augment_pair(image_BCHW, mask_BHW, name, generator=seeded())
    middle = moved_BHW.sum((0, 1)) @ (torch.arange(96) + 0.5) / moved_BHW.sum()
    assert 20 < float(middle) < 40
    _, mirrored_BHW = augment_pair(image_BCHW, mask_BHW, "nnunet", generator=seeded())
    assert 40 < float(mirrored_BHW.sum((0, 1)) @ (torch.arange(96) + 0.5) / mirrored_BHW.sum()) < 60


def test_a_view_of_a_quarter_more_shows_things_smaller(one: object) -> None:
    image_BCHW, mask_BHW = discs(2, at=(0, 0), radius=20)
    assert callable(one)
    for factor in (0.8, 1.25):
        low, high = min(1.0, factor), max(1.0, factor)
        name = one(alone(scale=Dial(low=low, high=high)))
        draws = torch.stack([augment_pair(image_BCHW, mask_BHW, name, generator=seeded(s))[1][0] for s in range(60)])
        area = draws.sum((1, 2)) / mask_BHW[0].sum()
        extreme = area.max() if factor < 1 else area.min()
        assert float(extreme) == pytest.approx(factor**-2, abs=0.06)


def test_turns_are_rigid_in_images_that_are_not_square(one: object) -> None:
    assert callable(one)
    image_BCHW, mask_BHW = discs(20, size=(64, 120), at=(0, 0), radius=16)
    _, moved_BHW = augment_pair(image_BCHW, mask_BHW, one(alone(rotate=Dial(low=-180, high=180))), generator=seeded())
    assert dice(moved_BHW.numpy(), mask_BHW.numpy()).min() > 0.97, "a disc in the middle stays where it is"


def test_factors_fall_below_and_above_one_equally_often(one: object) -> None:
    assert callable(one)
    image_BCHW = torch.full((4000, 1, 2, 2), 0.4)
    moved_BCHW, _ = augment_pair(
        image_BCHW, torch.zeros(4000, 2, 2), one(alone(gain=Dial(low=0.5, high=2.0))), generator=seeded()
    )
    factor_B = moved_BCHW[:, 0, 0, 0] / 0.4
    assert float((factor_B < 1).float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float(factor_B.min()) == pytest.approx(0.5, abs=0.01)
    assert float(factor_B.max()) == pytest.approx(2.0, abs=0.01)


def test_chances_are_those_of_the_dial(one: object) -> None:
    assert callable(one)
    image_BCHW = torch.zeros(4000, 1, 2, 2)
    moved_BCHW, _ = augment_pair(
        image_BCHW, torch.zeros(4000, 2, 2), one(alone(offset=Dial(low=0.1, high=0.2, p=0.3))), generator=seeded()
    )
    assert float((moved_BCHW[:, 0, 0, 0] > 0).float().mean()) == pytest.approx(0.3, abs=0.03)


def test_noise_has_the_variance_stated(one: object) -> None:
    image_BCHW = torch.zeros(64, 1, 64, 64)
    moved_BCHW, _ = augment_pair(image_BCHW, torch.zeros(64, 64, 64), "noise", generator=seeded())
    variance_B = moved_BCHW.flatten(1).var(1)
    assert float(variance_B.max()) == pytest.approx(0.05, abs=0.004)
    assert float(variance_B.mean()) == pytest.approx(0.025, abs=0.004)


def test_elastic_displacements_are_batchgenerators_own(one: object) -> None:
    """Alpha times Gaussian-smoothed uniform noise at 384 pixels: the same mean displacement, as a share of the side."""
    assert callable(one)
    name = one(alone(bend=Dial(low=150.0, high=150.0)))
    ramp_W = (torch.arange(96) + 0.5) / 96 * 2 - 1
    image_BCHW = ramp_W.expand(64, 1, 96, 96).contiguous()
    moved_BCHW, _ = augment_pair(image_BCHW, torch.zeros(64, 96, 96), name, generator=seeded())
    inner = (slice(None), 0, slice(12, -12), slice(12, -12))
    ours = float((moved_BCHW - image_BCHW)[inner].std()) / 2  # share of the side
    noise_HW = torch.rand((384, 384), generator=seeded(1)) * 2 - 1
    theirs = sum(float(gaussian_filter(noise_HW.numpy(), s)[48:-48, 48:-48].std()) for s in (9, 10, 11, 12, 13)) / 5
    assert ours == pytest.approx(150 * theirs / 384, rel=0.15)


@pytest.mark.parametrize("side", [64, 128])
def test_pixels_shrink_with_the_image(one: object, side: int) -> None:
    """A blur of 6 pixels at 384 is one of 1 pixel at 64 and of 2 at 128."""
    assert callable(one)
    image_BCHW = torch.full((1, 1, side, side), -1.0)
    image_BCHW[..., side // 2 :] = 1
    moved_BCHW, _ = augment_pair(
        image_BCHW, torch.zeros(1, side, side), one(alone(blur=Dial(low=6, high=6))), generator=seeded()
    )
    step_W = (moved_BCHW[0, 0, side // 2, 1:] - moved_BCHW[0, 0, side // 2, :-1]) / 2
    place_W = torch.arange(side - 1.0)
    centre = (step_W * place_W).sum()
    assert float((step_W * (place_W - centre) ** 2).sum().sqrt()) == pytest.approx(6 * side / 384, rel=0.05)


def test_gamma_keeps_mean_and_spread(one: object) -> None:
    assert callable(one)
    image_BCHW = noise(16) * 0.5
    moved_BCHW, _ = augment_pair(
        image_BCHW, torch.zeros(16, 64, 64), one(alone(gamma=Dial(low=0.7, high=1.5))), generator=seeded()
    )
    torch.testing.assert_close(moved_BCHW.mean((1, 2, 3)), image_BCHW.mean((1, 2, 3)), atol=1e-4, rtol=0)
    torch.testing.assert_close(moved_BCHW.std((1, 2, 3)), image_BCHW.std((1, 2, 3)), atol=1e-4, rtol=0)
    assert (moved_BCHW - image_BCHW).abs().amax((1, 2, 3)).min() > 1e-3


def test_cutmix_pastes_image_and_mask_of_the_same_class_only() -> None:
    """Image i is painted with its number, its mask with its class: both must still say the same at every pixel."""
    label_B = torch.arange(40) % 3
    value_B = torch.arange(40) / 40
    image_BCHW = value_B.view(-1, 1, 1, 1).expand(40, 1, 32, 32).contiguous()
    mask_BHW = (torch.arange(40) % 2).float().view(-1, 1, 1).expand(40, 32, 32).contiguous()
    moved_BCHW, moved_BHW = augment_pair(image_BCHW, mask_BHW, "cutmix", generator=seeded(), label_B=label_B)
    from_BHW = (moved_BCHW[:, 0] * 40).round().long()
    assert torch.equal(label_B[from_BHW], label_B.view(-1, 1, 1).expand_as(from_BHW))
    assert torch.equal((from_BHW % 2).float(), moved_BHW)
    share_B = (from_BHW != torch.arange(40).view(-1, 1, 1)).float().mean((1, 2))
    assert 0.2 < float((share_B > 0).float().mean()) < 0.7
    assert all(_one_rectangle(changed) for changed in (from_BHW != torch.arange(40).view(-1, 1, 1)))


def _one_rectangle(inside_HW: Tensor) -> bool:
    rows, columns = (inside_HW.any(axis).nonzero().flatten().tolist() for axis in (1, 0))
    solid = all(b == a + 1 for places in (rows, columns) for a, b in pairwise(places))
    return solid and int(inside_HW.sum()) == len(rows) * len(columns)


def test_the_named_recipes_are_those_of_the_papers() -> None:
    """nnU-Net's chances and ranges, the nine of BigAug with a half each, the paper's single ones; SYSTEMS.md 4.a."""
    deepstack, nnunet = recipe("deepstack"), recipe("nnunet")
    dials = {field.name: getattr(deepstack, field.name) for field in fields(Recipe)}
    assert {name for name, dial in dials.items() if dial} == {
        "sharpen", "blur", "noise", "brightness", "contrast", "gain", "offset", "rotate", "scale", "bend"
    }  # fmt: skip
    assert {dial.p for dial in dials.values() if dial} == {0.5}, "gain and offset are one: intensity perturbation"
    assert [nnunet.bend, nnunet.scale, nnunet.rotate, nnunet.gamma] == [
        Dial(low=0, high=200, p=0.2), Dial(low=0.85, high=1.25, p=0.2), Dial(low=-180, high=180, p=0.2),
        Dial(low=0.7, high=1.5, p=0.3),
    ]  # fmt: skip
    assert recipe("rotate") == Recipe(rotate=Dial(low=-5, high=5))


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(UserError, match="'mixup': expected one of none, contrast"):
        recipe("mixup")

"""Prepared masks lie over their prepared images, whatever the preparation did to those."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from augury.data.fingerprints import pixel_digest
from augury.data.mask_store import prepare_masks, taken_back
from augury.data.readers import decode
from augury.data.sample import Manifest, Sample
from augury.data.store import Preparation, applied, prepare
from augury.errors import UserError

RNG = np.random.default_rng(0)


def disc(height: int, width: int, *, y: float, x: float, radius: float) -> NDArray[np.bool_]:
    y_HW, x_HW = np.mgrid[:height, :width]
    inside: NDArray[np.bool_] = np.hypot(y_HW - y, x_HW - x) <= radius
    return inside


def bright_discs(folder: Path, *, count: int = 4) -> Manifest:
    """Grey heads in a black border, one bright disc each, which is the mask."""
    samples = []
    for i in range(count):
        height, width = 90 + 7 * i, 120 - 5 * i
        marked = disc(height, width, y=40 + 3 * i, x=50 - 3 * i, radius=8 + 2 * i)
        pixels = np.zeros((height, width), dtype=np.uint8)
        pixels[10:-12, 8:-20] = RNG.integers(60, 90, (height - 22, width - 28))
        pixels[marked] = 250
        image, mask = folder / f"{i}.png", folder / f"{i}_mask.png"
        Image.fromarray(pixels).save(image)
        Image.fromarray(marked.astype(np.uint8) * 255).save(mask)
        name = image.name
        samples.append(
            Sample(
                row=name, id=pixel_digest(decode(image)), patient=name, group=name, image=image, masks={"mask": mask}
            )
        )
    return Manifest(name="discs", samples=tuple(samples), classes=())


def dice(a_HW: NDArray[np.bool_], b_HW: NDArray[np.bool_]) -> float:
    return float(2 * (a_HW & b_HW).sum() / (a_HW.sum() + b_HW.sum()))


PREPARATIONS = [
    Preparation(size=(64, 64)),
    Preparation(size=(48, 80), fit="pad"),
    Preparation(size=(64, 64), crop_border=True, fit="pad"),
    Preparation(size=(200, 160), crop_border=True),
]


@pytest.mark.parametrize("preparation", PREPARATIONS)
def test_a_mask_lies_over_what_it_marks(tmp_path: Path, preparation: Preparation) -> None:
    manifest = bright_discs(tmp_path)
    store = prepare(manifest, preparation, folder=tmp_path / "stores")
    mask_NHW = prepare_masks(manifest, store)
    assert set(np.unique(mask_NHW)) == {0, 255}
    for pixels_HW, mask_HW in zip(store.pixels_NCHW[:, 0], mask_NHW, strict=True):
        assert dice(pixels_HW > 170, mask_HW > 0) > 0.93


@pytest.mark.parametrize("preparation", PREPARATIONS)
def test_taken_back_a_mask_lies_over_the_file(tmp_path: Path, preparation: Preparation) -> None:
    manifest = bright_discs(tmp_path)
    store = prepare(manifest, preparation, folder=tmp_path / "stores")
    for sample, mask_HW, facts in zip(manifest, prepare_masks(manifest, store), applied(store), strict=True):
        pixels = decode(sample.image)
        back_HW = taken_back((mask_HW / 255).astype(np.float32), facts, shape=pixels.shape)
        assert back_HW.shape == pixels.shape
        assert dice(pixels == 250, back_HW >= 0.5) > 0.93


def test_taken_back_nothing_lies_where_the_crop_did_not_reach(tmp_path: Path) -> None:
    """A square around a circle that is cut by the image's edge is larger than the image; the way back cuts it."""
    facts = {"crop": [-10, 5, 60, 60], "placed": [0, 0, 30, 30]}
    back_HW = taken_back(np.ones((30, 30), np.float32), facts, shape=(80, 90))
    assert back_HW[5:65, :50].min() == 1
    assert back_HW.sum() == 60 * 50


def test_a_mask_lies_over_what_it_marks_in_a_fundus_circle(tmp_path: Path) -> None:
    field, marked = disc(200, 260, y=98, x=125, radius=90), disc(200, 260, y=70, x=150, radius=20)
    pixels = np.where(field, RNG.integers(100, 140, field.shape), 0).astype(np.uint8)
    pixels[marked] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(marked).save(tmp_path / "mask.png")
    image = tmp_path / "a.png"
    one = Sample(
        row="a", id=pixel_digest(decode(image)), patient="a", group="a", image=image,
        masks={"mask": tmp_path / "mask.png"},
    )  # fmt: skip
    manifest = Manifest(name="eye", samples=(one,), classes=())
    store = prepare(manifest, Preparation(size=(96, 96), field_of_view=True), folder=tmp_path / "stores")
    assert dice(store.pixels_NCHW[0, 0] > 200, prepare_masks(manifest, store)[0] > 0) > 0.95


def test_three_pixels_do_not_vanish_and_no_mask_is_empty(tmp_path: Path) -> None:
    first, *others = bright_discs(tmp_path).samples
    tiny = np.zeros(decode(first.image).shape[:2], dtype=np.uint8)
    tiny[41, 50:53] = 1
    Image.fromarray(tiny).save(tmp_path / "tiny.png")
    samples = (replace(first, masks={"mask": tmp_path / "tiny.png"}), *(replace(one, masks={}) for one in others))
    manifest = Manifest(name="tiny", samples=samples, classes=())
    store = prepare(manifest, Preparation(size=(16, 16)), folder=tmp_path / "stores")
    mask_NHW = prepare_masks(manifest, store)
    assert np.flatnonzero(mask_NHW[0]).tolist() == [7 * 16 + 6]
    assert not mask_NHW[1:].any()


def test_another_mask_is_another_file_and_the_old_one_stays(tmp_path: Path) -> None:
    manifest = bright_discs(tmp_path)
    store = prepare(manifest, Preparation(size=(32, 32)), folder=tmp_path / "stores")
    before = prepare_masks(manifest, store).copy()
    path = manifest[0].masks["mask"]
    Image.fromarray(np.flipud(np.asarray(Image.open(path)))).save(path)
    after = prepare_masks(manifest, store)
    assert not np.array_equal(before[0], after[0])
    assert np.array_equal(before[1:], after[1:])


def test_a_mask_of_another_size_is_refused_by_name(tmp_path: Path) -> None:
    manifest = bright_discs(tmp_path)
    Image.fromarray(np.zeros((10, 12), dtype=np.uint8)).save(manifest[1].masks["mask"])
    store = prepare(manifest, Preparation(size=(32, 32)), folder=tmp_path / "stores")
    with pytest.raises(UserError, match=r"'1\.png' has a mask 'mask' that is 12x10 pixels, its image 115x97"):
        prepare_masks(manifest, store)

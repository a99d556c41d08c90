"""Masks that fit are label maps; those that do not are refused with the reason. Pages of a TIFF are images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from augury.data import readers
from augury.data.importers import load
from augury.data.masks import mask_faults, read_mask
from augury.data.picture import UnreadableImage
from augury.data.sample import Sample
from augury.data.store import Preparation, prepare

RNG = np.random.default_rng(0)
SIZE = (20, 24)


def half(value: int = 255, *, dtype: str = "u1") -> NDArray[Any]:
    mask = np.zeros(SIZE, dtype=dtype)
    mask[:, :12] = value
    return mask


def save(path: Path, pixels: NDArray[Any]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def sample(folder: Path, **masks: Path) -> Sample:
    return Sample(row="a", id="a", patient="a", group="a", image=folder / "a.png", masks=masks)


@pytest.mark.parametrize(("value", "dtype"), [(1, "u1"), (255, "u1"), (65535, "u2"), (1, "u2")])
def test_a_mask_is_0_and_1_however_it_was_written(tmp_path: Path, value: int, dtype: str) -> None:
    path = save(tmp_path / "m.png", half(value, dtype=dtype))
    np.testing.assert_array_equal(read_mask(path, size=SIZE), half(1))


def test_colour_that_is_grey_and_one_bit_are_masks(tmp_path: Path) -> None:
    save(tmp_path / "rgb.png", np.repeat(half()[..., None], 3, axis=2))
    Image.fromarray(half()).convert("1").save(tmp_path / "bit.png")
    for name in ("rgb.png", "bit.png"):
        np.testing.assert_array_equal(read_mask(tmp_path / name, size=SIZE), half(1))


def test_several_masks_are_united(tmp_path: Path) -> None:
    one = save(tmp_path / "m.png", half())
    two = save(tmp_path / "m1.png", half()[:, ::-1].copy())
    assert read_mask(sample(tmp_path, mask=one, mask_1=two), size=SIZE).all()
    assert not read_mask(sample(tmp_path), size=SIZE).any()


def test_declared_labels_stay_as_they_are(tmp_path: Path) -> None:
    labels = RNG.integers(0, 4, SIZE).astype(np.uint8)
    path = save(tmp_path / "m.png", labels)
    np.testing.assert_array_equal(read_mask(path, size=SIZE, labels=(1, 2, 3)), labels)
    coloured = Image.fromarray(labels, mode="P")
    coloured.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    coloured.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "p.png", size=SIZE, labels=(1, 2, 3)), labels)


def test_masks_that_do_not_fit_are_refused_with_the_reason(tmp_path: Path) -> None:
    def why(path: Path, **given: Any) -> str:
        with pytest.raises(UnreadableImage) as caught:
            read_mask(path, size=SIZE, **given)
        return str(caught.value)

    soft = save(tmp_path / "soft.png", RNG.integers(0, 256, SIZE).astype(np.uint8))
    assert "and 24" in why(soft) or "more; expected 0 and 1" in why(soft)
    assert "expected only 0, 1, 2" in why(save(tmp_path / "three.png", half(3)), labels=(1, 2))
    assert "is 12x20 pixels, its image 24x20" in why(save(tmp_path / "small.png", half()[:, :12].copy()))
    assert "in colour" in why(save(tmp_path / "rgb.png", RNG.integers(0, 256, (*SIZE, 3), dtype=np.uint8)))
    assert "No such file" in why(tmp_path / "absent.png")
    one, two = save(tmp_path / "one.png", half(1)), save(tmp_path / "two.png", half(2))
    with pytest.raises(UnreadableImage, match="two labels"):
        read_mask(sample(tmp_path, mask=one, mask_1=two), size=SIZE, labels=(1, 2))
    faults = mask_faults([sample(tmp_path, mask=soft), sample(tmp_path, mask=one)], {"a": SIZE})
    assert len(faults) == 1
    assert "mask 'mask'" in faults[0].why


def tiff(path: Path, pages: list[NDArray[Any]]) -> Path:
    first, *rest = [Image.fromarray(page) for page in pages]
    first.save(path, save_all=True, append_images=rest)
    return path


def test_pages_of_a_tiff_are_images_of_one_patient_and_sixteen_bits_reach_the_store(tmp_path: Path) -> None:
    pages = [RNG.integers(0, 65536, (16, 16), dtype=np.uint16) for _ in range(3)]
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        tiff(tmp_path / name / f"{name}.tif", [page if name == "x" else 65535 - page for page in pages])
    found = load(tmp_path)
    assert [s.row for s in found] == [f"{n}/{n}.tif/page/{i}" for n in "xy" for i in range(3)]
    assert len({s.patient for s in found}) == 2
    store = prepare(found, Preparation(size=(16, 16)))
    for i, page in enumerate(pages):
        np.testing.assert_array_equal(store.pixels_NCHW[i, 0], page)


def test_a_mask_of_pages_is_cut_with_its_image(tmp_path: Path) -> None:
    path = tiff(tmp_path / "m.tif", [half(0), half(255)])
    assert not read_mask(path, size=SIZE, member="page/0").any()
    np.testing.assert_array_equal(read_mask(path, size=SIZE, member="page/1"), half(1))
    with pytest.raises(UnreadableImage, match="no page 7"):
        read_mask(path, size=SIZE, member="page/7")
    with pytest.raises(UnreadableImage, match="2 pages"):
        readers.read(path)

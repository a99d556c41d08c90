"""NIfTI: the same slice whatever way it is stored, values that can be had back, and bad files."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from augury.data import nifti_header, readers
from augury.data.importers import load
from augury.data.masks import read_mask
from augury.data.picture import UnreadableImage
from augury.data.slices import SliceRule
from augury.errors import UserError

RNG = np.random.default_rng(0)
SHAPE = (9, 11, 13)


def volume(shape: tuple[int, ...] = SHAPE) -> NDArray[np.int16]:
    return RNG.integers(-500, 3000, shape).astype(np.int16)


def write(path: Path, value: NDArray[Any], affine: NDArray[Any] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(value, np.diag([1.0, 1.0, 1.0, 1.0]) if affine is None else affine), path)
    return path


def why(path: Path, member: str | None = "slice/2/0") -> str:
    with pytest.raises(UnreadableImage) as caught:
        readers.read(path, member)
    return str(caught.value)


def test_a_slice_looks_the_same_in_all_48_ways_to_store_it(tmp_path: Path) -> None:
    value = volume()
    expected = [readers.decode(write(tmp_path / "ras.nii", value), f"slice/{a}/3") for a in range(3)]
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((1, -1), repeat=3):
            codes = tuple("RAS"[a] if sign > 0 else "LPI"[a] for a, sign in zip(order, flips, strict=True))
            ornt = nibabel.orientations.axcodes2ornt(codes)
            transform = nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt("RAS"), ornt)
            turned = nibabel.Nifti1Image(value, np.eye(4)).as_reoriented(transform)
            nibabel.save(turned, tmp_path / "turned.nii.gz")
            nifti_header._read.cache_clear()
            assert nibabel.aff2axcodes(turned.affine) == codes
            for axis in range(3):
                np.testing.assert_array_equal(
                    readers.decode(tmp_path / "turned.nii.gz", f"slice/{axis}/3"), expected[axis]
                )


def test_axial_slices_are_laid_out_as_radiologists_see_them(tmp_path: Path) -> None:
    value = np.zeros(SHAPE, dtype=np.int16)
    value[-1, -1, -1] = 1000  # the patient's right, front, top
    value[0, 0, 0] = 500  # left, back, bottom
    path = write(tmp_path / "corner.nii", value)
    assert readers.decode(path, "slice/2/12")[0, 0] == 65535  # axial: right at the left, front above
    assert readers.decode(path, "slice/1/10")[0, 0] == 65535  # coronal: right at the left, top above
    assert readers.decode(path, "slice/0/8")[0, 0] == 65535  # sagittal: front at the left, top above
    assert readers.decode(path, "slice/0/0")[-1, -1] > 0
    assert readers.read(path, "slice/0/0").pixels.shape == (13, 11)


def test_values_can_be_had_back_inside_the_clip(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(volume(), np.eye(4))
    image.header.set_slope_inter(-0.5, 10)
    nibabel.save(image, tmp_path / "a.nii.gz")
    value = nibabel.load(tmp_path / "a.nii.gz").get_fdata()
    shown = readers.read(tmp_path / "a.nii.gz", "slice/2/5")
    low, high = (float(end) for end in shown.applied["volume_clip"].split("/"))
    np.testing.assert_allclose([low, high], np.percentile(value, [0.5, 99.5]))
    slope = float(shown.applied["slope"])
    found = shown.pixels * slope + float(shown.applied["intercept"])
    np.testing.assert_allclose(found, np.clip(value[::-1, ::-1, 5].T, low, high), atol=0.51 * slope)


def test_bad_volumes_are_refused_with_the_reason(tmp_path: Path) -> None:
    holed = volume().astype(np.float32)
    holed[0, 0, 0] = np.nan
    assert "NaN" in why(write(tmp_path / "nan.nii.gz", holed))
    four = write(tmp_path / "four.nii", volume((*SHAPE, 2)))
    assert "fourth dimension" in why(four)
    assert readers.decode(four, "slice/2/0/1").shape == (11, 9)
    assert "no 'slice/2/0/2'" in why(four, "slice/2/0/2")
    flat = np.diag([1.0, 1.0, 0.0, 1.0])
    image = nibabel.Nifti1Image(volume(), None)
    image.header["sform_code"], image.header["srow_x"], image.header["srow_y"] = 2, flat[0], flat[1]
    nibabel.save(image, tmp_path / "singular.nii")
    assert "singular" in why(tmp_path / "singular.nii")
    assert "expected a slice" in why(four, None)
    assert "no 'page/0'" in why(four, "page/0")
    whole = write(tmp_path / "whole.nii.gz", volume()).read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    assert "truncated" in why(tmp_path / "cut.nii.gz")
    (tmp_path / "other.nii.gz").write_bytes(gzip.compress(b"words"))
    assert "something else" in why(tmp_path / "other.nii.gz")
    assert "complex64" in why(write(tmp_path / "complex.nii", volume().astype(np.complex64)))


def test_a_volume_that_unfolds_too_far_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "bomb.nii.gz", np.zeros((300, 300, 100), dtype=np.int16))
    monkeypatch.setenv("AUGURY_MAX_PIXELS", "100000")
    assert "AUGURY_MAX_PIXELS" in why(path)
    monkeypatch.setenv("AUGURY_MAX_PIXELS", "20000000")
    assert readers.decode(path, "slice/2/0").max() == 0
    monkeypatch.setenv("AUGURY_MAX_PIXELS", "many")
    with pytest.raises(UserError, match="many"):
        readers.decode(path, "slice/2/0")


def folder(place: Path) -> Path:
    for i in range(4):
        name = place / ("sick" if i % 2 else "well") / f"p{i}_T1w.nii.gz"
        write(name, volume())
        write(name.with_name(f"p{i}_flair.nii.gz"), volume())
        mask = np.zeros(SHAPE, dtype=np.uint8)
        mask[2:5, 3:6, 4:7] = 1
        write(name.with_name(f"p{i}_T1w_seg.nii.gz"), mask)
    return place


def test_a_folder_of_volumes_becomes_slices_that_never_part_a_patient(tmp_path: Path) -> None:
    found = load(folder(tmp_path), slices="mask")
    assert [s.row for s in found][:3] == [f"sick/p1_T1w.nii.gz/slice/2/{k}" for k in (4, 5, 6)]
    assert found.classes == ("sick", "well")
    assert {s.patient for s in found} == {"p0", "p1", "p2", "p3"}
    assert "those with mask" in " ".join(found.notes)
    middle = load(tmp_path)
    assert len(middle) == 8 * 7  # the middle half of 13 slices holds seven
    assert len(load(tmp_path, slices="every:5,axis:coronal")) == 8 * 3


def test_masks_are_cut_with_the_slice_of_their_image(tmp_path: Path) -> None:
    found = next(s for s in load(folder(tmp_path), slices="mask") if s.row.endswith("T1w.nii.gz/slice/2/5"))
    mask = read_mask(found, size=(11, 9))
    expected = np.zeros(SHAPE, dtype=np.uint8)
    expected[2:5, 3:6, 4:7] = 1
    np.testing.assert_array_equal(mask, expected[::-1, ::-1, 5].T)
    moved = np.eye(4)
    moved[:3, 3] = 5
    write(tmp_path / "sick" / "p1_T1w_seg.nii.gz", expected, moved)
    with pytest.raises(UnreadableImage, match="elsewhere"):
        read_mask(found, size=(11, 9))


@pytest.mark.parametrize(
    "text", ["", "every:0", "every:-1", "third", "mask:3", "middle:8,axis:up", "all,volume:x", "a:b:c"]
)
def test_rules_that_are_none_are_the_users_mistake(text: str) -> None:
    with pytest.raises(UserError, match="expected middle:N"):
        SliceRule.parse(text)


def test_rules_choose_what_they_say() -> None:
    assert SliceRule.parse("all").indices(4) == [0, 1, 2, 3]
    assert SliceRule.parse("middle:1").indices(9) == [4]
    assert SliceRule.parse("middle:99").indices(3) == [1, 2]
    assert SliceRule.parse("mask").indices(9, masked=[2, 3]) == [2, 3]
    assert SliceRule.parse("every:3,volume:1").volume == 1

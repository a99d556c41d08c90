"""A symbolic link inside a set pulls in no file from outside of it, whatever the layout."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from augury.data.layouts import list_path
from augury.errors import UserError

RNG = np.random.default_rng(0)


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (24, 24), dtype=np.uint8)).save(path)


def volume(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = RNG.integers(0, 9, (16, 16, 9)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)  # type: ignore[attr-defined]


def archive(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, train_images=RNG.integers(0, 256, (4, 24, 24), dtype=np.uint8), train_labels=np.zeros((4, 1)))


def dicom(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(str(get_testdata_file("MR_small.dcm")), path)


def table(path: Path) -> None:
    path.write_text("image,level\n10_left,0\n10_right,1\n")


def header(path: Path) -> None:
    path.write_text('{"channel_names": {"0": "T2"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ".png"}')


Made = Callable[[Path], None]
# What honestly lies in the set, what is linked from outside, and how many images are left.
SETS: dict[str, tuple[dict[str, Made], dict[str, Made], int]] = {
    "kaggle": ({"10_left.png": picture, "trainLabels.csv": table}, {"10_right.png": picture}, 1),
    "nnunet": (
        {"imagesTr/a_0000.png": picture, "labelsTr/b.png": picture, "dataset.json": header},
        {"imagesTr/b_0000.png": picture, "labelsTr/a.png": picture},
        1,
    ),
    "dicom": ({"a.dcm": dicom}, {"b.dcm": dicom}, 1),
    "nifti": ({"a.nii.gz": volume}, {"b.nii.gz": volume, "a_mask.nii.gz": volume}, 1),
    "busi": (
        {"benign/benign (1).png": picture, "malignant/malignant (1).png": picture},
        {"benign/benign (2).png": picture, "benign/benign (1)_mask.png": picture},
        2,
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_no_linked_file_becomes_an_image_or_a_mask(name: str, tmp_path: Path) -> None:
    honest, linked, left = SETS[name]
    for place, make in honest.items():
        (tmp_path / "set" / place).parent.mkdir(parents=True, exist_ok=True)
        make(tmp_path / "set" / place)
    for place, make in linked.items():
        make(tmp_path / "outside" / place)
        (tmp_path / "set" / place).symlink_to(tmp_path / "outside" / place)
    listing = list_path(tmp_path / "set")
    assert len(listing.rows) == left
    assert not any(path.is_symlink() for row in listing.rows for path in (row.image, *row.masks.values()))
    assert "link" in " ".join([*(one.why for one in listing.unreadable), *listing.notes]), "it is said"


def test_a_linked_archive_is_refused(tmp_path: Path) -> None:
    archive(tmp_path / "outside" / "x.npz")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "x.npz").symlink_to(tmp_path / "outside" / "x.npz")
    with pytest.raises(UserError, match="leads out"):
        list_path(tmp_path / "set")
    assert len(list_path(tmp_path / "set" / "x.npz").rows) == 4, "named by the user, it is what was asked for"

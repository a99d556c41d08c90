"""Three nested folders as RadImageNet has them: what they say of each image, in full words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augury.data.importers import load
from augury.data.layouts.modality_folders import recognises
from augury.errors import UserError

PLACES = ("CT/abd/normal", "MR/af/Achilles_tear", "US/cbd/normal", "US/gb/gallstone", "US/ivc/normal")


def write(folder: Path, places: tuple[str, ...]) -> Path:
    rng = np.random.default_rng(len(places))
    for place in places:
        (folder / place).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(rng.integers(0, 256, (24, 24), dtype=np.uint8)).save(folder / place / f"{i}.png")
    return folder


@pytest.mark.parametrize("above", ["", "train/"])
def test_three_folders_say_modality_organ_and_pathology(above: str, tmp_path: Path) -> None:
    manifest = load(write(tmp_path / "set", tuple(above + place for place in PLACES)), no_patients=True)
    assert manifest.notes[0].startswith("layout modality_folders (recognised)")
    said = {(s.modality, s.meta["organ"], s.meta["pathology"]): s for s in manifest}
    assert set(said) == {
        ("ct", "abdomen", "normal"), ("mri", "ankle foot", "achilles tear"),
        ("ultrasound", "common bile duct", "normal"), ("ultrasound", "gallbladder", "gallstone"),
        ("ultrasound", "inferior vena cava", "normal"),
    }  # fmt: skip
    assert said["ct", "abdomen", "normal"].text == "ct, abdomen, normal"
    assert len(manifest.classes) == 5, "normal is another thing in another organ"
    assert {s.split for s in manifest} == ({"train"} if above else {None})


def test_an_image_too_far_up_is_unlabelled_and_counted(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", PLACES)
    Image.fromarray(np.eye(24, dtype=np.uint8)).save(folder / "CT" / "stray.png")
    manifest = load(folder, no_patients=True)
    assert [s.row for s in manifest if s.label is None] == ["CT/stray.png"]
    assert any("fewer than three folders" in note for note in manifest.notes)


def test_other_folders_are_not_taken_for_it(tmp_path: Path) -> None:
    assert not recognises(write(tmp_path / "classes", ("ct", "mr")))
    assert not recognises(write(tmp_path / "organs", ("liver/left/a", "CT/abd/b")))
    with pytest.raises(UserError, match="name the folder"):
        load(tmp_path / "classes" / "ct" / "0.png", no_patients=True, layout="modality_folders")

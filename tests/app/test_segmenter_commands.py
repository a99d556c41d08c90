"""fit segmenter and predict: masks in, masks out, at the size of every image; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.app.conftest import Augury, patients, rows_of, write_manifest

SIZES = ((60, 90), (90, 60), (72, 72))  # height, width


def write_discs(folder: Path, count: int, *, bare: int = 0, border: int = 0) -> Path:
    """Grey images of three sizes with a white disc each, which is the mask; the last `bare` have neither."""
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True)
    lines = ["image,patient,mask"]
    for i in range(count):
        height, width = SIZES[i % 3]
        y_HW, x_HW = np.mgrid[:height, :width]
        middle = rng.uniform(25, height - 25), rng.uniform(25, width - 25)
        inside = np.hypot(y_HW - middle[0], x_HW - middle[1]) < rng.uniform(9, 14)
        inside &= i < count - bare
        pixels = np.where(inside, 210, rng.integers(30, 110, (height, width))).astype(np.uint8)
        Image.fromarray(np.pad(pixels, border)).save(folder / f"{i}.png")
        Image.fromarray(np.pad(inside, border).astype(np.uint8) * 255).save(folder / f"{i}_mask.png")
        lines.append(f"{i}.png,p{i}," + (f"{i}_mask.png" if i < count - bare else ""))
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def mask(path: Path) -> NDArray[np.bool_]:
    with Image.open(path) as image:
        assert image.mode == "L"
        pixels = np.asarray(image)
    assert set(np.unique(pixels)) <= {0, 255}
    return pixels > 0


FIT = ["--size", 32, "--steps", 70, "--batch", 8, "--set", "width=8", "--set", "lr=0.01"]


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_discs(tmp_path_factory.mktemp("discs") / "set", 30, bare=3)


def test_it_finds_the_discs_of_images_of_every_size(augury: Augury, discs: Path, tmp_path: Path) -> None:
    """Also through a border that is cut away and a letterbox: the masks lie over the files, not over the store."""
    prepared = ["--set", "preparation.fit=pad", "--set", "preparation.crop_border=true"]
    done = augury("fit", "segmenter", discs, "--out", tmp_path / "m", *FIT, *prepared, "--json")
    assert done.status == 0, done.err
    assert "3 of 30 images have no mask and are taken as having no lesion" in done.err
    assert done.facts["images"] + done.facts["chosen_on"] == 30
    card = (tmp_path / "m" / "card.md").read_text()
    assert "27 of the images have a mask" in card
    new = write_discs(tmp_path / "new", 7, bare=1, border=12)
    said = augury("predict", tmp_path / "m", new, "--out", tmp_path / "p.csv", "--json")
    assert said.status == 0, said.err
    assert said.facts["masks"] == str(tmp_path / "p.masks")
    rows = rows_of(tmp_path / "p.csv")
    assert list(rows[0]) == ["image", "patient", "mask", "pixels"]
    for row in rows:
        found, truth = mask(tmp_path / row["mask"]), mask(new / row["image"].replace(".png", "_mask.png"))
        assert found.shape == truth.shape
        assert int(row["pixels"]) == found.sum()
        assert not truth.any() or 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.85, row
    assert int(rows[-1]["pixels"]) < 60, "an image without a disc"
    again = augury("predict", tmp_path / "m", new, "--out", tmp_path / "p.csv")
    assert again.status == 0, "masks of ours are replaced"
    assert len(list((tmp_path / "p.masks").iterdir())) == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "new", "p.csv", "p.masks"]


def test_what_was_asked_for_is_in_the_record(augury: Augury, discs: Path, tmp_path: Path) -> None:
    """128 pixels and 16 images a step by itself; another network by a setting; the masks are part of what made it."""
    argv = ["fit", "segmenter", discs, "--out", tmp_path / "m", "--steps", 2, "--set", "network=attention"]
    assert augury(*argv).status == 0
    facts = json.loads((tmp_path / "m" / "artefact.json").read_text())["facts"]
    assert facts["preparation"]["size"] == [128, 128]
    assert facts["batch"] == 16
    assert facts["config"]["network"] == "attention"
    assert facts["masks"]["images"] == 27


def test_changed_masks_make_another_model(augury: Augury, tmp_path: Path) -> None:
    data = write_discs(tmp_path / "set", 8)
    argv = ["fit", "segmenter", data, "--out", tmp_path / "m", "--steps", 1, "--batch", 4, "--size", 32]
    assert augury(*argv).status == 0
    assert augury(*argv).status == 0, "the same again returns at once"
    Image.fromarray(np.zeros(SIZES[0], dtype=np.uint8)).save(data / "0_mask.png")
    augury(*argv).expect_one_line("another model", "--out")


def test_a_set_without_any_mask_is_refused(augury: Augury, tmp_path: Path) -> None:
    data = write_manifest(tmp_path / "set", patients(6))
    augury("fit", "segmenter", data, "--out", tmp_path / "m", "--steps", 1).expect_one_line(
        "6 images and no mask", "column `mask`"
    )


def test_masks_that_do_not_fit_are_refused_by_name(augury: Augury, tmp_path: Path) -> None:
    data = write_discs(tmp_path / "set", 6)
    Image.fromarray(np.zeros((9, 9), dtype=np.uint8)).save(data / "4_mask.png")
    augury("fit", "segmenter", data, "--out", tmp_path / "m", "--steps", 1).expect_one_line("4.png", "9x9")


@pytest.mark.parametrize(
    ("setting", "words"),
    [("network=unet", ("'unet'", "small, attention")), ("network=smp:vgg", ("'vgg'", "smp:resnet34")),
     ("augmentation=mixup", ("'mixup'", "cutmix")), ("overlap=pixel", ("overlap",))],
)  # fmt: skip
def test_unknown_names_are_one_line(
    augury: Augury, discs: Path, tmp_path: Path, setting: str, words: tuple[str, ...]
) -> None:
    augury("fit", "segmenter", discs, "--out", tmp_path / "m", "--steps", 1, "--set", setting).expect_one_line(*words)


def test_a_folder_of_other_things_is_not_overwritten(augury: Augury, discs: Path, tmp_path: Path) -> None:
    argv = ["fit", "segmenter", discs, "--out", tmp_path / "m", "--steps", 1, "--batch", 4, "--size", 32]
    assert augury(*argv).status == 0
    (tmp_path / "p.masks").mkdir()
    (tmp_path / "p.masks" / "notes.txt").write_text("mine")
    augury("predict", tmp_path / "m", discs, "--out", tmp_path / "p.csv").expect_one_line("p.masks", "other things")
    assert (tmp_path / "p.masks" / "notes.txt").read_text() == "mine"


def test_holding_out_is_for_generators(augury: Augury, discs: Path, tmp_path: Path) -> None:
    argv = ["fit", "segmenter", discs, "--out", tmp_path / "m", "--steps", 1, "--holdout", 0.2]
    augury(*argv).expect_one_line("--holdout", "segmenter")


@pytest.mark.real
def test_busi_from_fit_to_masks(augury: Augury, real_data: Path, tmp_path: Path) -> None:
    argv = ["fit", "segmenter", real_data / "busi", "--out", tmp_path / "m", "--steps", 2, "--size", 64]
    done = augury(*argv)
    assert done.status == 0, done.err
    assert "133 of 780 images have no mask" in done.err
    assert augury("predict", tmp_path / "m", real_data / "busi", "--out", tmp_path / "p.csv").status == 0
    rows = rows_of(tmp_path / "p.csv")
    assert len(rows) == 780
    assert mask(tmp_path / rows[0]["mask"]).shape == (256, 256)

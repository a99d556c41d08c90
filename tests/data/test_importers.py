"""Every way to name a set ends in the same kind of manifest."""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augury.data import scan, twins
from augury.data.importers import load, load_with_fingerprints
from augury.data.sample import Manifest
from augury.data.store import Preparation, prepare
from augury.errors import Refused, UserError


def picture(path: Path, seed: int) -> Path:
    """A small image of its own: coarse random blobs, so that no two are near duplicates."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blobs = np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8)
    Image.fromarray(blobs).resize((48, 48), Image.Resampling.BICUBIC).save(path)
    return path


def table(folder: Path, header: list[str], rows: list[list[str]], *, name: str = "manifest.csv") -> Path:
    """A CSV, and an image for every distinct first cell that has none."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    for seed, row in enumerate(rows):
        if not (folder / row[0]).exists():
            picture(folder / row[0], seed)
    return folder


def by_row(manifest: Manifest) -> dict[str, str | None]:
    return {s.row: None if s.label is None else manifest.classes[s.label] for s in manifest}


def test_a_manifest_with_every_column(tmp_path: Path) -> None:
    picture(tmp_path / "m.png", 90), picture(tmp_path / "v.png", 91)
    header = ["image", "label", "patient", "eye", "modality", "mask", "mask_vessels", "split", "text", "site", "extra"]
    row = ["a/x.png", "mild", "p1", "OD", "fundus", "m.png", "v.png", "Training", "red, dots", "Graz", "7"]
    table(tmp_path, header, [row, ["b/y.png", "none", "p2", "left", "", "", "", "test", "", "", ""]])
    manifest = load(tmp_path)
    sample = manifest[0]
    assert manifest.name == tmp_path.name
    assert manifest.classes == ("mild", "none")
    assert manifest.patients_known
    assert (sample.row, sample.patient, sample.eye, sample.modality) == ("a/x.png", "p1", "right", "fundus")
    assert (sample.split, sample.text, dict(sample.meta)) == ("train", "red, dots", {"site": "Graz", "extra": "7"})
    assert dict(sample.masks) == {"mask": tmp_path / "m.png", "vessels": tmp_path / "v.png"}
    assert (manifest[1].eye, manifest[1].split, manifest[1].modality, dict(manifest[1].masks)) == (
        "left",
        "test",
        None,
        {},
    )


@pytest.mark.parametrize("column", ["file_name", "Image Path", "FILENAME", "Image Index", "path"])
@pytest.mark.parametrize("patient", ["patient_id", "PatientID", "Patient ID", "subject"])
def test_aliases_are_recognised_and_said(tmp_path: Path, column: str, patient: str) -> None:
    table(tmp_path, [column, "diagnosis", patient], [["a.png", "x", "1"], ["b.png", "y", "2"]])
    manifest = load(tmp_path)
    assert by_row(manifest) == {"a.png": "x", "b.png": "y"}
    assert [s.patient for s in manifest] == ["1", "2"]
    assert {f"column {column!r} read as image", "column 'diagnosis' read as label"} <= set(manifest.notes)


def test_a_plain_csv_of_any_name_and_delimiter(tmp_path: Path) -> None:
    picture(tmp_path / "15_left.png", 1), picture(tmp_path / "15_right.png", 2)
    (tmp_path / "train.csv").write_text("﻿image;level;patient\n15_left;0;15\n\n15_right;4;15\n", encoding="utf-8")
    manifest = load(tmp_path / "train.csv")
    assert manifest.name == "train"
    assert by_row(manifest) == {"15_left.png": "0", "15_right.png": "4"}


def test_class_folders(tmp_path: Path) -> None:
    for seed, name in enumerate(["cat/a.png", "cat/deep/b.PNG", "dog/c.jpg", "d.tif", ".git/e.png", "cat/._a.png"]):
        picture(tmp_path / name, seed)
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    manifest = load(tmp_path, no_patients=True)
    assert by_row(manifest) == {"cat/a.png": "cat", "cat/deep/b.PNG": "cat", "dog/c.jpg": "dog", "d.tif": None}
    assert all(s.split is None for s in manifest)
    assert any("ignored 1 " in note for note in manifest.notes)
    assert any("1 of 4 images have no label" in note for note in manifest.notes)


def test_masks_beside_images_are_not_images(tmp_path: Path) -> None:
    names = ["benign (1).png", "benign (1)_mask.png", "benign (1)_mask_1.png", "sheet_mask.png"]
    for seed, name in enumerate(names):
        picture(tmp_path / "benign" / name, seed)
    manifest = load(tmp_path, no_patients=True)
    assert [s.row for s in manifest] == ["benign/benign (1).png", "benign/sheet_mask.png"]
    assert dict(manifest[0].masks) == {
        "mask": tmp_path / "benign" / names[1],
        "mask_1": tmp_path / "benign" / names[2],
    }


def test_folders_of_splits_above_the_classes(tmp_path: Path) -> None:
    for seed, name in enumerate(["Training/cat/a.png", "Training/dog/b.png", "Testing/cat/a.png"]):
        picture(tmp_path / name, seed)
    manifest = load(tmp_path, no_patients=True)
    assert manifest.classes == ("cat", "dog")
    assert {s.row: s.split for s in manifest} == {
        "Training/cat/a.png": "train",
        "Training/dog/b.png": "train",
        "Testing/cat/a.png": "test",
    }


def test_classes_that_are_called_train_and_test_stay_classes(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "a.png", 0), picture(tmp_path / "test" / "b.png", 1)
    assert load(tmp_path, no_patients=True).classes == ("test", "train")


def test_medmnist(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = {
        f"{split}_images": rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        for split, n in zip(("train", "val", "test"), (6, 2, 3), strict=True)
    }
    labels = {name.replace("images", "labels"): (np.arange(len(x)) % 2)[:, None] for name, x in images.items()}
    np.savez(tmp_path / "x.npz", **images, **labels)
    manifest = load(tmp_path / "x.npz", no_patients=True)
    assert [s.split for s in manifest] == ["train"] * 6 + ["val"] * 2 + ["test"] * 3
    assert manifest.classes == ("0", "1")
    store = prepare(manifest, Preparation(size=(28, 28)))
    assert np.array_equal(store.pixels_NCHW[:, 0], np.concatenate(list(images.values())))


def test_a_phantom_is_a_set_like_any_other() -> None:
    manifest = load("phantom:brain?n=12&seed=3&size=32")
    assert len(manifest) == 12
    assert manifest.patients_known
    assert manifest.name == "phantom:brain?n=12&seed=3&size=32"


def test_patients_must_be_known_or_waived(tmp_path: Path) -> None:
    table(tmp_path / "none", ["image", "label"], [["a.png", "x"], ["b.png", "y"]])
    with pytest.raises(Refused, match="--no-patients"):
        load(tmp_path / "none")
    waived = load(tmp_path / "none", no_patients=True)
    assert not waived.patients_known
    assert len({s.patient for s in waived}) == 2
    table(tmp_path / "some", ["image", "patient"], [["a.png", "x"], ["b.png", ""]])
    with pytest.raises(Refused, match="1 of its images"):
        load(tmp_path / "some")


def test_synthetic_images_need_no_patient(tmp_path: Path) -> None:
    table(tmp_path, ["image", "patient", "origin", "source"], [["a.png", "p", "", ""], ["b.png", "", "0a1b", "f00d"]])
    manifest = load(tmp_path)
    assert [(s.patient, s.origin, s.source) for s in manifest] == [
        ("p", "real", None),
        ("synthetic:b.png", "0a1b", "f00d"),
    ]


def test_twins_share_an_id_and_a_group_whatever_their_format(tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png", 0)
    Image.open(source).convert("RGB").save(tmp_path / "b.tiff")
    picture(tmp_path / "c.png", 1)
    table(tmp_path, ["image", "patient"], [["a.png", "p"], ["b.tiff", "q"], ["c.png", "r"]])
    manifest, prints = load_with_fingerprints(tmp_path)
    assert manifest[0].id == manifest[1].id != manifest[2].id
    assert manifest[0].group == manifest[1].group != manifest[2].group
    assert prints.id_N == tuple(s.id for s in manifest)


def test_near_twins_share_a_group(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    texture = rng.normal(size=(128, 128)).cumsum(axis=0).cumsum(axis=1)
    scaled = ((texture - texture.min()) / np.ptp(texture) * 120 + rng.normal(0, 20, texture.shape) + 60).clip(0, 255)
    Image.fromarray(scaled.astype(np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(scaled.astype(np.uint8)[:, ::-1]).save(tmp_path / "b.jpg", quality=90)
    table(tmp_path, ["image", "patient"], [["a.png", "p"], ["b.jpg", "q"], ["c.png", "r"]])
    manifest = load(tmp_path)
    assert manifest[0].id != manifest[1].id
    assert manifest[0].group == manifest[1].group != manifest[2].group


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", "9", "0"], ("0", "9", "10")),
        (["1.5", "-2", "1"], ("-2", "1", "1.5")),
        (["b", "10", "9"], ("10", "9", "b")),
        (["mild", "", " mild "], ("mild",)),
        (["häufig", "日本", "a'b\"c"], ("a'b\"c", "häufig", "日本")),
    ],
)
def test_labels_that_are_numbers_words_or_empty(tmp_path: Path, labels: list[str], classes: tuple[str, ...]) -> None:
    table(tmp_path, ["image", "label"], [[f"{i}.png", label] for i, label in enumerate(labels)])
    manifest = load(tmp_path, no_patients=True)
    assert manifest.classes == classes
    assert list(by_row(manifest).values()) == [label.strip() or None for label in labels]


def test_given_classes_fix_the_order(tmp_path: Path) -> None:
    table(tmp_path, ["image", "label"], [["a.png", "x"], ["b.png", "y"]])
    assert load(tmp_path, no_patients=True, classes=("z", "y", "x")).label_N.tolist() == [2, 1]
    with pytest.raises(UserError, match="unknown class 'y'"):
        load(tmp_path, no_patients=True, classes=("x", "z"))


def test_the_second_load_decodes_nothing_and_a_change_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(tmp_path, ["image", "label"], [["a.png", "x"], ["b.png", "y"]])
    told: list[tuple[int, int]] = []
    first = load(tmp_path, no_patients=True, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]
    with monkeypatch.context() as patch:
        patch.setattr(scan, "_look", None)  # to decode or to compare would now fail
        patch.setattr(twins, "near_pairs", None)
        assert load(tmp_path, no_patients=True).digest == first.digest
        table(tmp_path, ["image", "label"], [["a.png", "y"], ["b.png", "x"]])
        assert load(tmp_path, no_patients=True).label_N.tolist() == [1, 0]
    picture(tmp_path / "b.png", 77)
    os.utime(tmp_path / "b.png", ns=(1, 1))
    assert load(tmp_path, no_patients=True)[1].id != first[1].id


def test_a_damaged_scan_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGURY_CACHE", str(tmp_path / "cache"))
    table(tmp_path / "set", ["image"], [["a.png"], ["b.png"]])
    first = load(tmp_path / "set", no_patients=True)
    for name in ("thumbs.u16", "facts.npz", "scan.json"):
        (damaged,) = (tmp_path / "cache").rglob(name)
        damaged.write_bytes(b"{")
        assert load(tmp_path / "set", no_patients=True).digest == first.digest
        assert len(damaged.read_bytes()) > 1


def test_the_digest_does_not_depend_on_the_place(tmp_path: Path) -> None:
    for place in ("one", "two"):
        table(tmp_path / place, ["image", "label"], [["a.png", "x"], ["b.png", "y"]])
    one, two = (load(tmp_path / place, no_patients=True) for place in ("one", "two"))
    assert one.digest == two.digest


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "images", "classes", "patients", "masks"),
    [
        ("brain_tumor_mri", 3264, 4, False, 0),
        ("busi", 780, 3, False, 647),
        ("eyepacs_256", 1926, 5, True, 0),
        ("idrid_512", 93, 2, False, 39),
        ("medmnist/breastmnist.npz", 780, 2, False, 0),
    ],
)
def test_real_sets(real_data: Path, name: str, images: int, classes: int, patients: bool, masks: int) -> None:
    manifest = load(real_data / name, no_patients=True)
    assert (len(manifest), len(manifest.classes), manifest.patients_known) == (images, classes, patients)
    assert sum("mask" in s.masks for s in manifest) == masks
    assert not manifest.unreadable
    start = time.perf_counter()
    assert load(real_data / name, no_patients=True).digest == manifest.digest
    assert time.perf_counter() - start < 1.0
    if name == "eyepacs_256":
        assert len({s.patient for s in manifest}) == 963
        assert sum(s.eye == "left" for s in manifest) == 963
    if name == "idrid_512":
        assert set(manifest[0].masks) == {"mask", "ma", "he", "ex", "od"}
    if name == "brain_tumor_mri":
        ids = [s.id for s in manifest]
        twins = [ids.count(one) for one in set(ids) if ids.count(one) > 1]
        assert (len(twins), sum(twins)) == (300, 694)

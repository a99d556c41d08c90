"""Sets as other tools write them, and every way in which such a set may not be what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augury.data import png, readers
from augury.data.importers import load
from augury.data.layouts import LAYOUTS, amd, json_text, list_path, write
from augury.data.listing import Listing, Row
from augury.data.masks import read_mask
from augury.data.sample import Box, Manifest
from augury.errors import UserError


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    blobs = np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8)
    png.write(np.kron(blobs, np.ones((4, 4), np.uint8)), path)
    return path


def mask(path: Path, value: int = 255) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    png.write(np.pad(np.full((8, 8), value, np.uint8), 8), path)
    return path


def dump(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def by_name(listing: Listing) -> dict[str, Row]:
    return {row.name: row for row in listing.rows}


def test_a_decathlon_datalist(tmp_path: Path) -> None:
    for seed, name in enumerate(["imagesTr/a.png", "imagesTr/b.png", "imagesTs/c.png"]):
        picture(tmp_path / name, seed)
    mask(tmp_path / "labelsTr" / "a.png")
    content = {
        "name": "Task", "labels": {"0": "background", "1": "lesion"}, "numTraining": 2,
        "training": [{"image": "./imagesTr/a.png", "label": "./labelsTr/a.png", "fold": 0},
                     {"image": str(tmp_path / "imagesTr" / "b.png"), "label": 1}],
        "test": ["./imagesTs/c.png"],
    }  # fmt: skip
    dump(tmp_path / "dataset.json", content)
    rows = by_name(list_path(tmp_path))
    assert dict(rows["imagesTr/a.png"].masks) == {"mask": tmp_path / "labelsTr" / "a.png"}
    assert rows["imagesTr/a.png"].label is None
    assert dict(rows["imagesTr/a.png"].meta) == {"fold": "0"}
    assert (rows["imagesTr/b.png"].label, rows["imagesTs/c.png"].split) == ("lesion", "test")
    assert list_path(tmp_path / "dataset.json").rows == list_path(tmp_path).rows


def test_nnunet_with_channels_and_a_test_folder(tmp_path: Path) -> None:
    for seed, name in enumerate(["imagesTr/p1_0000.png", "imagesTr/p1_0001.png", "imagesTs/p2_0000.png"]):
        picture(tmp_path / name, seed)
    mask(tmp_path / "labelsTr" / "p1.png", 1)
    facts = {"channel_names": {"0": "T2", "1": "ADC"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ".png"}
    dump(tmp_path / "dataset.json", facts | {"numTraining": 1})
    listing = list_path(tmp_path)
    assert listing.notes[0].startswith("layout nnunet")
    assert [(row.modality, row.patient, row.split) for row in listing.rows] == [
        ("T2", "p1", "train"), ("ADC", "p1", "train"), ("T2", None, "test"),
    ]  # fmt: skip
    assert [bool(row.masks) for row in listing.rows] == [True, True, False]


def test_nnunet_volumes_become_slices_with_their_labels(tmp_path: Path) -> None:
    import nibabel

    rng = np.random.default_rng(0)
    voxels, labels = rng.integers(0, 999, (16, 20, 12)).astype(np.int16), np.zeros((16, 20, 12), np.uint8)
    labels[4:9, 5:12, 3:9] = 1
    for place, values in {"imagesTr/p_0000.nii.gz": voxels, "labelsTr/p.nii.gz": labels}.items():
        (tmp_path / "in" / place).parent.mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "in" / place)
    facts = {"channel_names": {"0": "T2"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ".nii.gz"}
    dump(tmp_path / "in" / "dataset.json", facts)
    manifest = load(tmp_path / "in", no_patients=True)
    assert {str(s.member).rpartition("/")[0] for s in manifest} == {"slice/2"}
    assert len({s.patient for s in manifest}) == 1
    for layout in ("manifest", "nnunet"):
        back = load(write(manifest, tmp_path / layout, layout=layout).folder, no_patients=True)
        assert [s.id for s in back] == [s.id for s in manifest]
        for there, here in zip(manifest, back, strict=True):
            size = readers.decode(here.image).shape
            assert np.array_equal(read_mask(here, size=size), read_mask(there, size=size))
            assert read_mask(here, size=size).any() == (3 <= int(str(there.member).rpartition("/")[2]) < 9)


def test_imagefolder_with_objects_and_splits(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "0001.png", 1), picture(tmp_path / "validation" / "0001.png", 2)
    mask(tmp_path / "train" / "m.png")
    line = {"file_name": "0001.png", "label": 3, "mask_file_name": "m.png",
            "objects": {"bbox": [[302.0, 109.0, 73.0, 52.0]], "categories": [0]}}  # fmt: skip
    dump(tmp_path / "train" / "metadata.jsonl", json.dumps(line) + "\n")
    (tmp_path / "validation" / "metadata.csv").write_bytes('﻿file_name,text\r\n0001.png,"a, b"\r\n'.encode())
    rows = by_name(list_path(tmp_path))
    first, second = rows["train/0001.png"], rows["validation/0001.png"]
    assert first.boxes == (Box(x=302.0, y=109.0, width=73.0, height=52.0, label="0"),)
    assert (first.label, first.split, list(first.masks)) == ("3", "train", ["mask"])
    assert (second.text, second.split) == ("a, b", "val")


def test_the_retinopathy_table(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "10_left.png", 1), picture(tmp_path / "train" / "10_right.png", 2)
    (tmp_path / "trainLabels.csv").write_text("image,level\n10_left,0\n10_right,4\n11_left,2\n")
    for path in (tmp_path, tmp_path / "trainLabels.csv"):
        manifest = load(path)
        assert [(s.row, s.patient, s.eye, s.split) for s in manifest] == [
            ("10_left", "10", "left", "train"), ("10_right", "10", "right", "train"),
        ]  # fmt: skip
        assert [one.image for one in manifest.unreadable] == ["11_left"]


def test_coco_boxes_and_labels_of_images(tmp_path: Path) -> None:
    picture(tmp_path / "train2017" / "a.png", 1), picture(tmp_path / "train2017" / "b.png", 2)
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 24, "width": 24, "license": 4},
                   {"id": 2, "file_name": "b.png", "height": 24, "width": 24}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4.5], "iscrowd": 0,
             "segmentation": [[1, 2, 4, 2, 4, 6]]},
            {"id": 2, "image_id": 2, "category_id": 8},
        ],
        "categories": [{"id": 7, "name": "mass"}, {"id": 8, "name": "normal"}],
    }  # fmt: skip
    dump(tmp_path / "annotations" / "instances_train2017.json", content)
    listing = list_path(tmp_path)
    first, second = listing.rows
    assert first.boxes == (Box(x=1.0, y=2.0, width=3.0, height=4.5, label="mass"),)
    assert (first.label, second.label, first.split, dict(first.meta)) == (None, "normal", "train", {})
    assert any("1 segmentations were not read" in note for note in listing.notes)
    assert list_path(tmp_path / "annotations" / "instances_train2017.json").rows[0].image == first.image


def test_the_amd_collection(tmp_path: Path) -> None:
    images = tmp_path / "mmc-amd" / "ImageData"
    ids = {"cfp": ["f-w-1544817", "f-d-27662-l"], "oct": ["o-d-27662-l_000", "o-d-27662-l_003"]}
    for modality, folder in {"cfp": "cfp-clahe-448x448", "oct": "oct-median3x3-448x448"}.items():
        for seed, name in enumerate(ids[modality]):
            picture(images / folder / f"{name}.png", seed + 10 * len(modality + folder))
        for place, lines in {
            "ImageSets": ids[modality],
            "annotations": [f"{i} {'dw'.index(i[2]) * 2 + 1}" for i in ids[modality]],
        }.items():
            dump(tmp_path / "mmc-amd-splitA-val" / place / f"{modality}.txt", "\n".join(lines))
    dump(tmp_path / "mmc-amd-splitA-val" / "ImageSets" / "mm.txt", "f-d-27662-l o-d-27662-l_000\n")
    (tmp_path / "mmc-amd-splitA-val" / "ImageData").symlink_to(images)
    for path in (tmp_path, tmp_path / "mmc-amd-splitA-val"):
        manifest = load(path)
        found = [(s.modality, s.patient, s.eye, manifest.classes[s.label or 0], s.split) for s in manifest]
        assert found == [
            ("cfp", "1544817", None, "wet", "val"), ("cfp", "27662", "left", "dry", "val"),
            ("oct", "27662", "left", "dry", "val"), ("oct", "27662", "left", "dry", "val"),
        ]  # fmt: skip


def test_a_written_amd_collection_has_their_files(tmp_path: Path) -> None:
    shots = [
        amd.Shot(
            modality=m, label="PCV", patient="p1", eye="left", split="test", pixels=lambda: np.eye(24, dtype=np.uint8)
        )
        for m in ("cfp", "oct", "oct")
    ]
    amd.write_collections(shots, tmp_path)
    place = tmp_path / "mmc-amd-splitA-test"
    assert (place / "ImageSets" / "oct.txt").read_text() == "o-p-p1-l_000\no-p-p1-l_001\n"
    assert (place / "annotations" / "cfp.txt").read_text() == "f-p-p1-l 2\n"
    assert (place / "ImageSets" / "mm.txt").read_text() == "f-p-p1-l o-p-p1-l_000\nf-p-p1-l o-p-p1-l_001\n"
    assert (place / "EyeSets" / "oct.txt").read_text() == "p-p1-l\n"
    assert (place / "SubjectSets" / "cfp.txt").read_text() == "p1\n"
    assert (place / "ImageData" / "oct-24x24" / "o-p-p1-l_001.png").is_file()


# What is not what it says

MONAI: dict[str, tuple[Any, str]] = {
    "a list": ([1, 2], "is a list of 2; expected an object"),
    "an entry is a list": ({"training": [["a.png"]]}, r"training\[0\] is a list of 1; expected an object"),
    "the list is a number": ({"training": 3}, "training is the number 3; expected a list"),
    "no list": ({"train_images": []}, "expected MONAI's lists"),
    "empty lists": ({"training": [], "test": []}, "lists no image"),
    "the image is a number": ({"training": [{"image": 7}]}, r"training\[0\].image is the number 7; expected text"),
    "no image": ({"training": [{"label": 7}]}, r"training\[0\].image is null"),
    "channels": ({"training": [{"image": ["a.png", "b.png"]}]}, "lists 2 files"),
    "several labels": ({"training": [{"image": "a.png", "label": [0, 1]}]}, "lists 2 labels"),
    "twice": ({"training": [{"image": "a.png"}], "test": ["./a.png"]}, "as .*training.0.* does"),
    "a way out": ({"training": [{"image": "../a.png"}]}, "leaves the folder"),
    "a Windows way out": ({"training": [{"image": "..\\a.png"}]}, "leaves the folder"),
    "an absolute way out": ({"training": [{"image": "/etc/passwd"}]}, "leaves the folder"),
    "a drive": ({"training": [{"image": "C:\\data\\a.png"}]}, "leaves the folder"),
    "a NUL": ({"training": [{"image": "a\0.png"}]}, "leaves the folder"),
    "a lone surrogate": ('{"training": [{"image": "\\ud800.png"}]}', "leaves the folder"),
    "a mask's way out": ({"training": [{"image": "a.png", "mask": "../m.png"}]}, "leaves the folder"),
    "a split of its own": ({"training": [{"image": "a.png", "split": "fold 3"}]}, "expected train, val or test"),
    "a box without sides": ({"training": [{"image": "a.png", "boxes": [{"x": 1, "y": 1, "width": 0, "height": 2}]}]},
                            "positive sides"),
    "NaN": ('{"training": [{"image": "a.png", "age": NaN}]}', "NaN is no number"),
    "1e400": ('{"training": [{"image": "a.png", "age": 1e400}]}', "1e400 is too large"),
    "a doubled key": ('{"training": [], "training": [{"image": "a.png"}]}', "'training' stands twice"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "deep objects": ('{"a":' * 100_000, "nested too deeply"),
    "cut": ('{"training": [{"image"', "no readable JSON"),
    "5,000 digits": ('{"training": [{"image": "a.png", "age": ' + "9" * 5000 + "}]}", "no readable JSON"),
    "empty": ("", "no readable JSON"),
    "no text": (None, "not UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("case", MONAI)
def test_a_datalist_that_is_not_what_it_says(case: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.png"), picture(tmp_path / "b.png", 1)
    content, why = MONAI[case]
    file = tmp_path / "datalist.json"
    file.write_bytes(b"\xff\xfe\0") if content is None else dump(file, content)
    with pytest.raises(UserError, match=why) as error:
        list_path(file)
    assert "\n" not in str(error.value)


COCO: dict[str, tuple[Mapping[str, Any], str]] = {
    "images is an object": ({"images": {}}, "images is an object; expected a list"),
    "an unknown image": ({"annotations": [{"image_id": 9, "category_id": 1, "bbox": [1, 1, 1, 1]}]}, "image 9"),
    "an unknown category": ({"annotations": [{"image_id": 1, "category_id": 5}]}, "category 5"),
    "three sides": ({"annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3]}]}, "x, y, width and height"),
    "a negative side": ({"annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, -3, 1]}]}, "positive sides"),
    "text for a number": ({"annotations": [{"image_id": 1, "category_id": 1, "bbox": "all"}]}, "expected a list"),
    "an id twice": ({"images": [{"id": 1, "file_name": "a.png"}] * 2}, "id 1"),
    "a way out": ({"images": [{"id": 1, "file_name": "../../a.png"}]}, "leaves the folder"),
    "two labels": (
        {"annotations": [{"image_id": 1, "category_id": 1}, {"image_id": 1, "category_id": 2}]},
        "choose one",
    ),
}


@pytest.mark.parametrize("case", COCO)
def test_a_coco_file_that_is_not_what_it_says(case: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    changed, why = COCO[case]
    content = {
        "images": [{"id": 1, "file_name": "a.png"}], "annotations": [],
        "categories": [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}],
    }  # fmt: skip
    with pytest.raises(UserError, match=why):
        list_path(dump(tmp_path / "labels.json", content | dict(changed)))


TABLES: dict[str, tuple[str, str, str]] = {  # file, content, what is said
    "boxes without columns": ("boxes.csv", "image,left\na.png,3\n", "expected image, x, y"),
    "a box that is no number": ("boxes.csv", "image,x,y,width,height\na.png,1,2,three,4\n", "line 2"),
    "a box without end": ("boxes.csv", "image,x,y,width,height\na.png,1,2,inf,4\n", "positive sides"),
    "a box of nothing listed": ("boxes.csv", "image,x,y,width,height\nz.png,1,2,3,4\n", "does not list"),
    "objects that are a list": ("metadata.jsonl", '{"file_name": "a.png", "objects": [1]}\n', "objects is a list of 1"),
    "a line that is a list": ("metadata.jsonl", '["a.png"]\n', "line 1 is a list of 1"),
    "no file name": ("metadata.jsonl", '{"image_name": 1, "file_name": "a.png"}\n{"label": 2}\n', "names no image"),
    "two lists": ("metadata.jsonl", '{"file_name": "a.png", "label": [1, 2]}\n', "is a list of 2"),
    "a line that is cut": ("metadata.jsonl", '{"file_name": "a.png"}\n{"file', "line 2 is no readable JSON"),
    "a metadata way out": ("metadata.csv", "file_name\n../a.png\n", "leaves the folder"),
    "a name that is no eye": (
        "trainLabels.csv",
        "image,level\n" + "".join(f"{i}_left,0\n" for i in range(60)) + "10_middle,0\n",
        "10_middle",
    ),
    "an eye twice": ("trainLabels.csv", "image,level\n10_left,0\n10_left,1\n", "twice"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_is_not_what_it_says(case: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    name, content, why = TABLES[case]
    (tmp_path / name).write_text(content, encoding="utf-8")
    if name == "boxes.csv":
        (tmp_path / "manifest.csv").write_text("image\na.png\n")
    with pytest.raises(UserError, match=why):
        list_path(tmp_path)


def test_json_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "big.json").open("wb") as file:
        file.truncate(json_text.MAX_BYTES + 1)
    with pytest.raises(UserError, match="expected at most 48 MiB"):
        list_path(tmp_path / "big.json")


LINKED: dict[str, Callable[[Path], object]] = {
    "class folders": lambda set_: picture(set_ / "x" / "a.png", 1),
    "a manifest": lambda set_: dump(picture(set_ / "x" / "a.png", 1).parents[1] / "manifest.csv",
                                    "image,mask\nx/a.png,\nx/link.png,\nx/a2.png,x/link.png\n"),
    "a datalist": lambda set_: dump(set_ / "datalist.json", {"training": [{"image": "x/link.png"},
                                    {"image": str(picture(set_ / "x" / "a.png", 1)), "mask": "x/link.png"}]}),
    "imagefolder": lambda set_: dump(set_ / "metadata.csv", "file_name\nx/link.png\nx/a.png\n"),
    "coco": lambda set_: dump(set_ / "a.json", {"images": [{"id": 1, "file_name": "x/link.png"}], "annotations": []}),
}  # fmt: skip


@pytest.mark.parametrize("case", LINKED)
def test_a_link_that_leaves_the_folder_is_refused_by_name(case: str, tmp_path: Path) -> None:
    outside, folder = picture(tmp_path / "outside" / "secret.png"), tmp_path / "set"
    picture(folder / "x" / "a2.png", 3)
    LINKED[case](folder)
    (folder / "x" / "link.png").symlink_to(outside)
    listing = list_path(folder)
    assert not any(row.image.name == "link.png" or "link.png" in str(row.masks) for row in listing.rows)
    assert any(one.image == "x/link.png" and "leads out" in one.why for one in listing.unreadable)


def test_a_linked_folder_is_refused_or_not_followed(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "x" / "a.png"), picture(tmp_path / "outside" / "b.png", 1)
    (tmp_path / "set" / "y").symlink_to(tmp_path / "outside")
    (tmp_path / "set" / "x" / "loop").symlink_to(tmp_path / "set")
    listing = list_path(tmp_path / "set")
    assert [row.name for row in listing.rows] == ["x/a.png"]
    assert [one.image for one in listing.unreadable] == ["y"]
    assert any("x/loop" in note for note in listing.notes)


def test_names_of_windows_and_names_that_differ_in_case(tmp_path: Path) -> None:
    picture(tmp_path / "i" / "a.png", 1), picture(tmp_path / "i" / "A.png", 2)
    (tmp_path / "manifest.csv").write_bytes(b"image,label\r\ni\\a.png,x\r\ni\\A.png,y\r\n")
    listing = list_path(tmp_path)
    assert [row.name for row in listing.rows] == ["i/a.png", "i/A.png"]
    assert any("2 paths have Windows separators" in note for note in listing.notes)
    assert any("2 names differ only in case" in note for note in listing.notes)


def test_masks_and_images_that_are_not_there_are_listed(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    entries = [{"image": "a.png", "mask": "no.png"}, {"image": "gone.png"}]
    manifest = load(dump(tmp_path / "d.json", {"training": entries}), no_patients=True)
    assert [(one.image, "no such file" in one.why) for one in manifest.unreadable] == [
        ("no.png", True),
        ("gone.png", True),
    ]


# What cannot go out


def a_set(folder: Path, header: str, *lines: str) -> Manifest:
    for seed, line in enumerate(lines):
        picture(folder / line.split(",")[0], seed)
    mask(folder / "m.png")
    dump(folder / "manifest.csv", "\n".join([header, *lines]))
    return load(folder, no_patients=True)


REFUSED: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "no masks": ("nnunet", "image,mask", ("a.png,m.png", "b.png,"), "1 of 2 images have no masks"),
    "no patients": ("kaggle_retinopathy", "image,label,eye", ("a.png,1,left",), "no patient"),
    "an eye twice": ("kaggle_retinopathy", "image,patient,eye", ("a.png,1,left", "b.png,1,left"), "one image an eye"),
    "a path for a patient": (
        "kaggle_retinopathy",
        "image,patient,eye",
        ("a.png,../1,left",),
        "cannot be a file's name",
    ),
    "half a split": ("coco", "image,split", ("a.png,train", "b.png,"), "1 of 2 images have no split"),
    "no split": ("medmnist", "image,label", ("a.png,1",), "no split"),
    "unlabelled": ("busi", "image,label", ("a.png,1", "b.png,"), "no label"),
    "a class that is a path": ("class_folders", "image,label", ("a.png,x/y",), "cannot be a folder"),
    "a class that is hidden": ("class_folders", "image,label", ("a.png,.x",), "cannot be a folder"),
    "a class that Windows keeps": ("class_folders", "image,label", ("a.png,con",), "cannot be a folder"),
    "classes that differ in case": ("busi", "image,label", ("a.png,Mass", "b.png,mass"), "differ only in case"),
    "a mask by another name": (
        "class_folders",
        "image,label,mask_vessels",
        ("a.png,x,m.png",),
        "masks named 'vessels'",
    ),
    "splits alone": ("class_folders", "image,split", ("a.png,train",), "take train, val and test for the classes"),
    "another disease": ("mmc_amd", "image,label,patient,modality,split", ("a.png,flu,1,cfp,train",), "'flu'"),
    "a patient no id can hold": (
        "mmc_amd",
        "image,label,patient,modality,split",
        ("a.png,dry,a-b,cfp,train",),
        "'a-b'",
    ),
    "an unknown layout": ("tar", "image", ("a.png",), "got the layout 'tar'"),
    "a layout that is only read": ("csv", "image", ("a.png",), "only read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_layout_cannot_hold_is_refused(case: str, tmp_path: Path) -> None:
    layout, header, lines, why = REFUSED[case]
    with pytest.raises(UserError, match=why):
        write(a_set(tmp_path / "in", header, *lines), tmp_path / "out", layout=layout)
    assert not (tmp_path / "out").exists()


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    source = a_set(tmp_path / "in", "image,label,patient,site,mask", "a.png,x,p1,Graz,m.png", "b.png,y,p2,,")
    notes = write(source, tmp_path / "out", layout="class_folders").notes
    assert notes == (
        "not written, as the layout has no place for it: patient of 2 images (p1, p2)",
        "not written, as the layout has no place for it: meta of 1 images (site)",
    )


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    source = a_set(tmp_path / "in", "image,label", "a.png,x")
    with pytest.raises(UserError, match="not empty"):
        write(source, tmp_path / "in", layout="monai")
    (tmp_path / "out").mkdir()
    assert write(source, tmp_path / "out", layout="monai").folder == tmp_path / "out"


def test_a_named_layout_is_taken_at_its_word(tmp_path: Path) -> None:
    a_set(tmp_path, "image,label", "x/a.png,1")
    assert load(tmp_path, no_patients=True, layout="class_folders").notes[0].startswith("layout class_folders (asked")
    with pytest.raises(UserError, match="got the layout 'dicomdir'"):
        load(tmp_path, layout="dicomdir")
    for layout in LAYOUTS.keys() - {"manifest", "class_folders", "busi"}:
        with pytest.raises(UserError):
            list_path(tmp_path, layout=layout)


def test_nothing_of_a_source_file_but_its_pixels_goes_out(tmp_path: Path) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text("Patient", "DOE^JOHN")
    (tmp_path / "in").mkdir()
    Image.fromarray(np.arange(576, dtype=np.uint8).reshape(24, 24)).save(
        tmp_path / "in" / "doe_john.png", pnginfo=about
    )
    source = load(tmp_path / "in", no_patients=True)
    for layout in ("manifest", "monai", "coco", "imagefolder", "class_folders"):
        folder = write(source, tmp_path / layout, layout=layout).folder
        content = b"".join(path.name.encode() + path.read_bytes() for path in folder.rglob("*") if path.is_file())
        assert b"DOE" not in content.upper()

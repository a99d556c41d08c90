"""A set that is handed over comes in again as the same set, says what it is, and names nobody."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augury.data import croissant, png
from augury.data.croissant import About
from augury.data.export import export, neutralised
from augury.data.importers import load
from augury.data.layouts import LAYOUTS, amd, writable
from augury.data.masks import mask_values
from augury.data.sample import Manifest, Sample
from augury.errors import Refused, UserError

DREW = "0123456789abcdef"
KINDS = {"grey8": (np.uint8, ()), "grey16": (np.uint16, ()), "rgb8": (np.uint8, (3,)), "rgb16": (np.uint16, (3,))}
SECRETS = ("MRN4711", "Quixote", "La Mancha", "f00dfeedf00dfeed", "1605-01-16")
ABOUT = About(
    name="a set", description="NOT AUDITED: synthetic images.", licence="https://spdx.org/licenses/CC-BY-4.0",
    published="2026-11-22", cite_as="A set, 2026", made_how="Drawn.", uses=("research",), limits=("no diagnosis",),
    personal="No image shows a patient.",
)  # fmt: skip


def a_set(folder: Path, kind: str = "grey8", *, count: int = 6) -> Manifest:
    """Images that every layout can hold: classes of mmc-amd, an eye each, masks, splits, patients of two images."""
    dtype, channels = KINDS[kind]
    rng = np.random.default_rng(7)
    folder.mkdir()
    lines = ["image,label,patient,eye,modality,mask,split,origin,source,scanner"]
    for i in range(count):
        shape = (24, 20, *channels)
        png.write(rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True), folder / f"Quixote_{i}.png")
        mask = np.zeros((24, 20), np.uint8)
        mask[i : i + 5, 3:9] = 255
        png.write(mask, folder / f"m{i}.png")
        split, eye = ("train", "val", "test")[i % 3], ("left", "right")[i % 2]
        patient, steered = f"MRN4711-{i // 2}", "f00dfeedf00dfeed" if i else ""
        label = amd.CLASSES[i % 2]
        lines.append(
            f"Quixote_{i}.png,{label},{patient},{eye},cfp,m{i}.png,{split},{DREW},{steered},La Mancha 1605-01-16"
        )
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return load(folder)


def plain_set(folder: Path, *, count: int = 5) -> Manifest:
    """As `augury sample` makes it: a class and who drew it."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    lines = ["image,label,patient,origin"]
    (folder / "images").mkdir()
    for i in range(count):
        png.write(rng.integers(0, 255, (16, 16), dtype=np.uint8, endpoint=True), folder / f"images/{i:06d}.png")
        lines.append(f"images/{i:06d}.png,{'ab'[i % 2]},synthetic:images/{i:06d}.png,{DREW}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return load(folder)


def facts(manifest: Manifest, fields: frozenset[str]) -> list[tuple[Any, ...]]:
    """Of every image its pixels and what the fields say of it; masks by their area."""
    return sorted((sample.id, *(_fact(manifest, sample, name) for name in sorted(fields))) for sample in manifest)


def _fact(manifest: Manifest, sample: Sample, name: str) -> str:
    if name == "label":
        return "" if sample.label is None else manifest.classes[sample.label]
    if name == "masks":
        areas = [mask_values(path, sample.member) > 0 for path in sample.masks.values()]
        return hashlib.sha256(b"".join(area.tobytes() for area in areas)).hexdigest()
    return str(getattr(sample, name))


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("layout", writable())
def test_an_export_comes_in_again_as_the_same_set(layout: str, kind: str, tmp_path: Path) -> None:
    given = a_set(tmp_path / "in", kind)
    done = export(given, tmp_path / "out", layout=layout, card="the card\n", about=ABOUT)
    back = load(done.folder, no_patients=True)
    assert back.notes[0].startswith(f"layout {layout} (recognised)")
    assert not back.unreadable
    kept = LAYOUTS[layout].keeps - {"name", "patient", "source", "meta"}
    assert facts(back, kept) == facts(given, kept)
    assert {sample.origin for sample in back} == {DREW}
    assert (done.folder / "card.md").read_text() == "the card\n"
    for path in done.folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not [s for s in SECRETS if s.encode() in content or s in str(path.relative_to(tmp_path))], path
    assert not [secret for secret in SECRETS for note in done.notes if secret in note]


@pytest.mark.parametrize("layout", ["class_folders", "medmnist", "nnunet", "mmc_amd"])
def test_only_the_files_themselves_count_as_synthetic(layout: str, tmp_path: Path) -> None:
    folder = export(a_set(tmp_path / "in"), tmp_path / "out", layout=layout, card="", about=ABOUT).folder
    again = tmp_path / "moved"
    folder.rename(again)
    assert {sample.origin for sample in load(again, no_patients=True)} == {DREW}
    first = load(again, no_patients=True)[0]
    if first.image.suffix == ".npz":
        with np.load(first.image) as arrays:
            np.savez(first.image, **arrays)
    else:
        png.write(np.zeros((24, 20), np.uint8), first.image)
    back = load(again, no_patients=True)
    real = [sample.row for sample in back if sample.origin == "real"]
    assert real == ([sample.row for sample in back] if layout == "medmnist" else [first.row])
    assert f"{len(real)} files are not those" in " ".join(back.notes)
    (again / "croissant.json").unlink()
    assert {sample.origin for sample in load(again, no_patients=True)} == {"real"}


@pytest.mark.parametrize("text", ["{", "[]", '{"recordSet": 3}', '{"recordSet": [{"data": [{"records/path": 1}]}]}',
                                  '{"recordSet": [{"data": [[]]}], "distribution": {}}'])  # fmt: skip
def test_metadata_of_others_say_nothing(text: str, tmp_path: Path) -> None:
    folder = export(a_set(tmp_path / "in"), tmp_path / "out", layout="class_folders", card="", about=ABOUT).folder
    (folder / "croissant.json").write_text(text)
    assert {sample.origin for sample in load(folder, no_patients=True)} == {"real"}


@pytest.mark.parametrize("layout", ["manifest", "monai", "imagefolder", "coco", "dicom"])
def test_images_of_one_patient_stay_together(layout: str, tmp_path: Path) -> None:
    given = a_set(tmp_path / "in")
    back = load(export(given, tmp_path / "out", layout=layout, card="", about=ABOUT).folder, no_patients=True)
    pairs = [{s.id for s in given if s.patient == one} for one in {s.patient for s in given}]
    assert all(len({s.patient for s in back if s.id in pair}) == 1 for pair in pairs)
    assert len({s.patient for s in back}) == len(pairs) == 3


def test_a_sampled_set_goes_out_as_a_folder_with_the_same_digest(tmp_path: Path) -> None:
    given = plain_set(tmp_path / "in")
    assert load(export(given, tmp_path / "out", layout="manifest", card="", about=ABOUT).folder).digest == given.digest


def test_what_is_left_out_is_said_without_values(tmp_path: Path) -> None:
    _, notes = neutralised(a_set(tmp_path / "in"), layout="manifest")
    assert notes == [
        "the patients of the images became the numbers 1 to 3",
        "not written: which real image steered 5 images",
        "the masks of 5 images may be those of the real images that steered them: they go out",
        "not written, as they may say anything: the columns 'scanner'",
    ]


def test_a_layout_that_needs_a_split_gets_train(tmp_path: Path) -> None:
    done = export(plain_set(tmp_path / "in"), tmp_path / "out", layout="medmnist", card="", about=ABOUT)
    assert {sample.split for sample in load(done.folder, no_patients=True)} == {"train"}
    assert "all stand in train" in " ".join(done.notes)


def test_what_a_layout_needs_is_asked_for_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"5 of 5 images have no masks, which the layout nnunet needs"):
        export(plain_set(tmp_path / "in"), tmp_path / "out", layout="nnunet", card="", about=ABOUT)
    assert not (tmp_path / "out").exists()


def test_a_set_with_a_real_image_is_refused(tmp_path: Path) -> None:
    given = plain_set(tmp_path / "in")
    real = dataclasses.replace(given, samples=(*given.samples[:4], dataclasses.replace(given[4], origin="real")))
    with pytest.raises(Refused, match="1 of 5 images of 'in' are real"):
        export(real, tmp_path / "out", layout="manifest", card="", about=ABOUT)


def test_an_export_is_complete_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = plain_set(tmp_path / "in")

    def broken(*_: object) -> str:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(croissant, "describe", broken)
        with pytest.raises(ZeroDivisionError):
            export(given, tmp_path / "out", layout="manifest", card="", about=ABOUT)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    export(given, tmp_path / "out", layout="manifest", card="", about=ABOUT)
    with pytest.raises(UserError, match="not empty"):
        export(given, tmp_path / "out", layout="manifest", card="", about=ABOUT)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # rdflib's, of itself
@pytest.mark.parametrize("layout", writable())
def test_mlcroissant_reads_the_metadata_without_a_complaint(layout: str, tmp_path: Path) -> None:
    mlc = pytest.importorskip("mlcroissant", reason="mlcroissant is in the extra dev")
    done = export(a_set(tmp_path / "in"), tmp_path / "out", layout=layout, card="the card\n", about=ABOUT)
    dataset = mlc.Dataset(str(done.folder / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    back = load(done.folder, no_patients=True)
    labels = sorted("" if s.label is None else back.classes[s.label] for s in back)
    records = list(dataset.records("records"))
    assert sorted(record.get("records/label", "") for record in records) == labels
    assert ("images" in {one.id for one in dataset.metadata.record_sets}) == (layout not in _NO_IMAGES)
    if layout not in _NO_IMAGES:
        _expect_images(list(dataset.records("images")), records, done.folder)


_NO_IMAGES = ("dicom", "medmnist", "busi", "class_folders")  # no reader of images, or masks beside the images


def _expect_images(images: list[dict[str, Any]], records: list[dict[str, Any]], folder: Path) -> None:
    label_of = {record["records/path"]: record.get("records/label") for record in records}
    assert len(images) == len(records)
    for one in images:
        path = one["images/path"].decode()
        if label_of[path] is not None:
            assert one["images/label"].decode() == label_of[path]
        with Image.open(folder / path) as there:
            assert np.array_equal(np.asarray(one["images/content"].convert("L")), np.asarray(there.convert("L")))


@pytest.mark.parametrize("layout", writable())
def test_every_file_is_described_with_its_digest(layout: str, tmp_path: Path) -> None:
    done = export(a_set(tmp_path / "in"), tmp_path / "out", layout=layout, card="the card\n", about=ABOUT)
    facts = json.loads((done.folder / "croissant.json").read_text())
    said = {one["contentUrl"]: one["sha256"] for one in facts["distribution"] if one["@type"] == "cr:FileObject"}
    lines = facts["recordSet"][0]["data"]
    said |= {line["records/path"]: line["records/sha256"] for line in lines if "records/sha256" in line}
    for path, digest in said.items():
        assert hashlib.sha256((done.folder / path).read_bytes()).hexdigest() == digest
    patterns = [pattern for one in facts["distribution"] for pattern in one.get("includes", ())]
    met = {path for pattern in patterns for path in done.folder.glob(pattern)}
    files = {path for path in done.folder.rglob("*") if path.is_file() and path.name != "croissant.json"}
    assert files == met | {done.folder / path for path in said}

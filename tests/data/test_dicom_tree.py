"""A tree of DICOM files becomes a set in which nobody is named."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from augury.data.dicom.facts import hidden
from augury.data.importers import load
from augury.data.salt import hashed, salt
from augury.data.sample import Manifest
from augury.data.store import Preparation, prepare
from augury.errors import UserError

RNG = np.random.default_rng(0)
PEOPLE = {
    "MRN4711": "Quixote^Alonso",
    "MRN4712": "Panza^Sancho",
    "MRN4713": "Toboso^Dulcinea",
    "MRN4714": "Haldudo^Juan",
}
UIDS: list[str] = []


def write(path: Path, patient: str, **given: Any) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    made.PatientID, made.PatientName = patient, PEOPLE.get(patient, "")
    made.PatientBirthDate, made.AccessionNumber = "16050116", "ACC98765"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = (generate_uid() for _ in range(3))
    made.InstitutionName, made.ReferringPhysicianName = "Hospital of La Mancha", "Carrasco^Sanson"
    made.PatientSex, made.PatientAge, made.Modality = "M", "095Y", "OP"
    made.ImageLaterality, made.BurnedInAnnotation = "L", "YES"
    made.Rows = made.Columns = 16
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 0
    frames = int(given.get("NumberOfFrames", 1))
    made.PixelData = RNG.integers(0, 65536, (frames, 16, 16), dtype=np.uint16).tobytes()
    for name, value in given.items():
        setattr(made, name, value)
    UIDS.extend(str(one) for one in (made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID))
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)


def tree(folder: Path) -> Path:
    """Two classes of two patients, paths full of names, a DICOMDIR, a report, a damaged file and a text."""
    for i, patient in enumerate(PEOPLE):
        where = folder / ("sick" if i % 2 else "well") / PEOPLE[patient] / "1.2.3"
        write(where / f"{patient}_left", patient)
        write(where / "IM0002.dcm", patient, ImageLaterality="R", NumberOfFrames="3" if i == 0 else "1")
    (folder / "sick" / "Quixote^Alonso.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\0\0\0UL\x04\0")
    write(folder / "DICOMDIR", "MRN4711")
    index = pydicom.dcmread(folder / "DICOMDIR")
    index.file_meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
    del index.PixelData
    index.save_as(folder / "DICOMDIR")
    (folder / "notes.txt").write_text("words")
    return folder


def secrets() -> list[str]:
    words = [word for name in (*PEOPLE.values(), "Carrasco^Sanson") for word in name.split("^")]
    return [*words, *PEOPLE, "16050116", "ACC98765", "Mancha", *UIDS]


def leaked(text: str) -> list[str]:
    return [secret for secret in secrets() if secret.lower() in text.lower()]


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    monkeypatch.setenv("AUGURY_CACHE", str(tmp_path / "cache"))
    return load(tree(tmp_path / "set"))


def test_a_tree_is_read_with_its_patients_classes_eyes_and_frames(manifest: Manifest) -> None:
    assert len(manifest) == 4 + 4 + 2
    assert manifest.patients_known
    assert len({sample.patient for sample in manifest}) == 4
    assert manifest.classes == ("sick", "well")
    assert {sample.eye for sample in manifest} == {"left", "right"}
    assert all(sample.meta["age"] == "90+" and sample.meta["sex"] == "M" for sample in manifest)
    assert all(sample.meta["burned_in_annotation"] == "yes" and sample.modality == "OP" for sample in manifest)
    assert [one.why.split(":")[0] for one in manifest.unreadable] == [
        "is a DICOM file without pixels; expected an image"
    ]
    said = " ".join(manifest.notes)
    assert all(word in said for word in ("salt in the cache", "DICOMDIR", "burned", "1 files that are not DICOM"))


def test_nobody_is_named_in_anything_that_comes_out(
    manifest: Manifest, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    store = prepare(manifest, Preparation(size=(8, 8)))
    rows = [(s.row, s.patient, s.group, s.meta, s.eye, s.text, s.source) for s in manifest]
    facts = [(one.image, one.why) for one in manifest.unreadable]
    said = repr((rows, facts, manifest.notes, manifest.name, manifest.classes, store.record, caplog.text))
    assert not leaked(said)
    assert not leaked("".join(capfd.readouterr()))
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(kept) > 3
    for path in kept:
        assert not leaked(str(path.relative_to(tmp_path)))
        assert not leaked(path.read_bytes().decode("latin-1")), path.name


def test_a_second_look_opens_no_file(manifest: Manifest, tmp_path: Path) -> None:
    for path in (tmp_path / "set").rglob("*"):
        if path.is_file() and path.suffix != ".txt":
            facts, content = path.stat(), path.read_bytes()
            path.write_bytes(content[:140] + bytes(len(content) - 140))  # still DICOM by its mark, otherwise nothing
            os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert load(tmp_path / "set").digest == manifest.digest


def test_the_same_salt_gives_the_same_names_and_another_does_not(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(tmp_path / "set").digest == manifest.digest
    monkeypatch.setenv("AUGURY_SALT", "another secret")
    other = load(tmp_path / "set")
    assert "AUGURY_SALT" in " ".join(other.notes)
    assert not {s.patient for s in other} & {s.patient for s in manifest}
    monkeypatch.setenv("AUGURY_SALT", "short")
    with pytest.raises(UserError, match="at least 8"):
        load(tmp_path / "set")


def test_the_salt_is_made_once_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGURY_CACHE", str(tmp_path))
    first = salt()
    assert len(first) == 32
    assert salt() == first
    assert stat.S_IMODE((tmp_path / "salt").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["salt"]


def test_labels_beside_may_speak_of_images_or_of_patients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGURY_CACHE", str(tmp_path / "cache"))
    for patient in PEOPLE:
        write(tmp_path / "set" / patient / "a.dcm", patient)
    assert load(tmp_path / "set").classes == ()  # folders of patients are no classes
    lines = "".join(f"{patient},{i % 2}\n" for i, patient in enumerate(PEOPLE))
    (tmp_path / "set" / "labels.csv").write_text(f"PatientID,label\n{lines}")
    found = load(tmp_path / "set")
    assert found.classes == ("0", "1")
    assert all(sample.label is not None for sample in found)
    assert not leaked(json.dumps([sample.row for sample in found]))


def test_a_table_of_dicom_files_is_completed_from_their_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGURY_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "a.dcm", "MRN4711", NumberOfFrames="2")
    write(tmp_path / "b.dcm", "MRN4712")
    (tmp_path / "manifest.csv").write_text("image,label,sex\na.dcm,x,F\nb.dcm,y,\n")
    found = load(tmp_path)
    assert [sample.row for sample in found] == ["a.dcm/frame/0", "a.dcm/frame/1", "b.dcm"]
    assert found[0].patient == found[1].patient == hashed("patient", "MRN4711", key=salt())
    assert found[0].meta["sex"] == "F"
    assert found[2].meta["sex"] == "M"


@pytest.mark.parametrize(
    ("path", "identifiers", "kept"),
    [
        ("cat/Doe_Jane/IM0001.dcm", ("doe", "jane", "doejane"), "cat/~/IM0001.dcm"),
        ("1.2.840.99/7", ("1284099", "12"), "~/7"),
        ("12/IM12", ("12",), "~/IM12"),
        ("Jane/IM0001", (), "~/IM0001"),
    ],
)  # fmt: skip
def test_only_parts_of_a_path_that_name_someone_are_hidden(path: str, identifiers: tuple[str, ...], kept: str) -> None:
    shown = hidden(PurePath(path), identifiers, key=b"salt of a test")
    assert "/".join("~" if part.startswith("~") else part for part in shown.split("/")) == kept

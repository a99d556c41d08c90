"""Synthetic images as DICOM files: what the standard asks for, what other programs make of them, what is not said."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from augury.data import png, readers
from augury.data.dicom.own import record
from augury.data.importers import load
from augury.data.layouts import write
from augury.data.listing import Row
from augury.data.sample import Manifest, Sample
from augury.errors import UserError

RNG = np.random.default_rng(0)
KINDS = {"grey8": (np.uint8, ()), "grey16": (np.uint16, ()), "rgb8": (np.uint8, (3,)), "rgb16": (np.uint16, (3,))}
# Type 1 (a value) and type 2 (may be empty) of the Secondary Capture Image IOD, PS3.3, A.8.1: Patient C.7.1.1, General
# Study C.7.2.1, General Series C.7.3.1, SC Equipment C.8.6.1, General Image C.7.6.1, Image Pixel C.7.6.3, SOP Common
# C.12.1; conditional ones where their condition holds here. Typed from the standard, not from the writer.
TYPE_1 = (
    "StudyInstanceUID", "SeriesInstanceUID", "Modality", "ConversionType", "SamplesPerPixel",
    "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelData", "SOPClassUID", "SOPInstanceUID", "SpecificCharacterSet",
)  # fmt: skip
TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber", "SeriesNumber", "InstanceNumber", "PatientOrientation", "Laterality",
)  # fmt: skip


def pixels(kind: str, side: int = 21) -> NDArray[np.uint8 | np.uint16]:
    dtype, channels = KINDS[kind]
    return RNG.integers(0, np.iinfo(dtype).max, (side, side - 4, *channels), dtype=dtype, endpoint=True)


def synthetic_set(folder: Path) -> Manifest:
    """Two images of each kind; the odd ones without a class, an eye on the first."""
    samples = []
    for i, kind in enumerate(itertools.chain(KINDS, KINDS)):
        path = folder / f"source_{i}.png"
        png.write(pixels(kind), path)
        samples.append(Sample(
            row=f"{i}", id="", patient=f"synthetic:{i}", group="", image=path, label=None if i % 2 else i // 4,
            origin="0123456789abcdef", eye="left" if i == 0 else None, modality="mri" if i else "cfp",
        ))  # fmt: skip
    return Manifest(name="s", samples=tuple(samples), classes=("a", "b"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return synthetic_set(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def files(source: Manifest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = write(source, tmp_path_factory.mktemp("out") / "set", layout="dicom").folder
    return sorted(folder.rglob("*.dcm"))


def needs(program: str) -> str:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (Debian: apt-get install dcmtk dicom3tools)")
    return program


def test_pydicom_gives_the_very_pixels(source: Manifest, files: list[Path]) -> None:
    for sample, path in zip(source, files, strict=True):
        dataset = pydicom.dcmread(path)
        assert dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        expected = readers.decode(sample.image)
        assert dataset.pixel_array.dtype == expected.dtype
        assert np.array_equal(dataset.pixel_array, expected)


def test_all_that_the_standard_requires_is_there(files: list[Path]) -> None:
    for path in files:
        dataset = pydicom.dcmread(path)
        assert [name for name in TYPE_1 if not dataset.get(name) and dataset.get(name) != 0] == []
        assert [name for name in TYPE_2 if name not in dataset] == []
        assert ("PlanarConfiguration" in dataset) == (dataset.SamplesPerPixel == 3)  # type 1C
        assert dataset.SOPClassUID == dataset.file_meta.MediaStorageSOPClassUID == SecondaryCaptureImageStorage
        assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID
        assert dataset.HighBit + 1 == dataset.BitsStored == dataset.BitsAllocated
        assert [dataset.SyntheticData, *dataset.ImageType, dataset.ConversionType] == [
            "YES", "DERIVED", "SECONDARY", "SYN",
        ]  # fmt: skip
        assert "0123456789abcdef" in dataset.DerivationDescription
        for element in dataset.iterall():  # nothing but the dictionary's own elements in its own forms
            assert not element.tag.is_private
            assert element.VR in pydicom.datadict.dictionary_VR(element.tag)


def test_identifiers_are_new_unique_and_the_same_each_time(source: Manifest, files: list[Path], tmp_path: Path) -> None:
    headers = [pydicom.dcmread(path) for path in files]
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        uids = [str(header[name].value) for header in headers]
        assert len(set(uids)) == len(files)
        assert all(uid.startswith("2.25.") and len(uid) <= 64 and pydicom.uid.UID(uid).is_valid for uid in uids)
    assert [str(header.PatientID) for header in headers] == [f"synthetic-{i:06d}" for i in range(1, len(files) + 1)]
    again = sorted(write(source, tmp_path / "again", layout="dicom").folder.rglob("*.dcm"))
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in files]
    fewer = dataclasses.replace(source, samples=source.samples[:-1])
    other = pydicom.dcmread(next(write(fewer, tmp_path / "fewer", layout="dicom").folder.rglob("*.dcm")))
    assert other.SOPInstanceUID not in {header.SOPInstanceUID for header in headers}
    assert other.IssuerOfPatientID != headers[0].IssuerOfPatientID


def test_images_of_one_patient_stay_together_and_the_patient_is_not_named(source: Manifest, tmp_path: Path) -> None:
    samples = tuple(dataclasses.replace(s, patient=f"MRN4711-{i // 4}", source="feed") for i, s in enumerate(source))
    written = write(dataclasses.replace(source, samples=samples), tmp_path / "set", layout="dicom").folder
    headers = [pydicom.dcmread(path) for path in sorted(written.rglob("*.dcm"))]
    assert [header.PatientID for header in headers] == ["synthetic-000001"] * 4 + ["synthetic-000002"] * 4
    assert [header.InstanceNumber for header in headers] == [1, 2, 3, 4] * 2
    assert len({header.StudyInstanceUID for header in headers}) == 2
    for path in written.rglob("*.dcm"):
        assert b"4711" not in path.read_bytes()
        assert b"feed" not in path.read_bytes()
    assert len({sample.patient for sample in load(written)}) == 2


def test_a_set_read_from_dicom_is_known_to_be_synthetic(source: Manifest, files: list[Path]) -> None:
    found = load(files[0].parents[1])
    assert {sample.origin for sample in found} == {"0123456789abcdef"}
    assert [sample.eye for sample in found] == [sample.eye for sample in source]
    assert [sample.modality for sample in found] == [sample.modality for sample in source]
    assert found.label_N.tolist() == source.label_N.tolist()
    assert all(not sample.meta for sample in found)
    assert "synthetic (0008,001C)" in " ".join(found.notes)


@pytest.mark.parametrize("change", ["no maker", "no comments", "odd comments", "another's comments"])
def test_files_of_others_are_synthetic_too_but_their_comments_stay_outside(
    change: str, files: list[Path], tmp_path: Path
) -> None:
    dataset = pydicom.dcmread(files[0])
    if change == "no maker":
        del dataset.ContributingEquipmentSequence
    elif change == "no comments":
        del dataset.ImageComments
    else:
        dataset.ImageComments = "[1, 2" if change == "odd comments" else '{"class": 7, "split": "x", "origin": "real"}'
    dataset.save_as(tmp_path / "a.dcm")
    sample = load(tmp_path / "a.dcm")[0]
    assert (sample.origin, sample.label, sample.text, sample.split) == ("synthetic", None, None, None)


def test_a_real_image_is_not_written(source: Manifest, tmp_path: Path) -> None:
    real = dataclasses.replace(source, samples=(*source.samples[:3], dataclasses.replace(source[3], origin="real")))
    with pytest.raises(UserError, match="1 of 4 images are real"):
        write(real, tmp_path / "set", layout="dicom")
    assert not (tmp_path / "set").exists()


def test_a_text_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="10,240"):
        record(Row(name="", image=Path(), origin="x", text="word " * 3000))


def test_nothing_of_a_source_header_goes_out(files: list[Path], tmp_path: Path) -> None:
    dataset = pydicom.dcmread(files[0])
    secrets = ["Quixote^Alonso", "MRN4711", "16050116", "Hospital of La Mancha", "ACC98765", "1.2.840.99999.7"]
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = secrets[:3]
    dataset.InstitutionName, dataset.AccessionNumber, dataset.StudyInstanceUID = secrets[3:]
    dataset.add_new(0x00091001, "LO", "MRN4711")
    (tmp_path / "in").mkdir()
    dataset.save_as(tmp_path / "in" / "MRN4711.dcm")
    written = write(load(tmp_path / "in"), tmp_path / "out", layout="dicom").folder
    for path in written.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not [secret for secret in secrets if secret.encode() in content or secret in path.name]


def run(*argv: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(arg) for arg in argv], capture_output=True, text=True, timeout=60)


def test_dcmtk_reads_the_files(files: list[Path], tmp_path: Path) -> None:
    needs("dcmdump")
    tested = run(needs("dcmftest"), *files)
    assert tested.returncode == 0
    assert tested.stdout.count("yes: ") == len(files)
    for i, path in enumerate(files):
        (tmp_path / f"{i}").mkdir()
        dumped = run("dcmdump", "--stop-on-error", "+W", tmp_path / f"{i}", path)
        assert dumped.returncode == 0, dumped.stderr
        assert not [line for line in dumped.stderr.splitlines() if line.startswith(("E:", "F:"))]
        raw = next((tmp_path / f"{i}").iterdir()).read_bytes()
        assert raw == pydicom.dcmread(path).PixelData


def test_dcmtk_shows_the_images(files: list[Path], tmp_path: Path) -> None:
    program = "dcm2img" if shutil.which("dcm2img") else needs("dcm2pnm")  # its name since 3.6.9
    for path in files[:4]:
        made = run(program, path, tmp_path / "image.pnm")
        assert made.returncode == 0, made.stderr
        with Image.open(tmp_path / "image.pnm") as shown:
            seen = np.asarray(shown)
        expected = pydicom.dcmread(path).pixel_array
        if expected.dtype == np.uint16:  # shown with 8 bits
            assert np.abs(seen - expected / 257).max() <= 1.0
        else:
            assert np.array_equal(seen, expected)


def test_the_verifier_of_dicom3tools_finds_no_error(files: list[Path]) -> None:
    """Its dictionary of 2022 does not know Synthetic Data, which came in 2023: that line alone may stand."""
    needs("dciodvfy")
    for path in files:
        said = run("dciodvfy", path)
        errors = [line for line in said.stderr.splitlines() if line.startswith("Error")]
        assert [line for line in errors if "(0x0008,0x001c)" not in line] == []
        assert "SCImage" in said.stderr

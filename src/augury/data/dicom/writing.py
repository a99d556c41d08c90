"""Synthetic images as DICOM files (PS3.10), one an image, made from nothing but pixels and what a row says.

All are Secondary Capture Images (PS3.3, A.8.1) with Conversion Type SYN, whatever they imitate: the classes for CT, MR
or ophthalmic photography require facts of an acquisition (exposure, echo time, position in the patient) that never
took place, and made-up ones would be read as true. Modality (0008,0060) may name the technique that is imitated (note
1 to Synthetic Data, PS3.3, C.12.1). UIDs are functions of what the whole set holds, so the same set gives the same
files, and no two sets share one. H height, W width.
"""

from __future__ import annotations

import functools
import hashlib
import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from augury.data.dicom.own import MAKER, SYNTHESIZING, record
from augury.data.listing import Row

_IMPLEMENTATION = UID("2.25.309874513316530046316421712309482146319")
_PIXELS = 0x7FE00010
_LONGEST_SERIAL = 64  # characters of a long string, PS3.5, 6.2
# What is imitated, in the words of Augury and of the field, as PS3.3, C.7.3.1.1.1 has it; anything else is OT, other.
MODALITIES = {
    "fundus": "OP", "cfp": "OP", "oct": "OPT", "mri": "MR", "ct": "CT", "xray": "DX", "ultrasound": "US",
    "dermoscopy": "DMS",
    "CR": "CR", "CT": "CT", "DX": "DX", "ES": "ES", "GM": "GM", "MG": "MG", "MR": "MR", "NM": "NM", "OP": "OP",
    "OPT": "OPT", "PT": "PT", "RF": "RF", "US": "US", "XA": "XA", "XC": "XC",
}  # fmt: skip
_EYES = {"left": "L", "right": "R"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an image stands: `key` stands for the whole set, numbers count from 1, the image within its patient."""

    key: str
    patient: int
    image: int


def places(rows: Sequence[Row], pixel_digests: Sequence[str]) -> list[Place]:
    """One for each row. Rows of one patient stay together; a row without one is a patient of its own.

    `pixel_digests` are texts that are equal for equal pixels alone.
    """
    state = hashlib.sha256()
    for row, digest in zip(rows, pixel_digests, strict=True):
        state.update(f"{digest}\0{record(row)}\0{row.eye}\0".encode())
    numbers: dict[str, int] = {}
    counts: dict[int, int] = {}
    found = []
    for i, row in enumerate(rows):
        patient = numbers.setdefault(f"={row.patient}" if row.patient else f"#{i}", len(numbers) + 1)
        counts[patient] = counts.get(patient, 0) + 1
        found.append(Place(key=state.hexdigest()[:16], patient=patient, image=counts[patient]))
    return found


def encode(pixels: NDArray[Any], row: Row, place: Place) -> bytes:
    """The bytes of the file: `pixels` (H, W) or (H, W, 3), uint8 or uint16, uncompressed, explicit, little-endian."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    _say_whose(dataset, place)
    _say_what(dataset, row, place)
    _say_who_made_it(dataset, row)
    _set_pixels(dataset, pixels)
    dataset.file_meta = _file_meta(dataset.SOPInstanceUID)
    content = io.BytesIO()
    dcmwrite(content, dataset, enforce_file_format=True)
    return content.getvalue()


def _say_whose(dataset: Dataset, place: Place) -> None:
    """Patient (PS3.3, C.7.1.1), General Study (C.7.2.1), General Series (C.7.3.1): nobody's, empty where allowed."""
    name = f"synthetic-{place.patient:06d}"
    dataset.PatientName, dataset.PatientID = name, name
    dataset.IssuerOfPatientID = f"augury:{place.key}"  # else two sets would have the same patients
    dataset.PatientBirthDate, dataset.PatientSex = "", ""
    dataset.StudyInstanceUID = _uid("study", place.key, place.patient)
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "", "", ""
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "", ""
    dataset.StudyDescription, dataset.SeriesDescription = "synthetic images", "synthetic images"
    dataset.SeriesInstanceUID = _uid("series", place.key, place.patient)
    dataset.SeriesNumber = 1


def _say_what(dataset: Dataset, row: Row, place: Place) -> None:
    """SC Equipment (C.8.6.1), General Image (C.7.6.1) and SOP Common (C.12.1)."""
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = _uid("image", place.key, place.patient, place.image)
    dataset.SyntheticData = "YES"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.ConversionType = "SYN"
    dataset.Modality = MODALITIES.get(row.modality or "", "OT")
    dataset.InstanceNumber = place.image
    dataset.PatientOrientation = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.ContentQualification = "RESEARCH"
    dataset.ImageComments = record(row)
    dataset.Laterality = _EYES.get(row.eye or "", "")
    if row.eye:
        dataset.BodyPartExamined = "EYE"


def _say_who_made_it(dataset: Dataset, row: Row) -> None:
    """General Equipment (C.7.5.1), and the generator as the equipment that synthesized the image (C.12.1, note 2)."""
    augury = _software()
    dataset.Manufacturer, dataset.ManufacturerModelName, dataset.SoftwareVersions = MAKER, "generative model", augury
    dataset.SecondaryCaptureDeviceManufacturer = MAKER
    dataset.SecondaryCaptureDeviceSoftwareVersions = augury
    fits = len(row.origin) <= _LONGEST_SERIAL and row.origin.isprintable() and "\\" not in row.origin
    told = row.origin if fits else ""
    dataset.DerivationDescription = f"Drawn by the generative model {told or 'of the comments'}; shows no patient."
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = SYNTHESIZING
    item = Dataset()
    item.Manufacturer, item.ManufacturerModelName, item.SoftwareVersions = MAKER, "generative model", augury
    item.DeviceSerialNumber = told
    item.PurposeOfReferenceCodeSequence = [code]
    dataset.ContributingEquipmentSequence = [item]


@functools.cache
def _software() -> str:
    return f"augury {version('augury')}"


def _set_pixels(dataset: Dataset, pixels: NDArray[Any]) -> None:
    """Image Pixel (C.7.6.3): the numbers as they are, without window, rescale or spacing, of which there are none."""
    if pixels.dtype not in (np.uint8, np.uint16) or not (pixels.ndim == 2 or pixels.shape[2:] == (3,)):
        raise ValueError(f"pixels of {pixels.dtype} {pixels.shape}; expected uint8 or uint16, (H, W) or (H, W, 3)")
    bits = 8 * pixels.dtype.itemsize
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = 0
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset.add_new(_PIXELS, "OB" if bits == 8 else "OW", data + bytes(len(data) % 2))


def _file_meta(instance: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID, meta.ImplementationVersionName = _IMPLEMENTATION, "AUGURY"
    return meta


def _uid(*parts: object) -> UID:
    """A UID of the root 2.25 (PS3.5, B.2), whose number has the form of a UUID made of a hash (RFC 9562, version 8)."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:16]
    number = int.from_bytes(digest, "big") & ~(0xF << 76) & ~(0x3 << 62) | (8 << 76) | (2 << 62)
    return UID(f"2.25.{uuid.UUID(int=number).int}")

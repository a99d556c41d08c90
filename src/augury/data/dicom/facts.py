"""What a DICOM header says about an image, its identifiers hashed as they enter: nothing here names anyone.

Kept: modality, laterality, sex, age (in years, "90+" above 89), the scanner's make, whether text is burned in, whether
the image says that it is synthetic. Hashed with the project's salt: patient, study, series, institution. Everything
else stays in the file. What Augury wrote itself (`dicom.own`) comes in as it went out.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Any

from pydicom import Dataset

from augury.data.bounded import Bounded
from augury.data.dicom.codecs import frames_of
from augury.data.dicom.header import elements, in_our_words, with_pixels
from augury.data.dicom.known import Facts
from augury.data.dicom.own import origin, recorded
from augury.data.picture import UnreadableImage
from augury.data.salt import hashed

_EYES = {"L": "left", "R": "right"}
_OF_EYES = ("OP", "OPT", "OPTBSV", "OPTENF", "OPM", "OPV", "OAM", "OCT", "SRF", "KER")  # modalities of an eye
_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 1 / 52, "D": 1 / 365}
_OLDEST = 89  # above it an age alone may tell who someone is (45 CFR 164.514(b)(2)(i)(C))
_IDENTIFIERS = (
    "PatientID", "PatientName", "OtherPatientIDs", "OtherPatientNames", "PatientBirthDate", "PatientBirthName",
    "AccessionNumber", "StudyID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID",
    "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "NameOfPhysiciansReadingStudy",
    "InstitutionName", "StudyDate", "RequestedProcedureID", "IssuerOfPatientID",
)  # fmt: skip
_PLAIN = re.compile(r"(IM|IMG|IMAGE|SLICE|FRAME|FILE|SCAN|SERIES|SE|SER|STUDY|ST|STD|PT|PAT|I|S)?[-_ .]?\d{0,6}", re.I)
_SHORT = 3  # letters or digits: an identifier as short as that hides a part of a path only where it is all of it


def read_facts(path: Path, relative: PurePath, *, key: bytes) -> Facts:
    """The facts of a file; where it cannot be read, or holds no image, only why, and a name that gives nothing away."""
    known: tuple[str, ...] = ()
    try:
        with in_our_words(), Bounded(path) as file:
            found = elements(file)
            known = _identifiers(found.dataset)
            return _facts(
                found.dataset, hidden(relative, known, key=key), frames=frames_of(with_pixels(found)), key=key
            )
    except UnreadableImage as error:
        return Facts(why=str(error), name=hidden(relative, known, key=key))


def hidden(relative: PurePath, identifiers: tuple[str, ...], *, key: bytes) -> str:
    """A relative path whose parts with an identifier in them are replaced by hashes of these parts.

    `identifiers` are letters and digits alone, in lower case. Where the header names nobody, or could not be read,
    there are none: then only parts such as "IM0001" are kept.

    >>> hidden(PurePath("cat/DOE^JANE/IM1.dcm"), ("doejane",), key=b"salt").count("~")
    1
    """
    parts = [
        part if _harmless(PurePath(part).stem if part == relative.name else part, identifiers)
        else f"~{hashed('name', part, key=key)[:10]}"
        for part in relative.parts
    ]  # fmt: skip
    return "/".join(parts)


def _harmless(part: str, identifiers: tuple[str, ...]) -> bool:
    if not identifiers:
        return _PLAIN.fullmatch(part) is not None
    plain = _letters(part)
    return not any(
        word == plain
        if len(word) <= _SHORT
        else word in plain or (plain.isdigit() and len(plain) > 5 and plain in word)
        for word in identifiers
    )


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _facts(dataset: Dataset, name: str, *, frames: int, key: bytes) -> Facts:
    modality, eye, meta = _text(dataset, "Modality")[:16], None, _meta(dataset, key=key)
    side = _laterality(dataset)
    if side in _EYES and (modality in _OF_EYES or _text(dataset, "BodyPartExamined").upper() in ("EYE", "RETINA")):
        eye = _EYES[side]
    elif side:
        meta["laterality"] = {"L": "left", "R": "right", "B": "both"}.get(side, side[:8])
    study = _hashed(dataset, "study", "StudyInstanceUID", key=key)
    own = recorded(dataset)
    return Facts(
        frames=frames, patient=_hashed(dataset, "patient", "PatientID", key=key), study=study, eye=eye, name=name,
        modality=own.get("modality") if own else modality or None, meta={} if own else meta, origin=origin(dataset),
        label=own.get("class"), split=own.get("split"), text=own.get("text"),
    )  # fmt: skip


def _meta(dataset: Dataset, *, key: bytes) -> dict[str, str]:
    scanner = " ".join(filter(None, (_text(dataset, "Manufacturer"), _text(dataset, "ManufacturerModelName"))))
    meta = {
        "study": _hashed(dataset, "study", "StudyInstanceUID", key=key),
        "series": _hashed(dataset, "series", "SeriesInstanceUID", key=key),
        "site": _hashed(dataset, "site", "InstitutionName", key=key),
        "sex": {"M": "M", "F": "F", "O": "O"}.get(_text(dataset, "PatientSex").upper(), ""),
        "age": _age(_text(dataset, "PatientAge")),
        "scanner": scanner[:64],
        "burned_in_annotation": {"YES": "yes", "NO": "no"}.get(_text(dataset, "BurnedInAnnotation").upper(), ""),
    }
    return {name: value for name, value in meta.items() if value}


def _laterality(dataset: Dataset) -> str:
    """ "L", "R", "B" or "": of the image, of its frames, of the series."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or (Dataset(),))[0]
    frame = (shared.get("FrameAnatomySequence") or (Dataset(),))[0]
    found = _text(dataset, "ImageLaterality") or _text(frame, "FrameLaterality") or _text(dataset, "Laterality")
    return found.upper()


def _age(text: str) -> str:
    """Whole years of an age string (PS3.5, 6.2); "" where it is none.

    >>> _age("045Y"), _age("018M"), _age("097Y"), _age("?")
    ('45', '1', '90+', '')
    """
    found = re.fullmatch(r"(\d{1,3})([YMWD])", text.strip().upper())
    if found is None:
        return ""
    years = int(int(found[1]) * _YEARS[found[2]] + 1e-9)
    return str(years) if years <= _OLDEST else "90+"


def _hashed(dataset: Dataset, kind: str, keyword: str, *, key: bytes) -> str | None:
    identifier = _text(dataset, keyword)
    if kind == "patient" and identifier:
        issuer = _text(dataset, "IssuerOfPatientID")  # two hospitals may give the same number
        identifier = f"{identifier}\0{issuer}" if issuer else identifier
    return hashed(kind, identifier, key=key) if identifier else None


def _identifiers(dataset: Dataset) -> tuple[str, ...]:
    """Letters and digits of all that could name someone, and of the words of names."""
    words: set[str] = set()
    for keyword in _IDENTIFIERS:
        value: Any = dataset.get(keyword)
        many = value if value is not None and not isinstance(value, str) and hasattr(value, "append") else [value]
        for one in filter(None, (str(v) for v in many if v is not None)):
            words.add(_letters(one))
            if "Name" in keyword:
                words |= {_letters(word) for word in re.split(r"[\^=\s,]+", one) if len(_letters(word)) > _SHORT - 1}
    return tuple(sorted(words - {""}))


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()

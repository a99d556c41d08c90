"""What is done to the images of a modality by default, and what augmentation must not do to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from augury.errors import UserError

SIDES = "a flip swaps left and right, and the side is a finding"
FALLS = "depth runs downwards: shadows do not fall upwards"


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """One kind of image.

    `words` speak of it in names and columns; `hints` (organs, diagnoses) where no word of any modality does. Both in
    lower case. `preparation` are fields of Preparation; `forbids` are fields of Augmentation that stay off, each with
    its reason; `rotate` is the largest turn in degrees (None: any); `adds` are changes that are harmless in this
    modality alone.
    """

    says: str
    words: tuple[str, ...]
    hints: tuple[str, ...] = ()
    preparation: Mapping[str, Any] = field(default_factory=dict)
    forbids: Mapping[str, str] = field(default_factory=dict)
    rotate: float | None = None
    adds: Mapping[str, Any] = field(default_factory=dict)


MODALITIES: dict[str, Modality] = {
    "fundus": Modality(
        says="colour photographs of the retina",
        words=("fundus", "op", "cfp", "eyepacs", "idrid", "messidor", "aptos"),
        hints=("retina", "retinal", "retinopathy"),
        preparation={"field_of_view": True, "fit": "pad"},
        forbids={
            "flip": "a flip makes a right eye of a left one",
            "flip_vertical": "upper and lower vessels are no mirror images",
            "blur": "microaneurysms are a few pixels wide",
        },
    ),
    "oct": Modality(
        says="OCT B-scans",
        words=("oct", "opt", "bscan", "bscans"),
        preparation={"median": True, "fit": "pad"},
        forbids={"flip": "a flip swaps the nasal and the temporal side", "flip_vertical": FALLS},
        rotate=10.0,
    ),
    "mri": Modality(
        says="slices of magnetic resonance images",
        words=("mri", "mr", "t1w", "t2w", "flair"),
        hints=("brain", "glioma", "glioblastoma", "meningioma"),
        preparation={"clip": (0.5, 99.5), "clip_over": "foreground", "fit": "pad"},
        forbids={"flip": SIDES, "flip_vertical": "no head is scanned upside down"},
        rotate=15.0,
    ),
    "ct": Modality(
        says="slices of computed tomography",
        words=("ct", "hrct", "cect"),
        preparation={"window": "soft_tissue", "fit": "pad"},
        forbids={"flip": SIDES, "flip_vertical": "nobody lies on the ceiling"},
        rotate=15.0,
    ),
    "xray": Modality(
        says="X-ray images",
        words=("xray", "xrays", "cxr", "cr", "dx", "radiograph", "radiographs"),
        preparation={"fit": "pad"},
        forbids={"flip": "a flip moves the heart to the right", "flip_vertical": "nobody stands on the head"},
        rotate=10.0,
    ),
    "ultrasound": Modality(
        says="ultrasound images",
        words=("ultrasound", "us", "sonography", "sonogram", "busi", "echo"),
        preparation={"fit": "pad"},
        forbids={"blur": "speckle is the texture of the tissue", "flip_vertical": FALLS},
        rotate=10.0,
    ),
    "dermoscopy": Modality(
        says="photographs of the skin",
        words=("dermoscopy", "dermatoscopy", "dermoscopic", "isic", "ham10000"),
        hints=("nevus", "naevus", "melanoma"),
        preparation={"fit": "pad"},
        rotate=180.0,
        adds={"flip": True, "flip_vertical": True, "hue": 0.02},
    ),
    "generic": Modality(says="images of an unknown kind", words=("generic",)),
}


def modality(name: str) -> Modality:
    """The modality of this name; UserError that lists the names otherwise.

    >>> modality("oct").rotate
    10.0
    """
    if name not in MODALITIES:
        raise UserError(f"got --modality {name!r}; expected one of {', '.join(MODALITIES)}; correct it")
    return MODALITIES[name]


def hinted(word: str) -> str | None:
    """The modality that an organ or a diagnosis speaks of; None for another word."""
    return next((name for name, one in MODALITIES.items() if word in one.hints), None)


def named(text: str) -> str | None:
    """The modality that one word means, such as a DICOM Modality or a cell of a column; None for another word.

    >>> named("MR"), named("X-Ray"), named("left")
    ('mri', 'xray', None)
    """
    word = "".join(c for c in text.casefold() if c.isalnum())
    return next((name for name, one in MODALITIES.items() if word == name or word in one.words), None)


def bounds_in_words(modality: Modality, *, asked: Mapping[str, Any]) -> list[str]:
    """What the modality keeps off and adds, and what the user asked for all the same; a sentence each."""
    said = [
        f"augmentation without {field.replace('_', ' ')}: {reason}"
        for field, reason in modality.forbids.items()
        if not asked.get(field)
    ]
    if modality.rotate is not None:
        said.append(f"augmentation turns by at most {modality.rotate:g} degrees")
    said += [f"augmentation with {field.replace('_', ' ')}: it changes nothing here" for field in modality.adds]
    said += [
        f"augmentation with {field.replace('_', ' ')} as asked, although {modality.forbids[field]}"
        for field, value in asked.items()
        if value and field in modality.forbids
    ]
    if modality.rotate is not None and float(asked.get("rotate", 0)) > modality.rotate:
        said.append(f"augmentation turns by up to {asked['rotate']:g} degrees as asked, beyond {modality.rotate:g}")
    return said

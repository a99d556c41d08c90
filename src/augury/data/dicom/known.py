"""What is known of a DICOM file once its header was read. Apart from `dicom.facts`, so that no pydicom is needed."""

from __future__ import annotations

from dataclasses import dataclass, field

SYNTHETIC = "synthetic"  # the origin of an image that says that it is synthetic, and not what drew it


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one file. None where the header does not say; `why` is set where there is no image in it."""

    why: str = ""
    frames: int = 1
    patient: str | None = None
    study: str | None = None
    eye: str | None = None
    modality: str | None = None
    meta: dict[str, str] = field(default_factory=dict)
    name: str = ""  # the relative path, every part that holds an identifier replaced by a hash
    origin: str = "real"
    label: str | None = None  # this and what follows: only of files that Augury wrote
    split: str | None = None
    text: str | None = None

"""How a set will be prepared: the modality, by the user's word or by evidence, and what the user asked for besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from augury.data.preparation.guess import guess
from augury.data.preparation.modalities import Modality, modality
from augury.data.preparation.preparation import Preparation
from augury.data.preparation.windows import FOREGROUND
from augury.data.sample import Manifest
from augury.errors import UserError

_EITHER = {"window": "clip", "clip": "window"}  # asking for one takes back the modality's other


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A modality, why, and the fields of Preparation that are not as usual (without size and channels)."""

    modality: str
    because: str
    preparation: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> Modality:
        """The modality itself."""
        return modality(self.modality)

    def words(self) -> list[str]:
        """What is done and why, to be printed."""
        done = steps_in_words(self.preparation)
        how = "; ".join(done) if done else "resized only"
        change = "say --modality NAME to change"
        return [f"prepared as {self.modality} because {self.because}: {how}; {change}", *self.notes]


def choose(manifest: Manifest, *, named: str | None, asked: Mapping[str, Any]) -> Choice:
    """The preparation of a set: `named` a modality (None: guessed), `asked` fields of Preparation above its own."""
    kind = None if named is None else modality(named)
    found = guess(manifest)
    name, because = (found.modality, found.because) if named is None else (named, "--modality says so")
    given, notes = dict((kind or modality(name)).preparation), []
    if given.get("window") and not found.hounsfield:
        given |= {"window": None, "clip": (0.5, 99.5), "clip_over": "foreground"}
        notes.append("no Hounsfield values are known, so percentiles stand in for a window")
    for field, other in _EITHER.items():
        if asked.get(field) is not None and asked.get(other) is None:
            given[other] = None
    return Choice(modality=name, because=because, preparation=_checked({**given, **asked}), notes=tuple(notes))


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are there, less those that say nothing."""
    usual = {field.name: field.default for field in fields(Preparation)}
    for name in given:
        if name not in usual or name in ("size", "channels"):
            wanted = ", ".join(name for name in usual if name not in ("size", "channels"))
            raise UserError(f"there is no setting 'preparation.{name}'; expected one of {wanted}; correct --set")
    return {name: value for name, value in given.items() if value != usual[name]}


def steps_in_words(given: Mapping[str, Any]) -> list[str]:
    """The steps of a preparation in their order.

    >>> steps_in_words({"median": True, "fit": "pad"})
    ['3 x 3 median', 'aspect kept, black beside']
    """
    clip = given.get("clip")
    over = (
        f"the foreground (above {FOREGROUND:.0%} of the maximum)" if given.get("clip_over") == "foreground" else "all"
    )
    said = [
        (given.get("field_of_view"), "cropped to the circular field of view, black outside it"),
        (given.get("crop_border"), "empty borders cropped"),
        (given.get("median"), "3 x 3 median"),
        (given.get("window"), f"Hounsfield window {given.get('window')}"),
        (clip, f"percentiles {clip[0]:g} to {clip[1]:g} of {over} spread over the full scale" if clip else ""),
        (given.get("clahe"), "CLAHE"),
        (given.get("fit") == "pad", "aspect kept, black beside"),
    ]
    return [words for there, words in said if there]

"""Which modality a set is of, by evidence that is said: what it states, what its names say, what its pixels look like.

A guess is never made without evidence: grey images of which nothing speaks stay "generic".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from augury.data import readers
from augury.data.in_order import map_in_order
from augury.data.preparation.apply import has_hounsfield
from augury.data.preparation.looks import Looks, look
from augury.data.preparation.modalities import hinted, named
from augury.data.sample import Manifest, Sample
from augury.errors import UserError

SEEN = 24  # images that are looked at, evenly spread over the set
MOST = 0.75  # of them must look so
SHORT = 3  # letters: names of two, such as "us" or "op", are words of their own and count in columns only


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A modality and why; `hounsfield`: the images that were looked at have Hounsfield values."""

    modality: str
    because: str
    hounsfield: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    looks: Looks
    hounsfield: bool
    modality: str  # as the file's own header says it


def guess(manifest: Manifest) -> Guess:
    """The modality of a set's images; decodes at most SEEN of them."""
    chosen = manifest.subset(np.unique(np.linspace(0, len(manifest) - 1, min(SEEN, len(manifest))).round().astype(int)))
    seen = [one for one in map_in_order(_see, chosen.samples) if one is not None]
    hounsfield = bool(seen) and all(one.hounsfield for one in seen)
    found = _by_column(manifest) or _by_header(seen) or _by_names(manifest) or _by_looks([one.looks for one in seen])
    name, because = found or ("generic", "nothing says of what kind these images are")
    return Guess(modality=name, because=because, hounsfield=hounsfield)


def _see(sample: Sample) -> _Seen | None:
    try:
        picture = readers.read(sample.image, sample.member)
    except UserError:  # it could be read when it was listed; preparation will say so
        return None
    stated = picture.applied.get("modality", "")
    return _Seen(looks=look(picture.pixels), hounsfield=has_hounsfield(picture.applied), modality=stated)


def _by_column(manifest: Manifest) -> tuple[str, str] | None:
    stated = [s.modality or s.meta.get("Modality") or s.meta.get("modality") or "" for s in manifest]
    return _stated(stated, "the data's own modality is")


def _by_header(seen: list[_Seen]) -> tuple[str, str] | None:
    return _stated([one.modality for one in seen], "the files' headers say")


def _stated(words: list[str], says: str) -> tuple[str, str] | None:
    """One modality for nearly all images; several make the set generic, since one preparation would not fit them."""
    counts = Counter(words)
    known = {word: name for word in counts if (name := named(word))}
    if not known:
        return None
    shown = ", ".join(f"{word!r} for {counts[word]} of {len(words)} images" for word in known)
    several = len(set(known.values())) > 1
    return ("generic" if several else next(iter(known.values()))), f"{says} {shown}"


def _by_names(manifest: Manifest) -> tuple[str, str] | None:
    """By words in the names of the set, its classes and its folders, if all such words agree."""
    folders = {part for sample in manifest for part in sample.row.split("/")[:-1]}
    words = {
        word: place
        for place, names in (
            ("a folder's name", folders),
            ("a class's name", manifest.classes),
            ("the set's name", (manifest.name,)),
        )
        for name in names
        for word in re.split(r"[^a-z0-9]+", name.casefold())
        if len(word) >= SHORT or word == "ct"
    }
    for meaning in (named, hinted):
        known = {word: name for word in words if (name := meaning(word)) and name != "generic"}
        if known:
            break
    if len(set(known.values())) != 1:
        return None
    shown = " and ".join(f"{words[word]} says {word!r}" for word in sorted(known)[:2])
    return next(iter(known.values())), shown


def _by_looks(seen: list[Looks]) -> tuple[str, str] | None:
    for name, (rule, words) in LOOKS.items():
        fits = sum(map(rule, seen))
        if seen and fits >= MOST * len(seen):
            return name, f"{fits} of {len(seen)} images looked at {words}"
    return None


LOOKS: dict[str, tuple[Callable[[Looks], bool], str]] = {
    "fundus": (lambda s: s.colour and s.circle, "are coloured and show a lit circle in a dark frame"),
    "mri": (
        lambda s: not s.colour and s.air >= 0.65 and s.layers < 1.3,
        "are grey and show a body with dark air all around (a CT looks alike: say --modality ct)",
    ),
    "ultrasound": (
        lambda s: not s.colour and s.air < 0.6 and s.above < 0.5 and s.layers >= 1.35 and s.speckle > 0.1,
        "are grey, layered from top to bottom and rougher where they are brighter, as speckle is",
    ),
}

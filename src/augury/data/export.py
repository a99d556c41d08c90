"""A synthetic set handed over: in a format of the field, with its card and its metadata, and nothing of a patient's.

What goes out is what an image shows and what was asked of the generator: pixels, class, masks, boxes, eye, modality,
text, split, origin. What links it to a patient stays: the image that steered it, the patient's name (images of one
patient stay together under a number), and every further column, which may hold anything.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from augury.data import croissant
from augury.data.croissant import About
from augury.data.dicom.known import SYNTHETIC
from augury.data.layouts import LAYOUTS, list_path, write
from augury.data.listing import Listing
from augury.data.sample import Manifest, Sample
from augury.errors import Refused

CARD = "card.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Where the set now lies, in which layout, and what was left out or done otherwise, to be printed."""

    folder: Path
    layout: str
    images: int
    notes: tuple[str, ...]


def export(manifest: Manifest, folder: str | Path, *, layout: str, card: str, about: About) -> Exported:
    """Write a synthetic set with card.md and croissant.json into a new or empty folder, complete or absent.

    Refused where an image is real; UserError where the layout cannot hold the set.
    """
    refuse_real(manifest)
    neutral, notes = neutralised(manifest, layout=layout)

    def finish(beside: Path) -> None:
        listing = list_path(beside, layout=layout)
        _expect_the_same(listing, neutral)
        listing = _drawn(listing, neutral)
        (beside / CARD).write_text(card, encoding="utf-8")
        (beside / croissant.FILE).write_text(croissant.describe(listing, beside, about), encoding="utf-8")

    written = write(neutral, folder, layout=layout, finish=finish)
    return Exported(folder=written.folder, layout=layout, images=len(neutral), notes=(*notes, *written.notes))


def refuse_real(manifest: Manifest) -> None:
    """Refused where an image does not say what drew it."""
    real = [sample.row for sample in manifest if sample.origin == "real"]
    if real:
        raise Refused(
            f"{len(real)} of {len(manifest)} images of {manifest.name!r} are real (first: {real[0]}); export hands "
            "over synthetic sets, whose images name what drew them (column 'origin'): export what `augury sample` "
            "made, or leave the real ones out"
        )


def neutralised(manifest: Manifest, *, layout: str) -> tuple[Manifest, list[str]]:
    """The set without what links it to patients, and what was done, in words that name nobody."""
    numbers: dict[str, str] = {}
    needs_split = "split" in LAYOUTS[layout].needs and all(sample.split is None for sample in manifest)
    samples = tuple(_neutral(sample, numbers, split="train" if needs_split else sample.split) for sample in manifest)
    notes = _notes(manifest, renamed=len(numbers))
    if "origin" not in LAYOUTS[layout].keeps:
        notes.append(f"what drew the images stands in {croissant.FILE}, from which it comes in again")
    if needs_split:
        notes.append("no image has a split, which the layout needs: all stand in train")
    return replace(manifest, samples=samples), notes


def _neutral(sample: Sample, numbers: dict[str, str], *, split: str | None) -> Sample:
    own = sample.patient == f"synthetic:{sample.row}"
    patient = sample.patient if own else numbers.setdefault(sample.patient, f"synthetic{len(numbers) + 1:06d}")
    return replace(sample, patient=patient, source=None, meta={}, split=split)


def _notes(manifest: Manifest, *, renamed: int) -> list[str]:
    notes = [f"the patients of the images became the numbers 1 to {renamed}"] if renamed else []
    steered = sum(sample.source is not None for sample in manifest)
    masks = sum(bool(sample.masks) for sample in manifest if sample.source is not None)
    columns = Counter(name for sample in manifest for name in sample.meta)
    if steered:
        notes.append(f"not written: which real image steered {steered} images")
    if masks:
        notes.append(f"the masks of {masks} images may be those of the real images that steered them: they go out")
    if texts := sum(sample.text is not None for sample in manifest):
        notes.append(f"the texts of {texts} images go out as they are: look whether they quote reports of patients")
    if columns:
        notes.append(f"not written, as they may say anything: the columns {', '.join(map(repr, sorted(columns)))}")
    return notes


def _drawn(listing: Listing, manifest: Manifest) -> Listing:
    """With who drew the images, where the layout cannot say it: the one that drew them all, or only that one did."""
    origins = {sample.origin for sample in manifest}
    who = origins.pop() if len(origins) == 1 else SYNTHETIC
    return replace(listing, rows=tuple(replace(r, origin=who) if r.origin == "real" else r for r in listing.rows))


def _expect_the_same(listing: Listing, manifest: Manifest) -> None:
    """What was written is listed again before it appears: a set that went wrong must not leave the house."""
    want = Counter(None if s.label is None else manifest.classes[s.label] for s in manifest)
    got = Counter(row.label for row in listing.rows)
    if len(listing.rows) != len(manifest) or listing.unreadable or (got != want and set(got) != {None}):
        raise RuntimeError(
            f"the export lists {dict(got)} and {len(listing.unreadable)} unreadable; expected {dict(want)}"
        )

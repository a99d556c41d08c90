"""From what a user names to a Manifest: list, decode once, fingerprint, group."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from augury.data.duplicates import group
from augury.data.fingerprints import Fingerprints
from augury.data.in_order import Progress
from augury.data.layouts import list_path
from augury.data.listing import Listing, Row
from augury.data.members import expand
from augury.data.sample import Manifest, Sample
from augury.data.scan import Scan, scan
from augury.data.slices import SliceRule
from augury.data.table import list_table
from augury.data.twins import twins
from augury.errors import Refused, UserError

MAX_CLASSES = 1_000
FEW = 10  # a class with fewer images is pointed out
PHANTOM = "phantom:"


def load(
    data: str | Path,
    *,
    no_patients: bool = False,
    classes: Sequence[str] | None = None,
    layout: str | None = None,
    slices: str | SliceRule | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """The images that `data` names: a path in any of `data.layouts.LAYOUTS`, or "phantom:KIND?n=600&seed=3".

    Every image is decoded once, by all cores, and remembered until a file changes. `no_patients` is the user's word
    that images without a patient may be taken for patients of their own; without it such a set is Refused. `classes`
    fixes names and order of the classes (of a model, say): any other label is then a UserError. `layout` names the
    layout; None: it is recognised. `slices` is the rule by which volumes are cut (`data.slices`), such as "every:3";
    None: the middle eight. `progress` is called with the number of decoded images and of all. What cannot be decoded is
    in `unreadable`; UserError where nothing can, and for a listing that is wrong.
    """
    return load_with_fingerprints(
        data, no_patients=no_patients, classes=classes, layout=layout, slices=slices, progress=progress
    )[0]


def load_with_fingerprints(
    data: str | Path,
    *,
    no_patients: bool = False,
    classes: Sequence[str] | None = None,
    layout: str | None = None,
    slices: str | SliceRule | None = None,
    progress: Progress | None = None,
) -> tuple[Manifest, Fingerprints]:
    """As `load`, with the fingerprints in the order of the samples."""
    rule = SliceRule.parse(slices) if isinstance(slices, str) else slices
    listing = expand(_list(data, layout=layout), rule)
    _check_labels(listing, classes=classes)
    patients_known = _check_patients(listing, no_patients=no_patients)
    seen = scan(listing.rows, progress=progress)
    rows = [listing.rows[i] for i in seen.readable]
    if not rows:
        first = seen.unreadable[0]
        raise UserError(
            f"none of the {len(listing.rows)} images of {listing.name!r} can be read; the first, {first.image!r}, "
            f"{first.why}"
        )
    names = tuple(classes) if classes is not None else _class_names(rows)
    manifest = Manifest(
        name=listing.name,
        samples=_samples(rows, seen, classes=names),
        classes=names,
        patients_known=patients_known,
        unreadable=(*listing.unreadable, *seen.unreadable),
        notes=(*listing.notes, *seen.notes, *_label_notes(rows, classes=names), *_patient_notes(rows)),
    )
    return manifest, seen.prints


def _list(data: str | Path, *, layout: str | None) -> Listing:
    text = str(data)
    if text.startswith(PHANTOM):
        return _list_phantom(text)
    return list_path(Path(text).expanduser().absolute(), layout=layout)


def _list_phantom(text: str) -> Listing:
    from augury.data.phantoms import phantom_set  # imports torch, which a set from disk does not need

    listing = list_table(phantom_set(text.removeprefix(PHANTOM)) / "manifest.csv")
    return Listing(name=text, rows=listing.rows, unreadable=listing.unreadable, notes=listing.notes)


def _check_labels(listing: Listing, *, classes: Sequence[str] | None) -> None:
    labels = {row.label for row in listing.rows if row.label is not None}
    if len(labels) > MAX_CLASSES:
        raise UserError(
            f"{listing.name!r} has {len(labels):,} different labels; expected at most {MAX_CLASSES:,} classes: is it "
            "the right column?"
        )
    unknown = sorted(labels - set(classes)) if classes is not None else []
    if unknown:
        shown = ", ".join(map(repr, list(classes or ())[:8]))
        raise UserError(f"{listing.name!r} has the unknown class {unknown[0]!r}; expected one of {shown}: correct it")


def _check_patients(listing: Listing, *, no_patients: bool) -> bool:
    """Whether every real image has a patient; Refused where some have none and the user did not say that this is so."""
    without = sum(row.patient is None and row.origin == "real" for row in listing.rows)
    if without and not no_patients:
        which = "does not say" if without == len(listing.rows) else f"does not say for {without} of its images"
        raise Refused(
            f"{listing.name!r} {which} whose images they are; expected a column 'patient': add it, or say "
            "--no-patients to take every such image for a patient of its own"
        )
    return without == 0


def _class_names(rows: Sequence[Row]) -> tuple[str, ...]:
    """Sorted; by value where all are numbers.

    >>> _class_names([Row(name=x, image=Path(x), label=x) for x in ("10", "9", "0")])
    ('0', '9', '10')
    """
    names = sorted({row.label for row in rows if row.label is not None})
    if all(re.fullmatch(r"[+-]?\d+(\.\d+)?", name) for name in names):
        names.sort(key=float)
    return tuple(names)


def _label_notes(rows: Sequence[Row], *, classes: tuple[str, ...]) -> list[str]:
    counts = Counter(row.label for row in rows)
    notes = [f"the class {name!r} has only {counts[name]} images" for name in classes if counts[name] < FEW]
    if counts[None]:
        notes.append(f"{counts[None]} of {len(rows)} images have no label")
    if len(classes) == 1:
        notes.append(f"all labels are {classes[0]!r}: there is nothing to tell apart")
    spellings = Counter(name.casefold() for name in classes)
    alike = [name for name in classes if spellings[name.casefold()] > 1]
    if alike:
        notes.append(f"classes that differ only in case: {', '.join(map(repr, alike[:6]))}")
    return notes


def _patient_notes(rows: Sequence[Row]) -> list[str]:
    without = sum(row.patient is None and row.origin == "real" for row in rows)
    return [f"{without} of {len(rows)} images name no patient: each is taken for one of its own"] if without else []


def _samples(rows: Sequence[Row], seen: Scan, *, classes: tuple[str, ...]) -> tuple[Sample, ...]:
    index = {name: i for i, name in enumerate(classes)}
    patients = [_patient(row) for row in rows]
    groups = group(patients, seen.prints.id_N, twins(seen.prints))
    return tuple(
        Sample(
            row=row.name, id=seen.prints.id_N[i], patient=patients[i], group=groups[i], image=row.image,
            member=row.member, label=None if row.label is None else index[row.label], masks=row.masks, boxes=row.boxes,
            eye=row.eye, modality=row.modality, text=row.text, split=row.split, meta=row.meta,
            origin=row.origin, source=row.source,
        )
        for i, row in enumerate(rows)
    )  # fmt: skip


def _patient(row: Row) -> str:
    if row.patient is not None:
        return row.patient
    return row.name if row.origin == "real" else f"synthetic:{row.name}"

"""A folder of NIfTI volumes, with mask volumes beside them, one sub-folder per class or one per patient.

A mask is named after its image ("x_mask.nii.gz", "x_seg", "x_label", "x_mask_1") or lies under the same name in a
folder "labels" or "masks". A patient is a "sub-..." of the path (BIDS), else the folder below that of the class, else
the file's name without its sequence ("_T1w", "_flair", "_0000"): the sequences of a patient stay together. Slices are
chosen later, by `data.slices`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from augury.data.layouts.beside import NAME, files_below, has_class_folders, labels_beside, visible
from augury.data.listing import Listing, Row
from augury.errors import UserError

_FIRST = 50  # files that are looked at to recognise such a folder
_MASK = re.compile(r"(.+)[_-](mask|seg|segmentation|label|labels|roi)([_-]\w+)?", re.I | re.S)
_MASK_FOLDERS = ("labels", "masks", "labelstr", "segmentations")
_SEQUENCE = re.compile(
    r"[_-](t1|t1w|t1ce|t1c|t1gd|t1n|t2|t2w|t2f|flair|pd|dwi|adc|swi|bold|ct|cta|mr|mri|pet|\d{4})$", re.I
)


def recognises(path: Path) -> bool:
    """A NIfTI file, or a folder that has one among its first files."""
    if path.is_file():
        return _is_volume(path)
    return any(_is_volume(one) for one in itertools.islice(visible(path), _FIRST))


def list_volumes(path: Path) -> Listing:
    """One row a volume, not yet cut into slices; UserError where there is none."""
    folder = path if path.is_dir() else path.parent
    every, aside = files_below(folder) if path.is_dir() else ([PurePath(path.name)], [])
    volumes = [name for name in every if _is_volume(name)]
    masks = _part_masks(volumes)
    images = [name for name in volumes if name not in {mask for named in masks.values() for mask in named.values()}]
    if not images:
        raise UserError(f"no NIfTI volumes in {str(path)!r} besides masks; expected .nii or .nii.gz: check the path")
    places = [_below_images(name) for name in images]
    classes = has_class_folders(places, lambda name: _patient(name, skip=1))
    given = labels_beside(folder)
    rows = tuple(
        _row(folder, name, place=place, masks=masks.get(name, {}), classes=classes, given=given)
        for name, place in zip(images, places, strict=True)
    )
    notes = _notes(rows, classes=classes, given=given, others=len(every) - len(volumes))
    return Listing(name=path.name.removesuffix(".gz").removesuffix(".nii"), rows=rows, notes=(*notes, *aside))


def _is_volume(path: PurePath) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))


def _stem(name: PurePath) -> str:
    return re.sub(r"\.nii(\.gz)?$", "", name.name, flags=re.I)


def _below_images(name: PurePath) -> PurePath:
    """The path without a folder that only says "images"."""
    return (
        PurePath(*name.parts[1:]) if name.parts[0].lower() in ("images", "imagestr") and len(name.parts) > 1 else name
    )


def _part_masks(volumes: Sequence[PurePath]) -> dict[PurePath, dict[str, PurePath]]:
    """Of each image, its masks by name."""
    owners = {(name.parent, _stem(name)): name for name in volumes}
    by_stem = {_stem(name): name for name in volumes if not _in_mask_folder(name)}
    masks: dict[PurePath, dict[str, PurePath]] = {}
    for name in volumes:
        named = _MASK.fullmatch(_stem(name))
        stem = named[1] if named else _stem(name)
        if _in_mask_folder(name):
            owner = by_stem.get(_stem(name)) or by_stem.get(stem)
        else:
            owner = owners.get((name.parent, stem)) if named else None
        if owner is not None and owner != name:
            kind = "mask" if named is None else f"mask{(named[3] or '').lower().replace('-', '_')}"
            masks.setdefault(owner, {})[kind] = name
    return masks


def _in_mask_folder(name: PurePath) -> bool:
    return any(part.lower() in _MASK_FOLDERS for part in name.parts[:-1])


def _patient(place: PurePath, *, skip: int) -> str:
    """Whose volume it is, by its path; `skip` uppermost folders are classes."""
    text = place.as_posix()
    if found := re.search(r"(?:^|[/_])(sub-[A-Za-z0-9]+)", text):
        return found[1]
    folders = place.parts[skip:-1]
    if folders:
        return folders[0]
    stem = _stem(place)
    while (shorter := _SEQUENCE.sub("", stem)) != stem and shorter:
        stem = shorter
    return stem


def _row(
    folder: Path,
    name: PurePath,
    *,
    place: PurePath,
    masks: Mapping[str, PurePath],
    classes: bool,
    given: Mapping[str, str],
) -> Row:
    patient = _patient(place, skip=1 if classes else 0)
    label = given.get(name.as_posix()) or given.get(patient) or (place.parts[0] if classes else None)
    return Row(
        name=name.as_posix(), image=folder / name, label=label or None, patient=patient,
        masks={kind: folder / mask for kind, mask in masks.items()},
    )  # fmt: skip


def _notes(rows: Sequence[Row], *, classes: bool, given: Mapping[str, str], others: int) -> tuple[str, ...]:
    patients = len({row.patient for row in rows})
    notes = [
        f"read as {len(rows)} NIfTI volumes, by their names of {patients} patients (the 'sub-...', the folder or the "
        "file's name without its sequence)"
    ]
    if masked := sum(bool(row.masks) for row in rows):
        notes.append(f"mask volumes found beside {masked} of them")
    if given or classes:
        notes.append(f"labels from {NAME}" if given else "labels from the uppermost folders")
    else:
        notes.append(f"no labels: the uppermost folders are not classes, and there is no {NAME}")
    if others:
        notes.append(f"ignored {others} files that are not NIfTI")
    return tuple(notes)

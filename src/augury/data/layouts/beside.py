"""What trees of DICOM and NIfTI files share: their files, a labels.csv, class folders told from those of patients."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath

from augury.data.inside import Inside, is_text
from augury.errors import UserError

NAME = "labels.csv"
_IMAGE = ("image", "file", "file_name", "filename", "path")
_PATIENT = ("patient", "patient_id", "patientid", "subject", "participant_id")
_LABEL = ("label", "class", "diagnosis", "grade", "level", "target")


def visible(folder: Path) -> Iterator[PurePath]:
    """Relative paths of all files below, without hidden ones and without following linked folders, in any order."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (PurePath(place, name).relative_to(folder) for name in names if not name.startswith("."))


def files_below(folder: Path) -> tuple[list[PurePath], list[str]]:
    """All files below in order, and what is said of those that were left aside."""
    inside = Inside(folder)
    files, out, odd = [], 0, 0
    for name in sorted(visible(folder)):
        if inside.leads_out(folder / name):
            out += 1
        elif not str(name).isprintable() and not is_text(str(name)):
            odd += 1
        else:
            files.append(name)
    said = [f"ignored {out} symbolic links that lead out of the folder"] if out else []
    return files, [*said, *([f"ignored {odd} files whose names are not valid UTF-8: rename them"] if odd else [])]


def labels_beside(folder: Path) -> dict[str, str]:
    """From image path or patient identifier to label, as a labels.csv in the folder says; {} where there is none."""
    path = folder / NAME
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{NAME} cannot be read ({type(error).__name__}); expected a CSV in UTF-8: repair it"
        ) from error
    header = [cell.strip().lower() for cell in lines[0]] if lines else []
    key, label = (_first(header, names) for names in ((*_IMAGE, *_PATIENT), _LABEL))
    if key is None or label is None:
        raise UserError(
            f"{NAME} has the columns {', '.join(header[:8])}; expected 'image' or 'patient', and 'label': rename them"
        )
    return _pairs(lines[1:], key=key, label=label)


def _pairs(lines: Sequence[list[str]], *, key: int, label: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, cells in enumerate(lines, start=2):
        if len(cells) <= max(key, label):
            raise UserError(f"{NAME} line {number} has {len(cells)} cells; expected as many as its header: repair it")
        name, said = cells[key].strip(), cells[label].strip()
        if found.setdefault(name, said) != said:
            raise UserError(f"{NAME} line {number} gives a second label to the same image or patient: remove one")
    return found


def _first(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def has_class_folders(paths: Sequence[PurePath], patient_of: Callable[[PurePath], str | None]) -> bool:
    """Whether the uppermost folders are classes: there are two or more, and one holds two patients or nameless files.

    Otherwise each would be a patient's own, and its name no label but an identifier.
    """
    patients: dict[str, set[str | None]] = defaultdict(set)
    for path in paths:
        if len(path.parts) < 2:
            return False
        patients[path.parts[0]].add(patient_of(path))
    return len(patients) > 1 and any(len(names) > 1 or names == {None} for names in patients.values())

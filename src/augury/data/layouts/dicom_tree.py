"""A tree of DICOM files, with or without the ending .dcm: every image in it, and nobody's name.

Patient, study, series and institution are hashed with the project's salt (`data.salt`) as they enter. A row is named by
its path, every part of which that holds an identifier of its header (a patient folder, a file named by its UID) is
replaced by a hash; of a file whose header cannot be read only parts such as "IM0001" are kept. The path itself stays in
`Row.image`, from which the pixels are read, and nowhere else. Written are synthetic images alone (`dicom.writing`).

What the headers say is kept in the cache, in the order of the files and without their names, so that a second look
at the same tree opens none of them.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path, PurePath
from typing import Any

from augury.data import readers
from augury.data.bounded import Bounded
from augury.data.cache import cache_folder, write_atomically
from augury.data.dicom.known import Facts
from augury.data.in_order import map_in_order
from augury.data.layouts import writing
from augury.data.layouts.beside import NAME, files_below, has_class_folders, labels_beside, visible
from augury.data.listing import Listing, Row
from augury.data.members import frame_rows
from augury.data.salt import hashed, salt, whence
from augury.data.sample import Unreadable, digest_of
from augury.errors import UserError

REVISION = 2  # raised when other facts are kept
KEEPS = frozenset({"label", "eye", "modality", "text", "split", "origin"})
_FIRST = 50  # files that are looked at to recognise a tree
BURNED_IN = "say that text is burned into their pixels: look whether it names someone, or gives the label away"


def recognises(path: Path) -> bool:
    """Whether a file, or more of the first files of a folder than are ordinary images, are DICOM."""
    if path.is_file():
        return _is_dicom(path)
    first = [path / one for one in itertools.islice(visible(path), _FIRST)]
    images = [one for one in first if one.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")]
    return sum(_is_dicom(one) for one in first if one not in images) > len(images)


def list_tree(path: Path) -> Listing:
    """All images of a tree of DICOM files, or of one file; UserError where there is none."""
    folder = path if path.is_dir() else path.parent
    names, aside = files_below(folder) if path.is_dir() else ([PurePath(path.name)], [])
    files = [name for name in names if _is_dicom(folder / name)]
    key = salt()
    facts = _all_facts(folder, files, key=key)
    images = [(name, one) for name, one in zip(files, facts, strict=True) if not one.why]
    if not images:
        raise UserError(f"none of the {len(files)} DICOM files in {folder.name!r} holds an image: check the path")
    rows = _rows(folder, images, key=key)
    return Listing(
        name=_name(folder, images, key=key), rows=rows,
        unreadable=tuple(
            Unreadable(image=one.name, why=one.why) for one in facts if one.why and "DICOMDIR" not in one.why
        ),
        notes=(*_notes([one for _, one in images], rows), *_left_out(len(names) - len(files), facts), *aside),
    )  # fmt: skip


def write(rows: Sequence[Row], folder: Path) -> list[str]:
    """images/IM000000.dcm and so on; UserError for a row that is not synthetic: no header of ours is true of it."""
    real = sum(row.origin == "real" for row in rows)
    if real:
        raise UserError(
            f"{real} of {len(rows)} images are real; the layout dicom is written for synthetic images alone, as it "
            "says of each that no patient is shown: leave them out, or choose the layout manifest"
        )
    from augury.data.dicom.writing import encode, places

    digests = list(map_in_order(_digest, rows))
    (folder / "images").mkdir()
    jobs = list(zip(range(len(rows)), rows, places(rows, digests), strict=True))

    def put(job: tuple[int, Row, Any]) -> None:
        number, row, place = job
        (folder / "images" / f"IM{number:06d}.dcm").write_bytes(encode(writing.pixels_of(row), row, place))

    for _ in map_in_order(put, jobs):
        pass
    unlabelled = sum(row.label is None for row in rows)
    said = "the class of an image stands in its Image Comments (0020,4000)"
    return [said] if unlabelled < len(rows) else []


def _digest(row: Row) -> str:
    pixels = writing.pixels_of(row)
    return f"{pixels.shape} {pixels.dtype} {hashlib.sha256(pixels.tobytes()).hexdigest()}"


def _is_dicom(path: Path) -> bool:
    try:
        with Bounded(path) as file:
            return readers.kind_of(file.read(352)) == "dicom"
    except OSError:
        return False


def _name(folder: Path, images: Sequence[tuple[PurePath, Facts]], *, key: bytes) -> str:
    """The folder's, unless it is that of a single patient, who may have lent it the name."""
    alone = len({one.patient for _, one in images}) == 1 and images[0][1].origin == "real"
    return f"dicom {hashed('name', folder.name, key=key)[:10]}" if alone else folder.name


def _all_facts(folder: Path, files: Sequence[PurePath], *, key: bytes) -> list[Facts]:
    """From the cache where no file changed; else read, and kept."""
    states = [(str(name), (stat := (folder / name).stat()).st_size, stat.st_mtime_ns) for name in files]
    digest = digest_of({"salt": hashed("cache", "", key=key), "files": states, "revision": REVISION})
    kept = cache_folder() / "dicom" / f"{hashed('tree', digest, key=key)}.json"
    known = _load(kept, count=len(files))
    if known is not None:
        return known
    work = functools.partial(_read, folder, key=key)
    facts = list(map_in_order(work, files))
    write_atomically(kept, json.dumps([asdict(one) for one in facts]))
    return facts


def _read(folder: Path, name: PurePath, *, key: bytes) -> Facts:
    from augury.data.dicom.facts import read_facts  # pydicom takes a while to import, and few sets need it

    return read_facts(folder / name, name, key=key)


def _load(path: Path, *, count: int) -> list[Facts] | None:
    try:
        facts = [Facts(**one) for one in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError):
        return None
    return facts if len(facts) == count else None


def _rows(folder: Path, images: Sequence[tuple[PurePath, Facts]], *, key: bytes) -> tuple[Row, ...]:
    patients = {name: one.patient or one.study for name, one in images}
    classes = has_class_folders([name for name, _ in images], patients.get)
    given = labels_beside(folder)
    by_patient = {hashed("patient", who, key=key): label for who, label in given.items()}
    rows: list[Row] = []
    for name, one in images:
        top = one.name.split("/")[0]
        folder_label = top if classes and not top.startswith("~") else None
        label = given.get(name.as_posix()) or by_patient.get(one.patient or "") or one.label or folder_label
        row = Row(
            name=one.name, image=folder / name, label=label or None,
            patient=patients[name] or f"file {hashed('file', name.as_posix(), key=key)}",
            eye=one.eye, modality=one.modality, meta=one.meta, origin=one.origin, split=one.split, text=one.text,
        )  # fmt: skip
        rows += frame_rows(row, one.frames)
    return _unique(rows)


def _unique(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Two paths that differ only in what is hidden may end in the same name."""
    seen: Counter[str] = Counter()
    named = []
    for row in rows:
        seen[row.name] += 1
        named.append(row if seen[row.name] == 1 else replace(row, name=f"{row.name}#{seen[row.name]}"))
    return tuple(named)


def _notes(images: Sequence[Facts], rows: Sequence[Row]) -> list[str]:
    patients = {row.patient for row in rows}
    notes = [
        f"read as a tree of DICOM files of {len(patients)} patients, whose identifiers were hashed with {whence()}"
    ]
    if nameless := sum(one.patient is None for one in images):
        notes.append(f"{nameless} files name no patient: each study, or file without one, is taken for one")
    if len(patients) == 1 and len({one.study for one in images}) > 1:
        notes.append("all studies have the same patient identifier: were they anonymised to one name?")
    if hidden := sum("~" in row.name for row in rows):
        notes.append(f"{hidden} rows have paths that hold identifiers; these parts of their names were hashed")
    if burned := sum(one.meta.get("burned_in_annotation") == "yes" for one in images):
        notes.append(f"{burned} files {BURNED_IN}")
    if drawn := sum(one.origin != "real" for one in images):
        notes.append(f"{drawn} files say that they are synthetic (0008,001C): they count as drawn, not as real")
    if many := sum(one.frames > 1 for one in images):
        notes.append(f"{many} files hold several frames, each a row of its own")
    unlabelled = sum(row.label is None for row in rows)
    notes.append(
        f"labels from the uppermost folders, {NAME} or our own comments; {unlabelled} of {len(rows)} images have none"
        if unlabelled < len(rows)
        else f"no labels: the uppermost folders are not classes, and there is no {NAME} that fits"
    )
    return notes


def _left_out(others: int, facts: Sequence[Facts]) -> list[str]:
    index = sum("DICOMDIR" in one.why for one in facts)
    notes = [f"ignored {index} DICOMDIR files: the tree itself says what there is"] if index else []
    return [*notes, f"ignored {others} files that are not DICOM"] if others else notes

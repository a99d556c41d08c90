"""The mmc-amd collection (Wang et al. 2022, J-BHI 26(8):4111-4122; repository li-xirong/mmc-amd).

    mmc-amd/ImageData/{cfp-clahe-448x448,oct-median3x3-448x448}/f-w-1544817.jpg
    mmc-amd-splitA-train/ImageSets/{cfp,oct}.txt   an image id a line; val and test also mm.txt, "<cfp id> <oct id>"
    mmc-amd-splitA-train/annotations/{cfp,oct}.txt "<image id> <number of the class>"
    mmc-amd-splitA-train/{EyeSets,SubjectSets}/{cfp,oct}.txt    mmc-amd-splitA-train/ImageData, a link

An image id is <f|o>-<h|d|p|w>-<eye>[_<number>][-ori|-flr|-trs]: colour fundus or OCT, the class, the eye (27662-l), the
B-scan, and for synthetic ones the manipulation. The subject is the eye without -l or -r. SYSTEMS.md, System 0.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from augury.data import png
from augury.data.inside import LEADS_OUT, Inside, exists
from augury.data.layouts import writing
from augury.data.listing import SUFFIXES, Listing, Row
from augury.data.sample import Unreadable
from augury.data.table import text_of
from augury.errors import UserError

KEEPS = frozenset({"label", "patient", "eye", "modality", "split"})
NEEDS = ("label", "patient", "modality", "split")
CLASSES = ("normal", "dry", "PCV", "wet")  # in the order of their numbers
LETTERS = "hdpw"
MODALITIES = {"cfp": "f", "oct": "o"}
_ID = re.compile(r"(?P<kind>[fo])-(?P<letter>[hdpw])-(?P<eye>[^_\s]+?)(_(?P<scan>\d+))?(?P<edit>-(ori|flr|trs))?")
_PARTS = {"train": "train", "val": "val", "test": "test", "syn": "train"}
_FOLDERS = {"cfp": "cfp-clahe-448x448", "oct": "oct-median3x3-448x448"}  # theirs; ours say what ours are
SYNTHETIC = "mmc-amd-syn"  # the origin of the images of a -syn collection


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One image to be written: `modality` cfp or oct, `label` one of CLASSES, `eye` left, right or None."""

    modality: str
    label: str
    patient: str  # letters and digits: it becomes a part of the image's id
    eye: str | None
    split: str  # train, val or test
    pixels: Callable[[], NDArray[Any]]


def recognises(path: Path) -> bool:
    """A collection (ImageSets/cfp.txt or oct.txt with ids), or a folder that holds collections."""
    return bool(_collections(path))


def list_amd(path: Path) -> Listing:
    """The images of a collection, or of all collections of one division (splitA) below the folder."""
    collections = _collections(path)
    if not collections:
        raise UserError(f"no ImageSets/cfp.txt or oct.txt below {str(path)!r}; expected an mmc-amd collection")
    divisions = sorted({_division(place.name) for place in collections})
    if len(divisions) > 1:
        raise UserError(
            f"{str(path)!r} holds the divisions {', '.join(divisions)} of the same images; expected one: name a folder "
            "with the collections of one"
        )
    root = path if collections != [path] else path.parent
    reader = _Reader(Inside(root), path)
    rows = [row for place in collections for row in reader.collection(place)]
    return Listing(name=path.name, rows=tuple(rows), unreadable=tuple(reader.unreadable), notes=reader.notes())


def write_collections(shots: Iterable[Shot], folder: Path, *, division: str = "splitA") -> list[str]:
    """Write images and one collection a split into an existing folder; UserError for a patient no id can hold."""
    parts: dict[str, _Part] = {split: _Part() for split in writing.SPLIT_NAMES}
    counts: Counter[tuple[str, str]] = Counter()
    sizes: dict[str, set[tuple[int, ...]]] = {name: set() for name in MODALITIES}
    for shot in shots:
        eye = _eye_id(shot)
        name = _image_id(shot, eye, counts[shot.modality, eye])
        counts[shot.modality, eye] += 1
        pixels = shot.pixels()
        sizes[shot.modality].add(pixels.shape[:2])
        place = folder / "mmc-amd" / "ImageData" / shot.modality / f"{name}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        png.write(pixels, place)
        parts[shot.split].add(shot, name, eye)
    for split, part in parts.items():
        if part.images:
            part.write(folder / f"mmc-amd-{division}-{split}", pairs=split != "train")
    for modality, found in sizes.items():
        _name_by_size(folder / "mmc-amd" / "ImageData" / modality, found)
    return ["images are PNG: mmc-amd's own code adds .jpg to an id (load_pathfile), and reads folders by other names"]


def write(rows: Sequence[Row], folder: Path) -> list[str]:
    """The rows as collections; UserError for classes and modalities that mmc-amd does not have."""
    return write_collections(map(_shot, rows), folder)


def _shot(row: Row) -> Shot:
    label = next((name for name in CLASSES if name == (row.label or "")), None)
    if label is None or row.modality not in MODALITIES:
        raise UserError(
            f"got the label {row.label!r} and the modality {row.modality!r}; mmc-amd has {', '.join(CLASSES)} and "
            f"{', '.join(MODALITIES)}: rename them, or choose the layout manifest"
        )
    return Shot(
        modality=str(row.modality), label=label, patient=str(row.patient), eye=row.eye, split=str(row.split),
        pixels=lambda: writing.pixels_of(row),
    )  # fmt: skip


@dataclass(kw_only=True)
class _Part:
    """The lists of one collection."""

    images: list[tuple[str, str, int]] = field(default_factory=list)  # modality, id, number of the class
    eyes: dict[str, dict[str, list[str]]] = field(default_factory=lambda: {name: {} for name in MODALITIES})

    def add(self, shot: Shot, name: str, eye: str) -> None:
        self.images.append((shot.modality, name, CLASSES.index(shot.label)))
        self.eyes[shot.modality].setdefault(eye, []).append(name)

    def write(self, folder: Path, *, pairs: bool) -> None:
        for modality in MODALITIES:
            chosen = [(name, number) for kind, name, number in self.images if kind == modality]
            eyes = list(self.eyes[modality])
            _lines(folder / "ImageSets" / f"{modality}.txt", [name for name, _ in chosen])
            _lines(folder / "annotations" / f"{modality}.txt", [f"{name} {number}" for name, number in chosen])
            _lines(folder / "EyeSets" / f"{modality}.txt", eyes)
            _lines(folder / "SubjectSets" / f"{modality}.txt", list(dict.fromkeys(map(_subject, eyes))))
        if pairs:
            both = [f"{cfp} {oct_}" for eye, scans in self.eyes["oct"].items() for oct_ in scans
                    for cfp in self.eyes["cfp"].get(eye, [])]  # fmt: skip
            _lines(folder / "ImageSets" / "mm.txt", both)
        (folder / "ImageData").symlink_to(Path("..", "mmc-amd", "ImageData"))


class _Reader:
    """Turns the ids of collections into rows and remembers what it met."""

    def __init__(self, inside: Inside, path: Path) -> None:
        self.inside, self.path = inside, path
        self.unreadable: list[Unreadable] = []
        self.counts: Counter[str] = Counter()
        self.pairs = self.other_class = self.by_letter = self.others = 0
        self.folders: dict[tuple[Path, str], Path] = {}

    def collection(self, place: Path) -> Iterator[Row]:
        part = _part(place.name)
        for modality in MODALITIES:
            file = place / "ImageSets" / f"{modality}.txt"
            labels = dict(self._labels(place / "annotations" / f"{modality}.txt"))
            seen: set[str] = set()
            for number, name in _read_lines(file):
                if name in seen:
                    raise UserError(f"{str(file)!r} line {number} lists {name!r} twice: remove one")
                seen.add(name)
                row = self._row(place, modality, name, labels, where=f"{str(file)!r} line {number}", part=part)
                if row is not None:
                    yield row
        self.pairs += len(_read_lines(place / "ImageSets" / "mm.txt"))

    def notes(self) -> tuple[str, ...]:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        said = [f"read as an mmc-amd collection: {counts}, {self.pairs} pairs in mm.txt"]
        if self.other_class:
            said.append(
                f"{self.other_class} annotations say another class than the image's id: the annotation is taken"
            )
        if self.by_letter:
            said.append(f"{self.by_letter} images have no annotation: the class is that of their id")
        return tuple(said)

    def _row(
        self, place: Path, modality: str, name: str, labels: dict[str, str], *, where: str, part: str | None
    ) -> Row | None:
        found = _ID.fullmatch(name)
        if found is None or found["kind"] != MODALITIES[modality]:
            raise UserError(f"{where}: {name!r} is no id of a {modality} image; expected {MODALITIES[modality]}-w-12-l")
        image = self._image(place, modality, name, where)
        key = f"{part}/{name}" if part else name
        if self.inside.leads_out(image):
            self.unreadable.append(Unreadable(image=key, why=LEADS_OUT))
            return None
        of_id = CLASSES[LETTERS.index(found["letter"])]
        label = labels.get(name, of_id)
        self.counts[modality] += 1
        self.by_letter += name not in labels
        self.other_class += label != of_id
        drawn = found["edit"] is not None or part == "syn"
        eye = f"{found['letter']}-{found['eye']}"
        return Row(
            name=key, image=image, label=label, patient=_subject(eye),
            eye={"-l": "left", "-r": "right"}.get(eye[-2:]), modality=modality, split=_PARTS.get(part or ""),
            origin=SYNTHETIC if drawn else "real", meta={"edit": found["edit"][1:]} if found["edit"] else {},
        )  # fmt: skip

    def _image(self, place: Path, modality: str, name: str, where: str) -> Path:
        folder = self._folder(place, modality)
        options = [folder / f"{name}{suffix}" for suffix in (".jpg", *SUFFIXES)]
        path = next((option for option in options if exists(option)), options[0])
        return self.inside.place(str(path), where=where)

    def _folder(self, place: Path, modality: str) -> Path:
        """The collection's own images, or those of mmc-amd beside it: the folder that is called as theirs, or alike."""
        if (place, modality) not in self.folders:
            roots = [place / "ImageData", place.parent / "mmc-amd" / "ImageData"]
            found = [
                one for root in roots if root.is_dir() for one in sorted(root.glob(f"{modality}*")) if one.is_dir()
            ]
            usual = [one for one in found if one.name == _FOLDERS[modality]]
            self.folders[place, modality] = next(iter([*usual, *found]), roots[0] / _FOLDERS[modality])
        return self.folders[place, modality]

    def _labels(self, file: Path) -> Iterator[tuple[str, str]]:
        for number, line in _read_lines(file):
            name, _, last = line.rpartition(" ")
            if last not in {"0", "1", "2", "3"}:
                raise UserError(f"{str(file)!r} line {number}: got {line!r}; expected an image id and 0, 1, 2 or 3")
            yield name.split(" ")[0], CLASSES[int(last)]


def _collections(path: Path) -> list[Path]:
    """The path itself, or the collections below it in the order train, val, test, syn."""
    if _is_collection(path):
        return [path]
    found = [place for place in sorted(path.iterdir()) if _is_collection(place)] if path.is_dir() else []
    return sorted(found, key=lambda place: ([*_PARTS, None].index(_part(place.name)), place.name))


def _is_collection(place: Path) -> bool:
    return any(_holds_ids(place / "ImageSets" / f"{modality}.txt") for modality in MODALITIES)


def _holds_ids(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        return _ID.fullmatch(next((line for line in lines if line.strip()), "").strip()) is not None


def _part(name: str) -> str | None:
    last = name.rpartition("-")[2]
    return last if last in _PARTS else None


def _division(name: str) -> str:
    return name.rpartition("-")[0] if _part(name) else name


def _subject(eye: str) -> str:
    """The patient of an eye id, whose first letter is the class of that eye.

    >>> _subject("w-27662-l"), _subject("h-1544817")
    ('27662', '1544817')
    """
    return re.sub(r"-[lr]$", "", eye[2:])


def _eye_id(shot: Shot) -> str:
    if not re.fullmatch(r"[0-9A-Za-z]+", shot.patient):
        raise UserError(
            f"the patient {shot.patient!r} cannot be a part of an image's id; expected letters and digits: rename the "
            "patients, or choose the layout manifest"
        )
    side = {"left": "-l", "right": "-r", None: ""}[shot.eye]
    return f"{LETTERS[CLASSES.index(shot.label)]}-{shot.patient}{side}"


def _image_id(shot: Shot, eye: str, before: int) -> str:
    """OCT B-scans are numbered, as several are of one eye; of fundus images only the second and later."""
    number = f"_{before:03d}" if shot.modality == "oct" or before else ""
    return f"{MODALITIES[shot.modality]}-{eye}{number}"


def _name_by_size(place: Path, sizes: set[tuple[int, ...]]) -> None:
    if len(sizes) == 1:
        height, width = next(iter(sizes))
        place.rename(place.with_name(f"{place.name}-{height}x{width}"))


def _lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers; none where the file is absent."""
    if not path.is_file():
        return []
    return [(n, line.strip()) for n, line in enumerate(text_of(path).splitlines(), 1) if line.strip()]

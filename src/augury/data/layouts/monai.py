"""MONAI's datalist, the JSON of the Medical Segmentation Decathlon (monai.data.load_decathlon_datalist).

    {"training": [{"image": "images/000000.png", "label": 1, ...}], "validation": [...], "test": [...]}

A label that is a number or a word is the class, one that is the path of an image is the mask. The test list may hold
bare paths. Paths are relative to the file, or absolute below its folder. Any other key of an entry is kept: MONAI's
dictionary transforms look only at the keys that they are told of, and so are ours (patient, eye, mask, boxes, ...).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from augury.data.box_table import box_of
from augury.data.inside import LEADS_OUT, Inside, exists, named
from augury.data.layouts import json_text as js
from augury.data.layouts import writing
from augury.data.listing import SPLITS, SUFFIXES, Listing, Row
from augury.data.sample import Box, Unreadable
from augury.errors import UserError

KEEPS = frozenset(
    {"name", "label", "patient", "masks", "boxes", "eye", "modality", "text", "split", "meta", "origin", "source"}
)
FILE = "datalist.json"
_LISTS = {"training": "train", "train": "train", "validation": "val", "val": "val", "test": "test", "testing": "test"}
_KEYS = {"train": "training", "val": "validation", "test": "test"}
_WORDS = ("patient", "modality", "text", "origin", "source")
_OWN = {"image", "label", "mask", "masks", "boxes", "eye", "split", "meta", "augury_row", *_WORDS}
_VOLUMES = (".nii", ".nii.gz", ".mha", ".nrrd", ".dcm", ".npy")  # what else may be the path of a mask
_LOOKED_AT = 8  # JSON files of a folder


def recognises(path: Path) -> bool:
    """A JSON file with such lists, or a folder that holds one."""
    return _file(path) is not None


def list_datalist(path: Path) -> Listing:
    """The entries of all lists; UserError where one is not what the format says."""
    file = path if path.is_file() else _file(path)
    if file is None:
        raise UserError(f"no MONAI datalist in {str(path)!r}; expected a JSON with a list 'training': name the file")
    content = js.as_dict(js.read_json(file), where=repr(file.name))
    reader = _Reader(file, content)
    rows = [row for place, split, entry in _entries(file, content) if (row := reader.row(place, split, entry))]
    if not rows and not reader.unreadable:
        raise UserError(f"{str(file)!r} lists no image; expected entries in training, validation or test: fill it")
    name = path.name if path.is_dir() else file.stem
    return Listing(name=name, rows=tuple(rows), unreadable=tuple(reader.unreadable), notes=tuple(reader.notes()))


def write(rows: Sequence[Row], folder: Path) -> list[str]:
    """images/, masks/ and datalist.json. The label is the number of the class, its name stands in `labels`."""
    classes = sorted({row.label for row in rows if row.label is not None})
    places = [Path("images", f"{i:06d}.png") for i in range(len(rows))]
    writing.put_images(rows, folder, places)
    lists: dict[str, list[dict[str, Any]]] = {}
    for row, place in zip(rows, places, strict=True):
        masks = writing.put_masks(row, place.stem, folder)
        key = _KEYS[row.split or "train"]
        lists.setdefault(key, []).append(_entry(row, place.as_posix(), masks, classes))
    facts = {"name": "augury", "labels": {str(i): name for i, name in enumerate(classes)}}
    counts = {"numTraining": len(lists.get("training", [])), "numTest": len(lists.get("test", []))}
    text = json.dumps(facts | counts | lists, ensure_ascii=True, allow_nan=False, indent=1)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")
    unsplit = sum(row.split is None for row in rows)
    return [f"{unsplit} images without a split stand in 'training', marked as without"] if unsplit else []


class _Reader:
    """Turns entries into rows and remembers what it met."""

    def __init__(self, file: Path, content: Mapping[str, Any]) -> None:
        self.file, self.inside = file, Inside(file.parent)
        self.classes = _class_names(content.get("labels"), file)
        self.seen: dict[str, str] = {}
        self.names: set[str] = set()
        self.unreadable: list[Unreadable] = []
        self.mask_labels = self.others = 0

    def row(self, place: str, split: str, entry: Any) -> Row | None:
        """The row of one entry; None where its image cannot be reached."""
        facts = js.as_dict({"image": entry} if isinstance(entry, str) and split == "test" else entry, where=place)
        image, key = self._image(facts, place)
        if self.inside.leads_out(image):
            self.unreadable.append(Unreadable(image=key, why=LEADS_OUT))
            return None
        masks, label = self._masks(facts, key, place), self._label(facts.get("label"), place)
        meta = {name: value for name, value in self._meta(facts, place) if value}
        words = {name: js.as_word(facts.get(name), where=f"{place}.{name}") for name in _WORDS}
        eye = js.as_word(facts.get("eye"), where=f"{place}.eye")
        if eye not in (None, "left", "right"):
            meta, eye = meta | {"eye": str(eye)}, None
        return Row(
            name=self._name(facts, key, place), image=image, label=label, masks=masks, eye=eye, meta=meta,
            boxes=tuple(_boxes(facts.get("boxes"), place)), split=_split(facts, split, place),
            patient=words["patient"], modality=words["modality"], text=words["text"],
            origin=words["origin"] or "real", source=words["source"],
        )  # fmt: skip

    def notes(self) -> list[str]:
        said = [f"read as a MONAI datalist ({self.file.name})"]
        if self.mask_labels:
            said.append(f"the label of {self.mask_labels} entries is a path: read as a mask, not as a class")
        return [*said, *self.inside.notes()]

    def _image(self, facts: Mapping[str, Any], place: str) -> tuple[Path, str]:
        given = facts.get("image")
        if isinstance(given, list):
            raise UserError(
                f"{place}.image lists {len(given)} files, the channels of one image; expected one file: give an entry "
                "for each, with its modality and the same patient"
            )
        image = self.inside.place(js.as_text(given, where=f"{place}.image"), where=f"{place}.image")
        key = image.relative_to(self.inside.root).as_posix()
        if key in self.seen:
            raise UserError(f"{place} lists the image {named(key)}, as {self.seen[key]} does: remove one")
        self.seen[key] = place
        return image, key

    def _name(self, facts: Mapping[str, Any], key: str, place: str) -> str:
        name = js.as_word(facts.get("augury_row"), where=f"{place}.augury_row") or key
        if name in self.names:
            raise UserError(f"{place}: a second row is named {named(name)}: give it another name")
        self.names.add(name)
        return name

    def _masks(self, facts: Mapping[str, Any], key: str, place: str) -> dict[str, Path]:
        given = dict(js.as_dict(facts.get("masks", {}), where=f"{place}.masks"))
        if facts.get("mask") is not None:
            given["mask"] = facts["mask"]
        if is_path(facts.get("label")):
            self.mask_labels += 1
            given.setdefault("mask", facts["label"])
        masks = {}
        for name, value in given.items():
            path = self.inside.place(js.as_text(value, where=f"{place}.{name}"), where=f"{place}.{name}")
            why = LEADS_OUT if self.inside.leads_out(path) else None if exists(path) else "there is no such file"
            if why is None:
                masks[name] = path
            else:
                why = f"{why}; the image {key!r} goes on without this mask"
                self.unreadable.append(Unreadable(image=str(value), why=why))
        return masks

    def _label(self, value: Any, place: str) -> str | None:
        if is_path(value):
            return None
        if isinstance(value, list):
            raise UserError(f"{place}.label lists {len(value)} labels; expected one class an image: choose one")
        word = js.as_word(value, where=f"{place}.label")
        number = isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
        return self.classes.get(str(int(value)), str(int(value))) if number else word

    def _meta(self, facts: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
        for name, value in js.as_dict(facts.get("meta", {}), where=f"{place}.meta").items():
            yield name, js.as_word(value, where=f"{place}.meta.{name}") or ""
        for name, value in facts.items():
            if name not in _OWN:
                yield (
                    name,
                    json.dumps(value) if isinstance(value, dict | list) else js.as_word(value, where=place) or "",
                )


def is_path(value: Any) -> bool:
    """Whether a label is the path of an image.

    >>> is_path("labelsTr/x.nii.gz"), is_path("grade 2"), is_path(2)
    (True, False, False)
    """
    return isinstance(value, str) and value.lower().endswith((*SUFFIXES, *_VOLUMES))


def _file(path: Path) -> Path | None:
    """The datalist that the path is or holds; a JSON file that is nothing else is one too, so that it is told why."""
    if path.is_file():
        return path if path.suffix.lower() == ".json" else None
    found = sorted(path.glob("*.json"))[:_LOOKED_AT] if path.is_dir() else []
    return next((file for file in found if _looks_right(file)), None)


def _looks_right(file: Path) -> bool:
    try:
        content = js.read_json(file)
    except UserError:
        return file.name in ("dataset.json", FILE)
    return isinstance(content, dict) and any(isinstance(content.get(name), list) for name in _LISTS)


def _entries(file: Path, content: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(where, split, entry) of each."""
    found = {name: split for name, split in _LISTS.items() if name in content}
    if not found:
        shown = ", ".join(map(named, list(content)[:8])) or "nothing"
        raise UserError(f"{str(file)!r} holds {shown}; expected MONAI's lists training, validation or test: rename one")
    for name, split in found.items():
        for i, entry in enumerate(js.as_list(content[name], where=f"{file.name!r}: {name}")):
            yield f"{file.name!r}: {name}[{i}]", split, entry


def _class_names(labels: Any, file: Path) -> dict[str, str]:
    """Names of the classes by their numbers, where the file says them (Decathlon: {"0": "background"})."""
    if not isinstance(labels, dict):
        return {}
    names = {number: js.as_word(name, where=f"{file.name!r}: labels") for number, name in labels.items()}
    return {number: name for number, name in names.items() if name}


def _split(facts: Mapping[str, Any], of_list: str, place: str) -> str | None:
    """That of the list, unless the entry speaks for itself: "none" is how our export marks an image without one."""
    own = js.as_word(facts.get("split"), where=f"{place}.split")
    if own is None:
        return of_list
    if own.casefold() not in {*SPLITS, "none"}:
        raise UserError(f"{place}.split is {named(own)}; expected train, val or test: correct it")
    return SPLITS.get(own.casefold())


def _boxes(value: Any, place: str) -> Iterator[Box]:
    for i, given in enumerate(js.as_list(value if value is not None else [], where=f"{place}.boxes")):
        where = f"{place}.boxes[{i}]"
        facts = js.as_dict(given, where=where)
        numbers = [js.as_number(facts.get(side), where=f"{where}.{side}") for side in ("x", "y", "width", "height")]
        x, y, width, height = box_of(*numbers, where=where)
        score = None if facts.get("score") is None else js.as_number(facts["score"], where=f"{where}.score")
        yield Box(x=x, y=y, width=width, height=height, label=js.as_word(facts.get("label"), where=where), score=score)


def _entry(row: Row, image: str, masks: Mapping[str, str], classes: Sequence[str]) -> dict[str, Any]:
    """An entry without empty values: MONAI would take an empty text for the folder itself."""
    facts: dict[str, Any] = {
        "image": image, "label": None if row.label is None else classes.index(row.label), "mask": masks.get("mask"),
        "masks": {name: path for name, path in masks.items() if name != "mask"},
        "boxes": [{"x": b.x, "y": b.y, "width": b.width, "height": b.height, "label": b.label, "score": b.score}
                  for b in row.boxes],
        "eye": row.eye, "patient": row.patient, "modality": row.modality, "text": row.text, "meta": dict(row.meta),
        "origin": None if row.origin == "real" else row.origin, "source": row.source,
        "split": "none" if row.split is None else None, "augury_row": row.name or None,
    }  # fmt: skip
    if not classes and "mask" in masks:  # a set for segmentation: there the label is the mask
        facts |= {"label": facts.pop("mask")}
    return {name: value for name, value in facts.items() if value is not None and value not in ({}, [])}

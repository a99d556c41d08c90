"""COCO's object detection (cocodataset.org/#format-data): images, annotations with a bbox, categories.

    annotations/instances_train.json  train/000000.png       or  annotations.json  images/000000.png
    train/_annotations.coco.json      train/000000.png       (as Roboflow writes it)

A category is the label of a box. COCO has no label of a whole image, and one is never made from its boxes, since the
images without a box would then have none; but an annotation without a bbox (as in COCO Camera Traps) labels its image,
and so does `label` of an image. Other keys of an image (patient, eye, ...) are kept, as other readers pass them over.
Segmentations are counted and said, not read: a mask is a file here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augury.data.box_table import box_of
from augury.data.inside import LEADS_OUT, Inside, exists, named
from augury.data.layouts import json_text as js
from augury.data.layouts import writing
from augury.data.listing import SPLITS, Listing, Row
from augury.data.sample import Box, Unreadable
from augury.errors import UserError

KEEPS = frozenset({"name", "label", "patient", "boxes", "eye", "modality", "text", "split", "meta", "origin", "source"})
NAMELESS = "object"  # the category of a box without a label: COCO wants one
_WORDS = ("patient", "modality", "text", "origin", "source")
_OWN = {"id", "file_name", "width", "height", "label", "eye", "meta", "augury_row", *_WORDS}
_THEIRS = {
    "license",
    "licence",
    "flickr_url",
    "coco_url",
    "date_captured",
    "rights_holder",
}  # says nothing of the image
_LOOKED_AT = 12


def recognises(path: Path) -> bool:
    """A JSON file with images and annotations, or a folder that holds such ones where COCO has them."""
    return bool(_files(path))


def list_coco(path: Path) -> Listing:
    """The images of all such files, each of the split that its name or folder says."""
    files = _files(path)
    if not files:
        raise UserError(f"no COCO JSON in {str(path)!r}; expected one with images, annotations and categories")
    root = path if path.is_dir() else path.parent.parent if path.parent.name == "annotations" else path.parent
    seen = _Seen(inside=Inside(root))
    rows = [row for file in files for row in _Reader(file, seen, several=len(files) > 1).rows()]
    if not rows and not seen.unreadable:
        raise UserError(f"{str(path)!r} lists no image; expected entries in images: fill it")
    name = path.name if path.is_dir() else path.stem
    return Listing(name=name, rows=tuple(rows), unreadable=tuple(seen.unreadable), notes=seen.notes(len(rows)))


def write(rows: Sequence[Row], folder: Path) -> list[str]:
    """annotations/instances_<split>.json and a folder of images a split; annotations.json and images/ without one."""
    with_split = writing.whole_split(rows)
    names = sorted({box.label or NAMELESS for row in rows for box in row.boxes})
    for split in writing.SPLIT_NAMES if with_split else (None,):
        chosen = [row for row in rows if row.split == split]
        if chosen:
            place = Path("annotations", f"instances_{split}.json") if split else Path("annotations.json")
            _write_part(chosen, folder, place, images=split or "images", categories=names)
    nameless = sum(box.label is None for row in rows for box in row.boxes)
    return [f"{nameless} boxes without a label got the category {NAMELESS!r}"] if nameless else []


@dataclass(kw_only=True)
class _Seen:
    """What was met in all files of a set."""

    inside: Inside
    rows: dict[str, str] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    boxes: int = 0
    segmentations: int = 0
    crowds: int = 0

    def notes(self, count: int) -> tuple[str, ...]:
        said = [f"read as COCO: {count} images, {self.boxes} boxes"]
        if self.segmentations:
            said.append(f"{self.segmentations} segmentations were not read: masks are files here, boxes were taken")
        if self.crowds:
            said.append(f"{self.crowds} boxes are of crowds (iscrowd), taken as boxes like any other")
        return (*said, *self.inside.notes())


class _Reader:
    """Turns one JSON into rows."""

    def __init__(self, file: Path, seen: _Seen, *, several: bool) -> None:
        self.file, self.seen = file, seen
        self.content = js.as_dict(js.read_json(file), where=repr(file.name))
        self.split = _split_of(file) if several or file.parent.name.casefold() in {*SPLITS, "annotations"} else None
        self.categories = dict(self._categories())
        self.boxes: dict[Any, list[Box]] = {}
        self.labels: dict[Any, set[str]] = {}
        for i, one in enumerate(self._list("annotations")):
            self._annotation(js.as_dict(one, where=self._where("annotations", i)), self._where("annotations", i))

    def rows(self) -> Iterator[Row]:
        images = [js.as_dict(one, where=self._where("images", i)) for i, one in enumerate(self._list("images"))]
        folder = self._folder(images)
        known: set[Any] = set()
        for i, facts in enumerate(images):
            where = self._where("images", i)
            number = _key(facts.get("id"), where=f"{where}.id")
            if number in known:
                raise UserError(
                    f"{where} has the id {named(number)} of an earlier image; expected one of its own: correct it"
                )
            known.add(number)
            row = self._row(facts, number, folder, where)
            if row is not None:
                yield row
        lost = next((number for number in (*self.boxes, *self.labels) if number not in known), None)
        if lost is not None:
            raise UserError(
                f"{self.file.name!r} has annotations of the image {named(lost)}, which it does not list: remove them"
            )

    def _annotation(self, facts: Mapping[str, Any], where: str) -> None:
        image = _key(facts.get("image_id"), where=f"{where}.image_id")
        number = _key(facts.get("category_id"), where=f"{where}.category_id")
        if number not in self.categories:
            raise UserError(f"{where} has the category {named(number)}, which categories does not list: add it")
        self.seen.segmentations += bool(facts.get("segmentation"))
        if facts.get("bbox") is None:
            if not facts.get("segmentation"):
                self.labels.setdefault(image, set()).add(self.categories[number])
            return
        numbers = [js.as_number(n, where=f"{where}.bbox") for n in js.as_list(facts["bbox"], where=f"{where}.bbox")]
        if len(numbers) != 4:
            raise js.wrong(facts["bbox"], "x, y, width and height", where=f"{where}.bbox")
        x, y, width, height = box_of(*numbers, where=where)
        score = None if facts.get("score") is None else js.as_number(facts["score"], where=f"{where}.score")
        box = Box(x=x, y=y, width=width, height=height, label=self.categories[number], score=score)
        self.boxes.setdefault(image, []).append(box)
        self.seen.boxes += 1
        self.seen.crowds += bool(facts.get("iscrowd"))

    def _row(self, facts: Mapping[str, Any], number: Any, folder: Path, where: str) -> Row | None:
        given = js.as_text(facts.get("file_name"), where=f"{where}.file_name")
        image = self.seen.inside.place((folder / given).as_posix(), where=f"{where}.file_name")
        key = image.relative_to(self.seen.inside.root).as_posix()
        if self.seen.inside.leads_out(image):
            self.seen.unreadable.append(Unreadable(image=key, why=LEADS_OUT))
            return None
        name = js.as_word(facts.get("augury_row"), where=where) or key
        if name in self.seen.rows:
            raise UserError(f"{where} lists {named(name)}, as {self.seen.rows[name]} does: remove one")
        self.seen.rows[name] = where
        words = {word: js.as_word(facts.get(word), where=f"{where}.{word}") for word in _WORDS}
        meta = {name: value for name, value in self._meta(facts, where) if value}
        eye = js.as_word(facts.get("eye"), where=f"{where}.eye")
        if eye not in (None, "left", "right"):
            meta, eye = meta | {"eye": str(eye)}, None
        return Row(
            name=name, image=image, label=self._label(facts, number, where), boxes=tuple(self.boxes.get(number, ())),
            eye=eye, meta=meta, split=self.split, patient=words["patient"], modality=words["modality"],
            text=words["text"], origin=words["origin"] or "real", source=words["source"],
        )  # fmt: skip

    def _label(self, facts: Mapping[str, Any], number: Any, where: str) -> str | None:
        found = self.labels.get(number, set()) | {js.as_word(facts.get("label"), where=f"{where}.label") or ""} - {""}
        if len(found) > 1:
            raise UserError(
                f"{where} has the labels {', '.join(sorted(found))}; expected one class an image: choose one"
            )
        return next(iter(found), None)

    def _meta(self, facts: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
        for name, value in js.as_dict(facts.get("meta", {}), where=f"{where}.meta").items():
            yield name, js.as_word(value, where=f"{where}.meta.{name}") or ""
        for name, value in facts.items():
            if name not in _OWN | _THEIRS:
                yield (
                    name,
                    json.dumps(value) if isinstance(value, dict | list) else js.as_word(value, where=where) or "",
                )

    def _folder(self, images: Sequence[Mapping[str, Any]]) -> Path:
        """Where the images lie: the first place that holds the first image that is anywhere; else beside the JSON."""
        root, split = self.seen.inside.root, self.split or ""
        named = [
            place for name, meant in SPLITS.items() if meant == split for place in (root / name, root / f"{name}2017")
        ]
        places = [self.file.parent, self.file.parent / "images", *named, root / "images" / split, root / "images", root]
        names = [facts.get("file_name") for facts in images[:_LOOKED_AT]]
        options = [(place, name) for name in names if isinstance(name, str) for place in places]
        found = (place for place, name in options if place.is_relative_to(root) and exists(place / name))
        return next(found, self.file.parent)

    def _categories(self) -> Iterator[tuple[Any, str]]:
        for i, one in enumerate(self._list("categories")):
            where = self._where("categories", i)
            facts = js.as_dict(one, where=where)
            name = js.as_word(facts.get("name"), where=f"{where}.name")
            yield _key(facts.get("id"), where=f"{where}.id"), name or str(facts.get("id"))

    def _list(self, name: str) -> list[Any]:
        return js.as_list(self.content.get(name, []), where=f"{self.file.name!r}: {name}")

    def _where(self, name: str, index: int) -> str:
        return f"{self.file.name!r}: {name}[{index}]"


def _key(value: Any, *, where: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise js.wrong(value, "a whole number", where=where)
    return value


def _split_of(file: Path) -> str | None:
    """From the name (instances_train2017.json) or the folder (train/_annotations.coco.json)."""
    words = re.findall(r"[a-z]+", file.stem.casefold())
    named = [SPLITS[word] for word in words if word in SPLITS]
    return next(iter(named), SPLITS.get(file.parent.name.casefold()))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" and _looks_right(path) else []
    if not path.is_dir():
        return []
    places = [path, path / "annotations", *(path / name for name in SPLITS)]
    found = [file for place in places if place.is_dir() for file in sorted(place.glob("*.json"))[:_LOOKED_AT]]
    return [file for file in found if _looks_right(file)]


def _looks_right(file: Path) -> bool:
    try:
        content = js.read_json(file)
    except UserError:
        return file.name.startswith(("instances_", "_annotations.coco"))
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def _write_part(rows: Sequence[Row], folder: Path, place: Path, *, images: str, categories: Sequence[str]) -> None:
    names = [f"{i:06d}.png" for i in range(len(rows))]
    shapes = writing.put_images(rows, folder, [Path(images, name) for name in names])
    numbers = {name: i for i, name in enumerate(categories, 1)}
    boxes = [(i, box) for i, row in enumerate(rows, 1) for box in row.boxes]
    content = {
        "info": {"description": "written by augury"},
        "images": [_image(*one, number=i) for i, one in enumerate(zip(rows, names, shapes, strict=True), 1)],
        "annotations": [_annotation(box, k, i, numbers[box.label or NAMELESS]) for k, (i, box) in enumerate(boxes, 1)],
        "categories": [{"id": i, "name": name, "supercategory": ""} for name, i in numbers.items()],
    }
    (folder / place).parent.mkdir(exist_ok=True)
    text = json.dumps(content, ensure_ascii=True, allow_nan=False)
    (folder / place).write_text(text + "\n", encoding="utf-8")


def _image(row: Row, name: str, shape: tuple[int, ...], *, number: int) -> dict[str, Any]:
    facts = {
        "id": number, "file_name": name, "width": shape[1], "height": shape[0], "label": row.label, "eye": row.eye,
        "patient": row.patient, "modality": row.modality, "text": row.text, "meta": dict(row.meta) or None,
        "origin": None if row.origin == "real" else row.origin, "source": row.source, "augury_row": row.name or None,
    }  # fmt: skip
    return {name: value for name, value in facts.items() if value is not None}


def _annotation(box: Box, number: int, image: int, category: int) -> dict[str, Any]:
    facts = {
        "id": number, "image_id": image, "category_id": category, "bbox": [box.x, box.y, box.width, box.height],
        "area": box.width * box.height, "iscrowd": 0, "score": box.score,
    }  # fmt: skip
    return {name: value for name, value in facts.items() if value is not None}

"""nnU-Net's raw data, version 2 (documentation/dataset_format.md of MIC-DKFZ/nnUNet); version 1 where it is alike.

    dataset.json    {"channel_names": {"0": "T2"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ".png", ...}
    imagesTr/case_0000.png    labelsTr/case.png    imagesTs/other_0000.png

The four digits are the channel. A case of several channels becomes several images of one patient, the channel being
the modality. A label map is a mask; labels of whole images have no place here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augury.data import png
from augury.data.inside import LEADS_OUT, Inside, exists
from augury.data.layouts import json_text as js
from augury.data.layouts import writing
from augury.data.listing import Listing, Row
from augury.data.sample import Unreadable
from augury.errors import UserError

KEEPS = frozenset({"masks", "split"})  # of masks the area: which lesion was which is one label map's
NEEDS = ("masks",)
_CHANNEL = re.compile(r"(.+)_(\d{4})", re.DOTALL)
_FOLDERS = {"imagesTr": ("labelsTr", "train"), "imagesTs": ("labelsTs", "test")}
_COLOUR = {"0": "R", "1": "G", "2": "B"}  # one file, three channels: the exception for natural images
_NO_MODALITY = {"R", "G", "B", "grey"}
_ENDINGS = (".nii.gz", ".nii", ".png", ".bmp", ".tif", ".tiff")
_LOOKED_AT = 50
SPLITS_FILE = "splits_final.json"  # nnU-Net wants it in its folder of preprocessed data


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What dataset.json says. `channels` by their four digits' number; `ending` None: any that we know."""

    channels: Mapping[str, str]
    labels: Mapping[str, Any]
    ending: str | None


def recognises(path: Path) -> bool:
    """A folder with imagesTr or imagesTs whose names end in a channel, or whose dataset.json has channel_names."""
    if not any((path / name).is_dir() for name in _FOLDERS):
        return False
    names = [file.name for name in _FOLDERS for file in islice((path / name).glob("*.*"), _LOOKED_AT)]
    return bool(names) and all(_CHANNEL.fullmatch(_stem(name, None) or "") for name in names)


def list_raw(folder: Path) -> Listing:
    """The images of all cases; UserError where dataset.json is not what it says."""
    facts = _facts(folder)
    reader = _Reader(folder, facts)
    rows = [row for place in _FOLDERS for row in reader.rows(place)]
    if not rows and not reader.unreadable:
        raise UserError(f"no images named <case>_0000 in {str(folder / 'imagesTr')!r}; check the folder")
    return Listing(name=folder.name, rows=tuple(rows), unreadable=tuple(reader.unreadable), notes=reader.notes(rows))


class _Reader:
    """Turns the files of a folder into rows and remembers what it met."""

    def __init__(self, folder: Path, facts: _Facts) -> None:
        self.folder, self.facts, self.inside = folder, facts, Inside(folder)
        self.validation = _validation(folder)
        self.unreadable: list[Unreadable] = []
        self.cases = self.others = self.channels = 0

    def rows(self, place: str) -> Iterator[Row]:
        """One row a channel, case by case."""
        cases: dict[str, list[tuple[int, Path]]] = {}
        for path in sorted((self.folder / place).glob("*")) if (self.folder / place).is_dir() else []:
            found = _CHANNEL.fullmatch(_stem(path.name, self.facts.ending) or "")
            if path.name.startswith(".") or found is None:
                self.others += 1
            elif self.inside.leads_out(path):
                self.unreadable.append(Unreadable(image=f"{place}/{path.name}", why=LEADS_OUT))
            else:
                cases.setdefault(found[1], []).append((int(found[2]), path))
        for case, files in cases.items():
            self.cases += 1
            self.channels = max(self.channels, len(files))
            yield from (self._row(place, case, channel, path, whole=len(files) == 1) for channel, path in files)

    def notes(self, rows: Sequence[Row]) -> tuple[str, ...]:
        said = [f"read as nnU-Net raw data: {self.cases} cases, {len(rows)} images"]
        if self.channels > 1:
            said.append(f"cases of up to {self.channels} channels: an image each, each case taken for a patient")
        labels = ", ".join(f"{value} {name}" for name, value in self.facts.labels.items())
        if len(self.facts.labels) > 2:
            said.append(f"the masks are label maps: {labels}")
        if self.others:
            said.append(f"ignored {self.others} files that are not named <case>_<channel>")
        return tuple(said)

    def _row(self, place: str, case: str, channel: int, path: Path, *, whole: bool) -> Row:
        labels, split = _FOLDERS[place]
        modality = self.facts.channels.get(str(channel))
        return Row(
            name=f"{place}/{path.name}",
            image=path,
            patient=None if whole else case,
            masks=self._mask(labels, case, path, needed=place == "imagesTr"),
            modality=None if modality in _NO_MODALITY else modality,
            split="val" if case in self.validation else split,
        )

    def _mask(self, labels: str, case: str, image: Path, *, needed: bool) -> dict[str, Path]:
        ending = image.name[len(_stem(image.name, self.facts.ending) or "") :]
        path = self.folder / labels / (case + ending)
        why = LEADS_OUT if self.inside.leads_out(path) else None if exists(path) else "there is no such file"
        if why is None:
            return {"mask": path}
        if needed or exists(path):
            why = f"{why}; the case {case!r} goes on without its mask"
            self.unreadable.append(Unreadable(image=f"{labels}/{path.name}", why=why))
        return {}


def write(rows: Sequence[Row], folder: Path) -> list[str]:
    """imagesTr (train and val), imagesTs (test), label maps for both, dataset.json; splits_final.json where val is."""
    writing.whole_split(rows)
    cases = [f"case_{i:06d}" for i in range(len(rows))]
    tests = [row.split == "test" for row in rows]
    places = [Path("imagesTs" if test else "imagesTr", f"{c}_0000.png") for test, c in zip(tests, cases, strict=True)]
    shapes = writing.put_images(rows, folder, places)
    if len({len(shape) for shape in shapes}) > 1:
        raise UserError("got grey and colour images; nnU-Net needs the same channels everywhere: convert them first")
    maps = _Maps(rows)
    for row, case, test in zip(rows, cases, tests, strict=True):
        place = folder / ("labelsTs" if test else "labelsTr") / f"{case}.png"
        place.parent.mkdir(exist_ok=True)
        png.write(maps.of(row), place)
    facts = {
        "channel_names": _COLOUR if len(shapes[0]) == 3 else {"0": "grey"}, "labels": maps.labels(),
        "numTraining": tests.count(False), "file_ending": ".png",
    }  # fmt: skip
    _write_json(folder / "dataset.json", facts)
    return [*maps.notes(), *_write_splits(rows, cases, folder)]


class _Maps:
    """One label map of all masks of an image. Masks called mask, mask_1, ... are lesions of one kind."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.kinds = sorted({_kind(name) for row in rows for name in row.masks})
        self.most = 1  # the largest label met in a mask that is a map already
        self.several = max(len(row.masks) for row in rows) > 1

    def of(self, row: Row) -> NDArray[np.uint8]:
        """(H, W); UserError where two kinds claim a pixel, or a mask is neither black and white nor a label map."""
        masks = [(self.kinds.index(_kind(name)) + 1, writing.mask_of(row, name)) for name in row.masks]
        if len({mask.shape for _, mask in masks}) > 1 or masks[0][1].ndim != 2:
            raise UserError(f"the masks of {str(row.image)!r} differ in size or are in colour; nnU-Net needs one map")
        if len(self.kinds) == 1 and len(masks) == 1:
            return self._map(masks[0][1], row)
        label_HW = np.zeros(masks[0][1].shape, np.uint8)
        for label, mask in masks:
            area = mask > 0
            if np.unique(mask).size > 2 or np.any((label_HW[area] != 0) & (label_HW[area] != label)):
                raise UserError(
                    f"the masks of {str(row.image)!r} overlap or are label maps; nnU-Net holds one label a pixel: "
                    "choose the layout monai"
                )
            label_HW[area] = label
        return label_HW

    def labels(self) -> dict[str, int]:
        """The labels by their names, as dataset.json says them."""
        names = self.kinds if len(self.kinds) > 1 else ["mask", *(f"label_{i}" for i in range(2, self.most + 1))]
        return {"background": 0} | {name: i for i, name in enumerate(names, 1)}

    def notes(self) -> list[str]:
        if len(self.kinds) > 1:
            return [f"the masks {', '.join(self.kinds)} became labels of one map"]
        return ["several masks of an image became one: which lesion was which is gone"] if self.several else []

    def _map(self, mask: NDArray[Any], row: Row) -> NDArray[np.uint8]:
        values = np.unique(mask)
        if (values.size <= 2 and values[0] == 0) or values.size == 1:
            return (mask > 0).astype(np.uint8)
        if values[0] != 0 or values[-1] > 254:
            shown = ", ".join(map(str, values[:8]))
            raise UserError(f"the mask of {str(row.image)!r} has the values {shown}; expected 0 and labels from 1 on")
        self.most = max(self.most, int(values[-1]))
        return mask.astype(np.uint8)


def _kind(name: str) -> str:
    return "mask" if re.fullmatch(r"mask(_\d+)?", name) else name


def _write_splits(rows: Sequence[Row], cases: Sequence[str], folder: Path) -> list[str]:
    parts: dict[str, list[str]] = {"train": [], "val": []}
    for row, case in zip(rows, cases, strict=True):
        parts.get(row.split or "train", []).append(case)
    if not parts["val"]:
        return [] if rows[0].split else ["no split was given: all images are in imagesTr, which reads as train"]
    _write_json(folder / SPLITS_FILE, [parts])
    return [f"the validation images are in imagesTr and named in {SPLITS_FILE}: copy it to nnUNet_preprocessed"]


def _write_json(path: Path, facts: Any) -> None:
    path.write_text(json.dumps(facts, ensure_ascii=True, allow_nan=False, indent=1) + "\n", encoding="utf-8")


def _facts(folder: Path) -> _Facts:
    file = folder / "dataset.json"
    if not file.is_file():
        raise UserError(
            f"no dataset.json in {str(folder)!r}, which nnU-Net's raw data need; write it, or name a layout"
        )
    content = js.as_dict(js.read_json(file), where=repr(file.name))
    key = "channel_names" if "channel_names" in content else "modality"  # version 1
    channels = js.as_dict(content.get(key, {}), where=f"{file.name!r}: {key}")
    labels = js.as_dict(content.get("labels", {}), where=f"{file.name!r}: labels")
    ending = content.get("file_ending")
    return _Facts(
        channels={n: js.as_text(name, where=f"{file.name!r}: {key}") for n, name in channels.items()},
        labels={name: value for name, value in labels.items() if isinstance(value, str | int | list)},
        ending=None if ending is None else js.as_text(ending, where=f"{file.name!r}: file_ending"),
    )


def _validation(folder: Path) -> set[str]:
    """The cases of val where splits_final.json has one fold; several are a cross-validation, no split."""
    file = folder / SPLITS_FILE
    folds = js.as_list(js.read_json(file), where=repr(file.name)) if file.is_file() else []
    if len(folds) != 1:
        return set()
    cases = js.as_list(js.as_dict(folds[0], where=file.name).get("val", []), where=f"{file.name!r}: val")
    return {js.as_text(case, where=f"{file.name!r}: val") for case in cases}


def _stem(name: str, ending: str | None) -> str | None:
    """The name without its ending; None where it has another."""
    endings = _ENDINGS if ending is None else (ending,)
    found = next((one for one in endings if name.lower().endswith(one.lower())), None)
    return None if found is None else name[: -len(found)]

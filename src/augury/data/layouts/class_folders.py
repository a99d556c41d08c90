"""One sub-folder per class, with or without train/val/test folders above; masks beside the images.

glioma/000001.png            train/glioma/000001.png
glioma/000001_mask.png       000002.png  (no class: unlabelled)
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from augury.data.inside import LEADS_OUT, Inside, is_text
from augury.data.layouts import writing
from augury.data.listing import SPLITS, SUFFIXES, Listing, Row
from augury.data.sample import Unreadable
from augury.errors import UserError

KEEPS = frozenset({"label", "masks", "split"})
_MASK = re.compile(r"mask(_\d+)?")
_FOLDERS_BACK = "linked folders lead back into the set and were not followed: {}"


def list_folders(folder: Path) -> Listing:
    """One sub-folder per class, with or without train/val/test folders above; images without one are unlabelled."""
    walk = _Walk(folder)
    if not walk.files and not walk.odd:
        raise UserError(
            f"no images in {str(folder)!r}: expected a manifest.csv, or one sub-folder per class with PNG, JPEG, TIFF "
            "or BMP files; check the path"
        )
    images, masks = part_masks(walk.files)
    has_splits = _has_splits(images)
    rows = tuple(_row(folder, path, masks=masks.get(path, {}), has_splits=has_splits) for path in images)
    return Listing(
        name=folder.name,
        rows=rows,
        unreadable=tuple(walk.odd),
        notes=(*_notes(rows, has_splits=has_splits), *walk.notes()),
    )


def part_masks(files: Sequence[Path]) -> tuple[list[Path], dict[Path, dict[str, Path]]]:
    """Images, and the masks beside them: "x_mask.png" and "x_mask_1.png" belong to "x.png" where that is there."""
    owners = {path.with_suffix(""): path for path in files}
    masks: dict[Path, dict[str, Path]] = {}
    images: list[Path] = []
    for path in files:
        named = re.fullmatch(r"(.+)_(mask(_\d+)?)", path.stem, flags=re.DOTALL)
        owner = owners.get(path.with_name(named[1])) if named else None
        if named is None or owner is None:
            images.append(path)
        else:
            masks.setdefault(owner, {})[named[2]] = path
    return images, masks


def write(rows: Sequence[Row], folder: Path) -> list[str]:
    """Write the set; UserError for what folders cannot say: part of a split, class names that no folder can have."""
    splits = writing.whole_split(rows)
    if splits and all(row.label is None for row in rows):
        raise UserError(
            "got a split and no labels; class folders would take train, val and test for the classes: choose the "
            "layout manifest"
        )
    expect_folder_names(rows)
    expect_plain_masks(rows)
    places = [
        Path(*([row.split] if row.split else []), *([row.label] if row.label else []), f"{i:06d}.png")
        for i, row in enumerate(rows)
    ]
    writing.put_images(rows, folder, places)
    for row, place in zip(rows, places, strict=True):
        for name in row.masks:
            writing.put_mask(row, name, folder / place.with_name(f"{place.stem}_{name}.png"))
    return []


def expect_folder_names(rows: Sequence[Row]) -> None:
    """UserError where a class cannot be a folder on every machine."""
    names = sorted({row.label for row in rows if row.label is not None})
    odd = next((name for name in names if not _is_folder_name(name)), None)
    if odd is not None:
        raise UserError(f"the class {odd!r} cannot be a folder's name; choose the layout manifest, or rename it")
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise UserError(
                f"the classes {other!r} and {name!r} differ only in case, and are one folder on Windows and macOS; "
                "choose the layout manifest, or rename one"
            )


def expect_plain_masks(rows: Sequence[Row]) -> None:
    """UserError for a mask whose name does not say, beside an image, that it is one."""
    odd = next((name for row in rows for name in row.masks if not _MASK.fullmatch(name)), None)
    if odd is not None:
        raise UserError(
            f"got masks named {odd!r}; expected mask, mask_1, ..., which is all that file names beside an image can "
            "say: choose the layout manifest or monai"
        )


def _is_folder_name(name: str) -> bool:
    """Whether Linux, macOS and Windows all take it, and our own listing sees it."""
    reserved = re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)
    harmless = not re.search(r'[<>:"/\\|?*\x00-\x1f]', name) and name == name.strip() and name[0] != "."
    return harmless and name[-1] != "." and not reserved and len(name.encode()) <= 200


def _row(folder: Path, path: Path, *, masks: Mapping[str, Path], has_splits: bool) -> Row:
    places = path.parts[:-1]
    split = SPLITS[places[0].casefold()] if has_splits else None
    below = places[1:] if has_splits else places
    return Row(
        name=path.as_posix(),
        image=folder / path,
        label=below[0] if below else None,
        masks={name: folder / mask for name, mask in masks.items()},
        split=split,
    )


def _has_splits(files: list[Path]) -> bool:
    """Whether the uppermost folders are splits: all are named so, and there are folders of classes below."""
    tops = {path.parts[0].casefold() if len(path.parts) > 1 else "" for path in files}
    return bool(tops) and tops <= SPLITS.keys() and any(len(path.parts) > 2 for path in files)


def _notes(rows: tuple[Row, ...], *, has_splits: bool) -> tuple[str, ...]:
    layout = "train/val/test folders of class folders" if has_splits else "one folder per class"
    notes = [f"read as {layout}"]
    if masked := sum(bool(row.masks) for row in rows):
        notes.append(f"files named <image>_mask read as masks of {masked} images")
    if unlabelled := sum(row.label is None for row in rows):
        notes.append(f"{unlabelled} images lie in no class folder and are unlabelled")
    return tuple(notes)


class _Walk:
    """Relative paths of the images below a folder in order, and what was met that is none."""

    def __init__(self, folder: Path) -> None:
        self.inside = Inside(folder)
        self.files: list[Path] = []
        self.odd: list[Unreadable] = []
        self.back: list[str] = []
        self.others = 0
        for path in sorted(self._visible(folder)):
            self._take(path, folder)

    def notes(self) -> list[str]:
        said = [f"ignored {self.others} files that are not named {', '.join(SUFFIXES)}"] if self.others else []
        return [*said, *([_FOLDERS_BACK.format(", ".join(map(repr, self.back[:5])))] if self.back else [])]

    def _take(self, path: Path, folder: Path) -> None:
        if path.suffix.lower() not in SUFFIXES:
            self.others += 1
        elif not is_text(str(path)):
            shown = os.fsencode(path).decode(errors="backslashreplace")
            self.odd.append(Unreadable(image=shown, why="its name is not valid UTF-8: rename it"))
        elif self.inside.leads_out(folder / path):
            self.odd.append(Unreadable(image=path.as_posix(), why=LEADS_OUT))
        else:
            self.files.append(path)

    def _visible(self, folder: Path) -> Iterator[Path]:
        for text, folders, names in os.walk(folder):  # os.walk does not follow links
            place = Path(text)
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in folders:
                self._linked(place / name, folder)
            yield from ((place / name).relative_to(folder) for name in names if not name.startswith("."))

    def _linked(self, place: Path, folder: Path) -> None:
        if place.is_symlink():
            name = os.fsencode(place.relative_to(folder)).decode(errors="backslashreplace")
            if self.inside.leads_out(place):
                self.odd.append(Unreadable(image=name, why=LEADS_OUT))
            else:
                self.back.append(name)

"""The layouts of the field, in the order in which they are tried. A new one is a file and a row.

The order goes from evidence that only one layout has to what any folder has: a named table, a collection's lists, a
JSON of a certain content, and at last any folder with images below it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from augury.data.cache import atomic_folder
from augury.data.declared import with_origins
from augury.data.layouts import (
    amd,
    busi,
    class_folders,
    coco,
    columns,
    dicom_tree,
    imagefolder,
    kaggle,
    manifest,
    medmnist,
    modality_folders,
    monai,
    nifti_folder,
    nnunet,
    writing,
)
from augury.data.layouts.layout import Layout
from augury.data.listing import Listing, Row
from augury.data.sample import Manifest
from augury.data.table import list_table
from augury.errors import UserError

LAYOUTS: dict[str, Layout] = {
    "manifest": Layout(
        says="a folder with a manifest.csv",
        recognises=manifest.recognises,
        listing=manifest.list_manifest,
        write=manifest.write,
        keeps=columns.KEEPS,
    ),
    "mmc_amd": Layout(
        says="an mmc-amd collection (ImageSets/cfp.txt, oct.txt)",
        recognises=amd.recognises,
        listing=amd.list_amd,
        write=amd.write,
        keeps=amd.KEEPS,
        needs=amd.NEEDS,
    ),
    "nnunet": Layout(
        says="nnU-Net raw data (dataset.json, imagesTr/<case>_0000)",
        recognises=nnunet.recognises,
        listing=nnunet.list_raw,
        write=nnunet.write,
        keeps=nnunet.KEEPS,
        needs=nnunet.NEEDS,
    ),
    "coco": Layout(
        says="COCO's JSON (images, annotations, categories)",
        recognises=coco.recognises,
        listing=coco.list_coco,
        write=coco.write,
        keeps=coco.KEEPS,
    ),
    "monai": Layout(
        says="a MONAI datalist (JSON with the lists training, validation, test)",
        recognises=monai.recognises,
        listing=monai.list_datalist,
        write=monai.write,
        keeps=monai.KEEPS,
    ),
    "imagefolder": Layout(
        says="a Hugging Face imagefolder (metadata.csv or metadata.jsonl)",
        recognises=imagefolder.recognises,
        listing=imagefolder.list_imagefolder,
        write=imagefolder.write,
        keeps=columns.KEEPS,
    ),
    "kaggle_retinopathy": Layout(
        says="Kaggle's retinopathy table (image,level with lines like 10_left,0)",
        recognises=kaggle.recognises,
        listing=kaggle.list_kaggle,
        write=kaggle.write,
        keeps=kaggle.KEEPS,
        needs=kaggle.NEEDS,
    ),
    "csv": Layout(
        says="a CSV with a column for the image's path",
        recognises=lambda path: path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".txt"),
        listing=list_table,
    ),
    "medmnist": Layout(
        says="a MedMNIST .npz",
        recognises=medmnist.recognises,
        listing=medmnist.list_archive,
        write=medmnist.write,
        keeps=medmnist.KEEPS,
        needs=medmnist.NEEDS,
    ),
    "busi": Layout(
        says="class folders with names like 'benign (1).png' and 'benign (1)_mask.png'",
        recognises=busi.recognises,
        listing=busi.list_busi,
        write=busi.write,
        keeps=busi.KEEPS,
        needs=busi.NEEDS,
    ),
    "dicom": Layout(
        says="a tree of DICOM files",
        recognises=dicom_tree.recognises,
        listing=dicom_tree.list_tree,
        write=dicom_tree.write,
        keeps=dicom_tree.KEEPS,
    ),
    "nifti": Layout(
        says="a folder of NIfTI volumes",
        recognises=nifti_folder.recognises,
        listing=nifti_folder.list_volumes,
    ),
    "modality_folders": Layout(
        says="folders modality/organ/pathology, as RadImageNet has them",
        recognises=modality_folders.recognises,
        listing=modality_folders.list_modalities,
        keeps=modality_folders.KEEPS,
    ),
    "class_folders": Layout(
        says="a folder with one sub-folder per class",
        recognises=Path.is_dir,
        listing=class_folders.list_folders,
        write=class_folders.write,
        keeps=class_folders.KEEPS,
    ),
}
_SHOWN = 3  # names of one kind in a note


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A set that was written: where, as what, and what was left out or done otherwise, to be printed."""

    folder: Path
    layout: str
    notes: tuple[str, ...]


def list_path(path: Path, *, layout: str | None = None) -> Listing:
    """What lies at `path`, in the named layout or (None) in the first that recognises it; UserError for none."""
    if not path.exists():
        raise UserError(f"there is no {str(path)!r}; expected {expected()} or phantom:brain: check the path")
    if layout is not None:
        _expect_known(layout)
    found = layout or next((name for name, one in LAYOUTS.items() if one.recognises(path)), None)
    if found is None:
        raise UserError(f"{str(path)!r} is a file; expected {expected()}: name the folder that holds the images")
    _expect_kind(path, found)
    listing = LAYOUTS[found].listing(path)
    if "origin" not in LAYOUTS[found].keeps:
        listing = with_origins(listing, path if path.is_dir() else path.parent)
    how = "asked for" if layout else "recognised"
    return replace(listing, notes=(f"layout {found} ({how}): {LAYOUTS[found].says}", *listing.notes, *_alike(listing)))


def write(
    source: Manifest,
    folder: str | Path,
    *,
    layout: str = "manifest",
    keep_rows: bool = False,
    finish: Callable[[Path], None] | None = None,
) -> Written:
    """Write a set into a new or empty folder, complete or absent, such that it comes in again as the same set.

    Pixels are written anew under neutral names, as PNG of 8 or 16 bits (npz and DICOM where that is the layout):
    neither the names of the source's files nor what those say about themselves go out. `keep_rows` also writes the
    rows' names, where the layout can hold them: they may be the source's file names. What the layout cannot hold at all
    is named in `notes`. `finish` is called with the filled folder before it appears under its name. UserError where the
    folder is not empty, or where the set has no place in the layout.
    """
    target = Path(folder).expanduser().absolute()
    _expect_known(layout)
    one, rows = LAYOUTS[layout], writing.rows_of(source, keep_rows=keep_rows)
    if one.write is None:
        raise UserError(f"the layout {layout!r} is only read; expected one of {', '.join(writable())}")
    _expect_empty(target)
    _expect_held(rows, layout)
    with atomic_folder(target) as beside:
        notes = one.write(rows, beside)
        if finish is not None:
            finish(beside)
    return Written(folder=target, layout=layout, notes=(*_dropped(rows, one), *notes))


def writable() -> list[str]:
    """The names of the layouts that can be written."""
    return [name for name, one in LAYOUTS.items() if one.write is not None]


def expected() -> str:
    """The layouts in words.

    >>> expected()[:31]
    'a folder with a manifest.csv, a'
    """
    return ", ".join(layout.says for layout in LAYOUTS.values())


def _expect_known(layout: str) -> None:
    if layout not in LAYOUTS:
        raise UserError(f"got the layout {layout!r}; expected one of {', '.join(LAYOUTS)}")


def _expect_kind(path: Path, layout: str) -> None:
    """UserError for a file where the layout is a folder: its listing would fail in words of its own."""
    folders = {"manifest", "mmc_amd", "nnunet", "imagefolder", "busi", "modality_folders", "class_folders"}
    if layout in folders and not path.is_dir():
        raise UserError(f"{str(path)!r} is a file; the layout {layout} is {LAYOUTS[layout].says}: name the folder")
    if layout == "csv" and not path.is_file():
        raise UserError(f"{str(path)!r} is a folder; the layout csv is {LAYOUTS[layout].says}: name the file")


def _expect_empty(folder: Path) -> None:
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UserError(f"{str(folder)!r} is not empty; expected a new or empty folder: name another or empty it")


def _expect_held(rows: tuple[Row, ...], layout: str) -> None:
    if not rows:
        raise UserError("got a set without images; expected at least one to write")
    writing.expect_texts(rows)
    for field in LAYOUTS[layout].needs:
        without = sum(not getattr(row, field) for row in rows)
        if without:
            raise UserError(
                f"{without} of {len(rows)} images have no {field}, which the layout {layout} needs: add it, leave them "
                "out, or choose the layout manifest"
            )


def _dropped(rows: tuple[Row, ...], layout: Layout) -> list[str]:
    """What the rows say and the layout does not, by name."""
    facts: dict[str, list[Any]] = {
        "label": [row.label for row in rows], "patient": [row.patient for row in rows],
        "masks": [", ".join(row.masks) for row in rows], "boxes": [row.boxes and "boxes" for row in rows],
        "eye": [row.eye for row in rows], "modality": [row.modality for row in rows],
        "text": [row.text and "text" for row in rows], "split": [row.split for row in rows],
        "meta": [", ".join(sorted(row.meta)) for row in rows], "source": [row.source and "source" for row in rows],
        "origin": [None if row.origin == "real" else row.origin for row in rows],
    }  # fmt: skip
    counts: dict[str, Counter[Any]] = {
        field: Counter(value for value in values if value) for field, values in facts.items()
    }
    return [
        f"not written, as the layout has no place for it: {field} of {found.total()} images ({_few(found)})"
        for field, found in counts.items()
        if found and field not in layout.keeps
    ]


def _few(found: Counter[Any]) -> str:
    shown = ", ".join(str(value) for value, _ in found.most_common(_SHOWN))
    return shown + (", ..." if len(found) > _SHOWN else "")


def _alike(listing: Listing) -> list[str]:
    """A note of names that are one file on Windows and macOS."""
    spellings = Counter(row.name.casefold() for row in listing.rows)
    if len(spellings) == len(listing.rows):
        return []
    alike = [row.name for row in listing.rows if spellings[row.name.casefold()] > 1]
    return [f"{len(alike)} names differ only in case, and are one file on Windows and macOS: {', '.join(alike[:4])}"]

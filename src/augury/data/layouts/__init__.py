"""The layouts of the field, in the order in which they are tried. A new one is a file and a row."""

from __future__ import annotations

from pathlib import Path

from augury.data.layouts.layout import Layout
from augury.data.listing import Listing, list_archive, list_folders
from augury.data.table import list_table
from augury.errors import UserError

LAYOUTS: dict[str, Layout] = {
    "manifest": Layout(
        says="a folder with a manifest.csv",
        recognises=lambda path: (path / "manifest.csv").is_file(),
        listing=lambda path: list_table(path / "manifest.csv"),
    ),
    "csv": Layout(
        says="a CSV with a column for the image's path",
        recognises=lambda path: path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".txt"),
        listing=list_table,
    ),
    "medmnist": Layout(
        says="a MedMNIST .npz",
        recognises=lambda path: path.is_file() and path.suffix.lower() == ".npz",
        listing=list_archive,
    ),
    "class_folders": Layout(
        says="a folder with one sub-folder per class",
        recognises=Path.is_dir,
        listing=list_folders,
    ),
}


def list_path(path: Path, *, layout: str | None = None) -> Listing:
    """What lies at `path`, in the named layout or (None) in the first that recognises it; UserError for none."""
    if not path.exists():
        raise UserError(f"there is no {str(path)!r}; expected {expected()} or phantom:brain: check the path")
    if layout is not None and layout not in LAYOUTS:
        raise UserError(f"got the layout {layout!r}; expected one of {', '.join(LAYOUTS)}")
    found = layout or next((name for name, one in LAYOUTS.items() if one.recognises(path)), None)
    if found is None:
        raise UserError(f"{str(path)!r} is a file; expected {expected()}: name the folder that holds the images")
    return LAYOUTS[found].listing(path)


def expected() -> str:
    """The layouts in words.

    >>> expected()[:31]
    'a folder with a manifest.csv, a'
    """
    return ", ".join(layout.says for layout in LAYOUTS.values())

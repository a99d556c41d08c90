"""A row as the cells of a table, such that `data.table` reads the very same row out of them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from augury.data.listing import Row
from augury.data.table import ALIASES, plain
from augury.errors import UserError

KEEPS = frozenset(
    {"name", "label", "patient", "masks", "boxes", "eye", "modality", "text", "split", "meta", "origin", "source"}
)
_COLUMNS = ("label", "patient", "eye", "modality", "split", "text", "origin", "source", "augury_row")
_OF_META = ("site", "sex", "age")


def header_of(rows: Sequence[Row], *, image: str) -> list[str]:
    """The columns that the rows need, `image` being the name of the first.

    A column that holds nothing is there too where an extra column would else be taken for it ("level" for the label).
    """
    _expect_columns(rows)
    extra = sorted({name for row in rows for name in row.meta} - {"eye"})
    masks = sorted({name for row in rows for name in row.masks})
    used = {name for row in rows for name, value in _cells(row).items() if value}
    used |= {name for name in ALIASES if any(plain(column) in map(plain, ALIASES[name]) for column in extra)}
    known = [name for name in _COLUMNS if name in used]
    also = [name for name in _OF_META if name in used and name not in extra]
    return [
        image,
        *known,
        *(["mask"] if masks or "mask" in used else []),
        *map(mask_column, _others(masks)),
        *also,
        *extra,
    ]


def cells_of(row: Row, *, image: tuple[str, str], masks: Mapping[str, str]) -> dict[str, str]:
    """What stands in the columns. `image` is the column's name and the path, `masks` the path of each mask."""
    return {image[0]: image[1], **_cells(row), **{mask_column(name): path for name, path in masks.items()}}


def mask_column(name: str) -> str:
    """The column of a mask.

    >>> mask_column("mask"), mask_column("vessels"), mask_column("mask_1")
    ('mask', 'mask_vessels', 'mask_mask_1')
    """
    return name if name == "mask" else f"mask_{name}"


def _cells(row: Row) -> dict[str, str]:
    facts = {
        "label": row.label, "patient": row.patient, "eye": row.eye, "modality": row.modality, "split": row.split,
        "text": row.text, "origin": None if row.origin == "real" else row.origin, "source": row.source,
        "augury_row": row.name,
    }  # fmt: skip
    given = {name: value for name, value in facts.items() if value}
    return dict(row.meta) | given  # an eye that is neither left nor right stands in meta, and goes out as it came


def _others(masks: Sequence[str]) -> list[str]:
    return [name for name in masks if name != "mask"]


def _expect_columns(rows: Sequence[Row]) -> None:
    taken = {*ALIASES, "image", "file_name"} - set(_OF_META)
    for row in rows:
        if row.eye and "eye" in row.meta:
            raise UserError("got an extra column 'eye' beside the eye; expected one of them: rename the extra column")
        for name in row.meta:
            low = name.lower()
            if (low in taken and name != "eye") or low.startswith("mask_") or (low in _OF_META and name != low):
                raise UserError(
                    f"got an extra column {name!r}, which a table would take for the {low.split('_')[0]}: rename it"
                )

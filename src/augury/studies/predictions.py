"""What every arm said about every test item, in memory and as predictions.csv.

R rows (item x arm x repeat x fold x seed), K columns of values, A arms, S seeds, N items of a fold. The values are a
probability for each class or, where a task says so, measures of the item itself such as Dice. The file is byte-stable:
rows are sorted, values are float32 with nine significant digits, so that a table read back equals the table written.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augury.data.cache import write_atomically
from augury.errors import UserError
from augury.metrics.case_measures import MEASURES, case_metric
from augury.metrics.cells import Cell
from augury.metrics.classification import metric as class_metric
from augury.metrics.estimate import Metric

IntArray = NDArray[np.int64]
Text = NDArray[np.str_]
_COLUMNS = ("item", "unit", "patient", "group", "label", "arm", "fold", "repeat", "seed")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Columns of equal length; `label_R` indexes `classes`, `unit` says what an item is (image, eye or patient).

    `measures` name the columns of `value_RK`; without any they are the probabilities of the classes.
    """

    classes: tuple[str, ...]
    unit: str
    item_R: Text
    patient_R: Text
    group_R: Text
    label_R: IntArray
    arm_R: Text
    fold_R: IntArray
    repeat_R: IntArray
    seed_R: IntArray
    value_RK: NDArray[np.float32]
    measures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rows = len(self.item_R)
        width = len(self.measures or self.classes)
        if any(len(column) != rows for column in self._columns()) or self.value_RK.shape != (rows, width):
            raise ValueError(f"a prediction table of {rows} rows needs columns of that length and {width} values a row")
        if not np.isfinite(self.value_RK).all():
            raise ValueError("a prediction is not finite; the predictor diverged, so its training must be repaired")
        if rows and not 0 <= self.label_R.min() <= self.label_R.max() < len(self.classes):
            raise ValueError(f"test labels must lie in 0..{len(self.classes) - 1}; unlabelled items cannot be scored")

    def __len__(self) -> int:
        return len(self.item_R)

    def metric(self, name: str) -> Metric:
        """A metric of these values by its name. ValueError if there is none."""
        return case_metric(name, self.measures) if self.measures else class_metric(name, self.classes)

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that occur, sorted."""
        return tuple(str(arm) for arm in np.unique(self.arm_R))

    @property
    def items(self) -> int:
        """How many different items were predicted."""
        return len(np.unique(self.item_R))

    @property
    def groups(self) -> int:
        """How many different groups they come from: the units of resampling."""
        return len(np.unique(self.group_R))

    @property
    def patients_shared(self) -> int:
        """How many patients are tested in more than one fold of a repeat: 0 in a sound study."""
        triples = np.unique(np.stack([_codes(self.patient_R), self.repeat_R, self.fold_R], axis=1), axis=0)
        pairs, folds = np.unique(triples[:, :2], axis=0, return_counts=True)
        return len(np.unique(pairs[folds > 1, 0]))

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Predictions:
        """The rows at these positions, or where the mask is true."""
        return replace(
            self,
            item_R=self.item_R[index],
            patient_R=self.patient_R[index],
            group_R=self.group_R[index],
            label_R=self.label_R[index],
            arm_R=self.arm_R[index],
            fold_R=self.fold_R[index],
            repeat_R=self.repeat_R[index],
            seed_R=self.seed_R[index],
            value_RK=self.value_RK[index],
        )

    def sorted(self) -> Predictions:
        """The same rows in the order of the file: by arm, repeat, fold, seed, item."""
        return self.take(np.lexsort((self.item_R, self.seed_R, self.fold_R, self.repeat_R, _codes(self.arm_R))))

    def write(self, path: Path) -> None:
        """Write predictions.csv, whole or not at all."""
        write_atomically(path, self.to_csv().encode("utf-8", "surrogateescape"))

    def to_csv(self) -> str:
        """The text of predictions.csv."""
        table = self.sorted()
        names = np.array([_quoted(name) for name in self.classes])
        facts = zip(
            _fields(table.item_R), _fields(table.patient_R), _fields(table.group_R), names[table.label_R].tolist(),
            table.arm_R.tolist(), table.fold_R.tolist(), table.repeat_R.tolist(), table.seed_R.tolist(),
            table.value_RK.tolist(), strict=True,
        )  # fmt: skip
        header = self.measures or [_quoted(f"p_{name}") for name in self.classes]
        lines = [",".join([*_COLUMNS, *header])]
        for item, patient, group, label, arm, fold, repeat, seed, value_K in facts:
            digits = ",".join([f"{value:.9g}" for value in value_K])
            lines.append(f"{item},{self.unit},{patient},{group},{label},{arm},{fold},{repeat},{seed},{digits}")
        return "\n".join(lines) + "\n"

    def _columns(self) -> tuple[NDArray[Any], ...]:
        return (
            self.patient_R, self.group_R, self.label_R, self.arm_R, self.fold_R, self.repeat_R, self.seed_R
        )  # fmt: skip


def table(
    *,
    classes: Sequence[str],
    item: Sequence[str],
    patient: Sequence[str],
    group: Sequence[str],
    label: Sequence[int] | IntArray,
    arm: str,
    fold: int,
    seed: int,
    value_NK: NDArray[np.floating],
    repeat: int = 0,
    unit: str = "image",
    measures: Sequence[str] = (),
) -> Predictions:
    """The rows that one fitted predictor adds: N items of one arm, fold and seed."""
    n = len(item)
    return Predictions(
        classes=tuple(classes),
        unit=unit,
        item_R=np.array(item, dtype=np.str_),
        patient_R=np.array(patient, dtype=np.str_),
        group_R=np.array(group, dtype=np.str_),
        label_R=np.asarray(label, dtype=np.int64),
        arm_R=np.full(n, arm, dtype=f"<U{max(1, len(arm))}"),
        fold_R=np.full(n, fold, dtype=np.int64),
        repeat_R=np.full(n, repeat, dtype=np.int64),
        seed_R=np.full(n, seed, dtype=np.int64),
        value_RK=np.asarray(value_NK, dtype=np.float32),
        measures=tuple(measures),
    )


def concatenate(tables: Sequence[Predictions]) -> Predictions:
    """One table of many; ValueError if they differ in classes, measures or unit."""
    if len({(t.classes, t.measures, t.unit) for t in tables}) != 1:
        raise ValueError(f"{len(tables)} prediction tables cannot be joined: they need the same classes and unit")
    return Predictions(
        classes=tables[0].classes,
        unit=tables[0].unit,
        item_R=np.concatenate([t.item_R for t in tables]),
        patient_R=np.concatenate([t.patient_R for t in tables]),
        group_R=np.concatenate([t.group_R for t in tables]),
        label_R=np.concatenate([t.label_R for t in tables]),
        arm_R=np.concatenate([t.arm_R for t in tables]),
        fold_R=np.concatenate([t.fold_R for t in tables]),
        repeat_R=np.concatenate([t.repeat_R for t in tables]),
        seed_R=np.concatenate([t.seed_R for t in tables]),
        value_RK=np.concatenate([t.value_RK for t in tables]),
        measures=tables[0].measures,
    )


def read(path: Path) -> Predictions:
    """Read a predictions.csv; UserError if it is not one."""
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            header, *rows = csv.reader(file)
        if tuple(header[: len(_COLUMNS)]) != _COLUMNS:
            raise ValueError(f"its columns are {header[:12]}")
        return _parsed(header[len(_COLUMNS) :], rows)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"cannot read predictions from {path}: {error}; expected {','.join(_COLUMNS)},p_<class>,... or dice,..."
        ) from error


def _parsed(columns: list[str], rows: list[list[str]]) -> Predictions:
    item, unit, patient, group, label, arm, fold, repeat, seed, *value = zip(*rows, strict=True)
    measured = set(columns) <= set(MEASURES)
    classes = sorted(set(label)) if measured else [name.removeprefix("p_") for name in columns]
    if len(set(unit)) != 1:
        raise ValueError(f"its rows speak of several units: {sorted(set(unit))}")
    code = {name: k for k, name in enumerate(classes)}
    return Predictions(
        classes=tuple(classes),
        unit=unit[0],
        item_R=np.array(item, dtype=np.str_),
        patient_R=np.array(patient, dtype=np.str_),
        group_R=np.array(group, dtype=np.str_),
        label_R=np.array([code[name] for name in label], dtype=np.int64),
        arm_R=np.array(arm, dtype=np.str_),
        fold_R=np.array(fold, dtype=np.int64),
        repeat_R=np.array(repeat, dtype=np.int64),
        seed_R=np.array(seed, dtype=np.int64),
        value_RK=np.array(value, dtype=np.float32).T,
        measures=tuple(columns) if measured else (),
    )


def cells(predictions: Predictions, arms: Sequence[str]) -> list[Cell]:
    """One cell per repeat and fold, arms in the given order, seeds sorted.

    Every arm must have predicted the same items with the same seeds in each cell: a comparison is paired or it is not
    made. UserError otherwise.
    """
    missing = sorted(set(arms) - set(predictions.arms))
    if missing:
        raise UserError(f"no predictions of {', '.join(missing)}; expected arms among {', '.join(predictions.arms)}")
    chosen = predictions.take(np.isin(predictions.arm_R, np.array(arms)))
    place = {arm: a for a, arm in enumerate(arms)}
    names, inverse = np.unique(chosen.arm_R, return_inverse=True)
    arm_R = np.array([place[str(name)] for name in names], dtype=np.int64)[inverse]
    group_R, item_R = _codes(chosen.group_R), _codes(chosen.item_R)
    order = np.lexsort((item_R, chosen.seed_R, arm_R, chosen.fold_R, chosen.repeat_R))
    key = np.stack([chosen.repeat_R, chosen.fold_R], axis=1)[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(key, axis=0) != 0).any(axis=1)])
    blocks = np.split(order, starts[1:])
    return [_cell(chosen, rows, len(arms), arm_R=arm_R, group_R=group_R, item_R=item_R) for rows in blocks]


def _cell(
    table: Predictions, rows: IntArray, arms: int, *, arm_R: IntArray, group_R: IntArray, item_R: IntArray
) -> Cell:
    seeds = len(np.unique(table.seed_R[rows]))
    n, rest = divmod(len(rows), arms * seeds)
    fold, repeat = int(table.fold_R[rows[0]]), int(table.repeat_R[rows[0]])
    item_XN = item_R[rows[: arms * seeds * n]].reshape(arms * seeds, -1)
    arm_XN, seed_XN = (c[rows[: arms * seeds * n]].reshape(arms, seeds, -1) for c in (arm_R, table.seed_R))
    if (
        rest
        or (item_XN != item_XN[0]).any()
        or (arm_XN != arm_XN[:, :1, :1]).any()
        or (seed_XN != seed_XN[:1, :, :1]).any()
    ):
        raise UserError(
            f"fold {fold} of repeat {repeat}: the arms were not tested on the same items with the same seeds; "
            "expected a paired table, so run the missing steps of the study"
        )
    first = rows[:n]
    if len(np.unique(item_R[first])) != n:
        raise UserError(f"fold {fold} of repeat {repeat} names an item twice; expected one row per item, arm and seed")
    value_ASNK = table.value_RK[rows].reshape(arms, seeds, n, -1)
    return Cell(fold=fold, repeat=repeat, label_N=table.label_R[first], group_N=group_R[first], value_ASNK=value_ASNK)


def _codes(text_R: Text) -> IntArray:
    """0, 1, ... in sorted order of the texts."""
    return np.unique(text_R, return_inverse=True)[1].astype(np.int64)


def _fields(text_R: Text) -> list[str]:
    unique, inverse = np.unique(text_R, return_inverse=True)
    quoted = [_quoted(str(name)) for name in unique]
    return [quoted[k] for k in inverse.tolist()]


def _quoted(text: str) -> str:
    """A CSV field; Python 3.11's csv.writer leaves a lone carriage return unquoted and cannot read it back."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text

"""The table of predictions: what is written is what is read, and nothing unpaired is compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from augury.errors import UserError
from augury.studies.predictions import Predictions, cells, concatenate, read, table

ODD = ["a b.png", 'quo"te,comma.png', "new\nline.png", "re\rturn.png", "naïve-猫.png", "bad-\udcff.png"]


def made(*, arms: tuple[str, ...] = ("real", "augmented"), seeds: tuple[int, ...] = (0, 1)) -> Predictions:
    rng = np.random.default_rng(0)
    parts = []
    for arm in arms:
        for seed in seeds:
            for fold in (0, 1):
                names = [f"{fold}{name}" for name in ODD]
                probability = rng.dirichlet([1, 1, 1], size=len(names))
                parts.append(
                    table(
                        classes=("x", "y, z", "no"), item=names, patient=names, group=[n[:2] for n in names],
                        label=np.arange(6) % 3, arm=arm, fold=fold, seed=seed, value_NK=probability,
                    )
                )  # fmt: skip
    return concatenate(parts)


def test_a_table_read_back_equals_the_table_written(tmp_path: Path) -> None:
    first = made().sorted()
    first.write(tmp_path / "predictions.csv")
    second = read(tmp_path / "predictions.csv")
    assert second.classes == first.classes
    assert second.unit == first.unit
    for name in ("item_R", "patient_R", "group_R", "label_R", "arm_R", "fold_R", "repeat_R", "seed_R"):
        assert (getattr(first, name) == getattr(second, name)).all(), name
    assert (first.value_RK == second.value_RK).all()


def test_the_file_does_not_depend_on_the_order_of_the_rows() -> None:
    predictions = made()
    shuffled = predictions.take(np.random.default_rng(1).permutation(len(predictions)))
    assert predictions.to_csv() == shuffled.to_csv()


def test_cells_pair_the_arms_in_the_order_asked_for() -> None:
    predictions = made()
    both = cells(predictions, ("real", "augmented"))
    swapped = cells(predictions, ("augmented", "real"))
    assert [(c.repeat, c.fold) for c in both] == [(0, 0), (0, 1)]
    for one, other in zip(both, swapped, strict=True):
        assert one.value_ASNK.shape == (2, 2, 6, 3)
        assert (one.value_ASNK == other.value_ASNK[::-1]).all()
    row = np.flatnonzero((predictions.arm_R == "real") & (predictions.fold_R == 1) & (predictions.seed_R == 1))
    at = row[np.argsort(predictions.item_R[row])]
    assert (both[1].value_ASNK[0, 1] == predictions.value_RK[at]).all()
    assert (both[1].label_N == predictions.label_R[at]).all()


def test_a_missing_row_an_odd_seed_or_an_unknown_arm_is_refused() -> None:
    predictions = made()
    with pytest.raises(UserError, match="same items"):
        cells(predictions.take(np.arange(1, len(predictions))), predictions.arms)
    uneven = predictions.take((predictions.arm_R != "real") | (predictions.seed_R == 0))
    with pytest.raises(UserError, match="same seeds"):
        cells(uneven, predictions.arms)
    with pytest.raises(UserError, match="mixed"):
        cells(predictions, ("real", "mixed"))


def test_an_item_named_twice_is_refused() -> None:
    predictions = made()
    with pytest.raises(UserError, match="twice"):
        cells(concatenate([predictions, predictions]), predictions.arms)


def test_a_patient_in_two_folds_is_counted() -> None:
    assert made().patients_shared == 0
    predictions = made()
    names = np.where(predictions.patient_R == "0a b.png", "1a b.png", predictions.patient_R)
    assert (
        Predictions(
            **{**{f: getattr(predictions, f) for f in predictions.__dataclass_fields__}, "patient_R": names}
        ).patients_shared
        == 1
    )


def test_what_is_no_table_is_refused_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    for text in ("", "item,label\n1,2\n", made().to_csv().splitlines()[0] + "\n"):
        path.write_text(text)
        with pytest.raises(UserError, match="cannot read predictions"):
            read(path)


def test_a_prediction_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        table(
            classes=("a", "b"), item=["1"], patient=["1"], group=["1"], label=[0], arm="x", fold=0, seed=0,
            value_NK=np.array([[np.nan, 1.0]]),
        )  # fmt: skip

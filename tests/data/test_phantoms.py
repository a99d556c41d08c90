"""Laws of the phantom brain. N images, H height, W width."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augury.data.phantoms import PHANTOMS, BrainConfig, Phantom, phantom_set, render, render_patients, write
from augury.data.phantoms.named import parse
from augury.errors import UserError

SMALL = BrainConfig(size=48)
CLASSES = BrainConfig.classes


@pytest.fixture(scope="module")
def drawn() -> Phantom:
    return render(SMALL, n=480, seed=11)


def test_shapes_types_and_balance(drawn: Phantom) -> None:
    assert drawn.image_NHW.shape == drawn.mask_NHW.shape == (480, 48, 48)
    assert drawn.image_NHW.dtype == np.uint8
    assert drawn.mask_NHW.dtype == np.bool_
    assert np.bincount(drawn.truth_N).tolist() == [120] * 4
    assert set(drawn.scanner_N.tolist()) == set(range(SMALL.scanners))
    assert np.array_equal(drawn.label_N, drawn.truth_N)
    assert drawn.patient_N.tolist() == np.repeat(np.arange(120), 4).tolist()


def test_one_label_and_one_scanner_for_a_patient(drawn: Phantom) -> None:
    for column in (drawn.truth_N, drawn.scanner_N):
        assert (column.reshape(-1, 4) == column.reshape(-1, 4)[:, :1]).all()


def test_same_seed_same_pixels_and_other_seed_other_pixels(drawn: Phantom) -> None:
    again = render(SMALL, n=24, seed=11)
    other = render(SMALL, n=24, seed=12)
    assert np.array_equal(again.image_NHW, drawn.image_NHW[:24]), "a longer set begins with the shorter one"
    assert np.array_equal(again.mask_NHW, drawn.mask_NHW[:24])
    assert not np.array_equal(other.image_NHW, again.image_NHW)


@pytest.mark.parametrize("size", [48, 128])
def test_any_subset_of_patients_is_drawn_alike_whoever_is_beside(size: int) -> None:
    config = BrainConfig(size=size)
    together = render_patients(config, range(20), seed=5)
    chosen = [17, 3, 8]
    alone = render_patients(config, chosen, seed=5)
    rows = np.concatenate([np.flatnonzero(together.patient_N == p) for p in chosen])
    assert np.array_equal(alone.image_NHW, together.image_NHW[rows])
    assert np.array_equal(alone.mask_NHW, together.mask_NHW[rows])
    assert np.array_equal(alone.truth_N, together.truth_N[rows])


def test_no_two_images_are_the_same(drawn: Phantom) -> None:
    assert len(np.unique(drawn.image_NHW.reshape(480, -1), axis=0)) == 480


def test_every_tumour_has_a_mask_and_nobody_else(drawn: Phantom) -> None:
    area_N = drawn.mask_NHW.sum((1, 2))
    healthy_N = drawn.truth_N == CLASSES.index("no_tumor")
    assert (area_N[healthy_N] == 0).all()
    assert (area_N[~healthy_N] > 0).mean() > 0.99
    assert area_N.max() < 0.15 * 48**2


def test_masks_are_where_the_lesion_changes_the_image() -> None:
    """Against the counterfactual: the same patients, coils and noise without their lesions."""
    config = BrainConfig(size=64, difficulty=0.0)
    with_N = render(config, n=160, seed=3)
    without_N = render(replace(config, lesions=False), n=160, seed=3)
    change_NHW = np.abs(with_N.image_NHW.astype(float) - without_N.image_NHW)
    healthy_N = with_N.truth_N == CLASSES.index("no_tumor")
    assert change_NHW[healthy_N].max() == 0, "without a lesion there is nothing to take away"
    assert not without_N.mask_NHW.any()
    for i in np.flatnonzero(~healthy_N):
        if with_N.mask_NHW[i].sum() >= 12:
            inside, outside = change_NHW[i][with_N.mask_NHW[i]].mean(), change_NHW[i][~with_N.mask_NHW[i]].mean()
            assert inside > 3 * outside, (i, CLASSES[with_N.truth_N[i]], inside, outside)


def test_slices_of_a_patient_resemble_each_other_more_than_patients_do(drawn: Phantom) -> None:
    flat = drawn.image_NHW.reshape(480, -1).astype(float)
    correlation = np.corrcoef(flat)
    same = drawn.patient_N[:, None] == drawn.patient_N[None, :]
    np.fill_diagonal(same, False)
    other = drawn.patient_N[:, None] != drawn.patient_N[None, :]
    assert correlation[same].mean() > correlation[other].mean() + 0.1


def test_scanners_leave_a_trace(drawn: Phantom) -> None:
    """The corner's noise tells scanners apart: their effect is there to be learnt, or to mislead."""
    corner_N = drawn.image_NHW[:, :5, :5].reshape(480, -1).mean(1)
    means = [corner_N[drawn.scanner_N == s].mean() for s in range(SMALL.scanners)]
    assert max(means) - min(means) > 2


def test_scanner_and_class_are_independent(drawn: Phantom) -> None:
    """No shortcut by construction: chi-squared of 9 degrees of freedom over 120 patients stays below its 99.9 %."""
    table = np.zeros((4, SMALL.scanners))
    np.add.at(table, (drawn.truth_N[::4], drawn.scanner_N[::4]), 1)
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    assert ((table - expected) ** 2 / expected).sum() < 27.9


def test_difficulty_hides_lesions() -> None:
    """Contrast of a lesion to what would be there without it, and its area, both fall."""

    def strength(difficulty: float) -> tuple[float, float]:
        config = BrainConfig(size=48, difficulty=difficulty)
        shown, hidden = render(config, n=160, seed=8), render(replace(config, lesions=False), n=160, seed=8)
        change = np.abs(shown.image_NHW.astype(float) - hidden.image_NHW)
        return float(change[shown.mask_NHW].mean()), float(shown.mask_NHW.sum())

    contrasts, areas = zip(*(strength(d) for d in (0.0, 0.5, 1.0)), strict=True)
    assert contrasts[0] > contrasts[1] > contrasts[2]
    assert areas[0] > areas[1] > areas[2]


def test_label_noise_strikes_the_asked_share_and_only_the_labels() -> None:
    config = BrainConfig(size=16, slices_per_patient=1, label_noise=0.3)
    noisy = render(config, n=1200, seed=2)
    clean = render(replace(config, label_noise=0.0), n=1200, seed=2)
    assert np.array_equal(noisy.image_NHW, clean.image_NHW)
    assert np.array_equal(noisy.truth_N, clean.label_N)
    assert 0.25 < (noisy.label_N != noisy.truth_N).mean() < 0.35
    assert set(noisy.label_N.tolist()) == set(range(4))


def test_the_revision_is_raised_when_the_pictures_change(drawn: Phantom) -> None:
    """Not bit for bit, since machines round differently; a changed shape or intensity moves these by far more."""
    whole = drawn.image_NHW.astype(float)
    assert np.allclose([whole.mean(), whole.std(), drawn.mask_NHW.mean() * 1000], FINGERPRINT, atol=0.02), (
        "if the change was meant, raise its revision and write the new numbers here"
    )


FINGERPRINT = (47.405, 51.477, 10.772)


def test_written_set_reads_back_as_it_was(drawn: Phantom, tmp_path: Path) -> None:
    some = render(SMALL, n=20, seed=11)
    manifest = write(some, tmp_path / "set")
    rows = list(csv.DictReader(manifest.read_text().splitlines()))
    assert list(rows[0]) == ["image", "label", "patient", "mask", "site"]
    for i, row in enumerate(rows):
        assert np.array_equal(np.asarray(Image.open(manifest.parent / row["image"])), some.image_NHW[i])
        assert row["label"] == CLASSES[some.label_N[i]]
        mask = np.asarray(Image.open(manifest.parent / row["mask"])) > 0 if row["mask"] else np.zeros((48, 48), bool)
        assert np.array_equal(mask, some.mask_NHW[i])
    with pytest.raises(UserError, match="not empty"):
        write(some, tmp_path / "set")


def test_a_named_set_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGURY_CACHE", str(tmp_path))
    folder = phantom_set("brain?n=10&seed=3&size=32")
    stamp = (folder / "manifest.csv").stat().st_mtime_ns
    assert phantom_set("brain?size=32&seed=3&n=10") == folder
    assert (folder / "manifest.csv").stat().st_mtime_ns == stamp
    assert phantom_set("brain?n=10&seed=4&size=32") != folder
    assert len(list((folder / "images").iterdir())) == 10


def test_names_give_configurations() -> None:
    kind, n, seed, config = parse("brain?difficulty=0.7&label_noise=0.1&slices_per_patient=2&lesions=false")
    assert (kind, n, seed) == ("brain", 600, 0)
    assert config == BrainConfig(difficulty=0.7, label_noise=0.1, slices_per_patient=2, lesions=False)
    assert all(config.kind == name for name, config in PHANTOMS.items())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("heart", "expected one of brain"),
        ("brain?colour=3", "phantom field 'colour'"),
        ("brain?n=many", "whole number"),
        ("brain?n=0", "n=0"),
        ("brain?size=4", "expected 16 to 512"),
        ("brain?difficulty=2", "expected 0 to 1"),
        ("brain?difficulty=nan", "expected 0 to 1"),
        ("brain?seed=-1&n=4", "seed=-1"),
        ("brain?n", "expected KIND"),
    ],
)
def test_mistakes_are_told_in_one_line(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        phantom_set(spec)
    assert "\n" not in str(caught.value)

"""Laws of fingerprints and duplicates: what is an identity, what is found, what is not joined, what a group is."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from augury.data import prints_folder
from augury.data.codes import code_of, codes_of, detail, oriented_code, similarity, views
from augury.data.duplicates import NearPairs, exact_groups, group, near_pairs
from augury.data.fingerprints import Fingerprints, fingerprint, pixel_digest
from augury.data.registration import WHOLE, agreement, oriented, register, texture, warp
from augury.errors import UserError

Pixels = NDArray[Any]
SIDE = 128


def organ(seed: int) -> Pixels:
    """A bright disc that all images share, with texture of the image's own: what fundus images look like to a hash."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    disc = np.hypot(y, x) < 0.9
    total = 120.0 * disc
    for cells, weight in ((5, 18.0), (14, 12.0), (40, 10.0)):
        field = Image.fromarray(rng.normal(0, weight, (cells, cells)).astype(np.float32))
        total = total + np.asarray(field.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) * disc
    return np.clip(total, 0, 255).astype(np.uint8)


def _clip(values: Pixels) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _crop(pixels: Pixels, seed: int) -> Pixels:
    kept = round(0.95 * SIDE)
    top, left = np.random.default_rng(seed).integers(0, SIDE - kept + 1, 2)
    window = Image.fromarray(pixels[top : top + kept, left : left + kept])
    return np.asarray(window.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def _jpeg(pixels: Pixels, seed: int) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=50)
    return np.asarray(Image.open(stream))


CHANGES: dict[str, Callable[[Pixels, int], Pixels]] = {
    "flip": lambda pixels, seed: np.flip(pixels, axis=seed % 2),
    "turn": lambda pixels, seed: np.rot90(pixels, 1 + seed % 3),
    "crop": _crop,
    "brightness": lambda pixels, seed: _clip(pixels * (0.8 if seed % 2 else 1.2)),
    "contrast": lambda pixels, seed: _clip((pixels - pixels.mean()) * (0.8 if seed % 2 else 1.2) + pixels.mean()),
    "jpeg": _jpeg,
    "noise": lambda pixels, seed: _clip(pixels + np.random.default_rng(seed).normal(0, 5.1, pixels.shape)),
}


@pytest.fixture(scope="module")
def originals() -> list[Pixels]:
    return [organ(seed) for seed in range(140)]


@pytest.fixture(scope="module")
def found(originals: list[Pixels]) -> tuple[NearPairs, list[str]]:
    """Near pairs among the originals and one copy of each of the first 70, ten for each change."""
    names = [name for name in CHANGES for _ in range(10)]
    copies = [CHANGES[name](originals[i], i) for i, name in enumerate(names)]
    prints = [fingerprint(np.ascontiguousarray(pixels)) for pixels in [*originals, *copies]]
    return near_pairs(Fingerprints.of(prints), workers=2), names


@pytest.mark.parametrize("change", CHANGES)
def test_planted_twins_are_found(found: tuple[NearPairs, list[str]], change: str) -> None:
    pairs, names = found
    known = set(zip(pairs.first_P.tolist(), pairs.second_P.tolist(), strict=True))
    assert all((i, 140 + i) in known for i, name in enumerate(names) if name == change)


def test_strangers_of_one_shape_are_not_joined(found: tuple[NearPairs, list[str]]) -> None:
    pairs, _ = found
    assert (pairs.second_P - pairs.first_P == 140).all()


def test_equal_ids_are_no_near_pair_and_stand_for_each_other(originals: list[Pixels]) -> None:
    prints = Fingerprints.of([fingerprint(p) for p in [originals[0], originals[0], np.fliplr(originals[0]).copy()]])
    pairs = near_pairs(prints)
    assert list(zip(pairs.first_P, pairs.second_P, strict=True)) == [(0, 2)]
    assert exact_groups(prints.id_N) == [[0, 1]]


def test_empty_images_and_few_images_do_no_harm() -> None:
    blank = [np.full((32, 32), value, dtype=np.uint8) for value in (0, 100, 255)]
    assert len(near_pairs(Fingerprints.of([fingerprint(p) for p in blank]))) == 0
    assert len(near_pairs(Fingerprints.of([fingerprint(blank[0])]))) == 0
    assert len(near_pairs(Fingerprints.of([]))) == 0


def test_groups_chain_patients_copies_and_near_pairs() -> None:
    near = NearPairs(first_P=np.array([2]), second_P=np.array([4]), correlation_P=np.array([0.9]))
    patients, ids = ["b", "b", "a", "c", "d", ""], ["1", "2", "2", "3", "4", "5"]
    assert group(patients, ids, near) == ["a", "a", "a", "c", "a", "image:5"]
    assert group(patients, ids) == ["a", "a", "a", "c", "d", "image:5"]


def test_order_of_the_images_does_not_change_the_groups(originals: list[Pixels]) -> None:
    prints = Fingerprints.of([fingerprint(p) for i in range(12) for p in (originals[i], _crop(originals[i], i))])
    order = np.random.default_rng(0).permutation(24)
    straight, mixed = near_pairs(prints), near_pairs(prints.subset(order))
    pairs = {frozenset(p) for p in zip(straight.first_P.tolist(), straight.second_P.tolist(), strict=True)}
    again = {frozenset((int(order[a]), int(order[b]))) for a, b in zip(mixed.first_P, mixed.second_P, strict=True)}
    assert pairs == again
    assert len(pairs) == 12


def test_an_id_is_about_pixels_not_about_how_they_were_stored() -> None:
    grey = organ(1)
    assert pixel_digest(grey) == pixel_digest(np.stack([grey] * 3, axis=-1))
    assert fingerprint(grey).channels == fingerprint(np.stack([grey] * 3, axis=-1)).channels == 1
    other = grey.copy()
    other[3, 5] += 1
    different = [other, grey[:, :-1], grey.astype(np.uint16), np.stack([grey, grey, other], axis=-1), grey.T]
    assert len({pixel_digest(np.ascontiguousarray(p)) for p in [grey, *different]}) == 6


def test_fingerprints_survive_a_folder_and_are_mapped(tmp_path: Path) -> None:
    prints = [fingerprint(organ(i), file_size=i) for i in range(3)]
    with prints_folder.Writer(tmp_path, most=5) as kept:
        for one in prints:
            kept.add(one)
    again, together = prints_folder.load(tmp_path), Fingerprints.of(prints)
    assert again.id_N == together.id_N
    assert again.thumb_NHW.base is not None, "mapped, not loaded"
    assert all(np.array_equal(getattr(again, name), getattr(together, name)) for name in prints_folder.fact_names())
    assert np.array_equal(again.thumb_NHW, together.thumb_NHW)
    assert list(near_pairs(again).first_P) == []


def test_damaged_fingerprints_are_no_fingerprints(tmp_path: Path) -> None:
    with prints_folder.Writer(tmp_path, most=0):
        pass
    assert len(prints_folder.load(tmp_path)) == 0
    (tmp_path / prints_folder.THUMBS).write_bytes(b"x")
    with pytest.raises(ValueError, match="expected 0 for 0"):
        prints_folder.load(tmp_path)
    np.savez(tmp_path / prints_folder.FACTS, revision=np.int64(0))
    with pytest.raises(UserError, match="another revision"):
        prints_folder.load(tmp_path)


def test_small_images_are_the_means_of_their_thumbnails() -> None:
    prints = Fingerprints.of([fingerprint(organ(i)) for i in range(4)])
    means = prints.thumb_NHW.reshape(4, 32, 2, 32, 2).astype(np.float64).mean(axis=(2, 4)) / 65535
    assert np.allclose(prints.small(np.array([2, 0])), means[[2, 0]], atol=1e-6)


def test_margins_and_intensities_are_measured() -> None:
    pixels = np.zeros((100, 50), dtype=np.uint16)
    pixels[10:80, 5:45] = np.random.default_rng(0).integers(20_000, 60_000, (70, 40))
    one = fingerprint(pixels)
    assert one.margin == (0.1, 0.2, 0.1, 0.1)
    assert one.mean == pytest.approx(pixels.mean() / 65535, rel=1e-4)
    assert (one.height, one.width, one.channels) == (100, 50, 1)
    assert fingerprint(np.zeros((9, 9), dtype=np.uint8)).margin == (1.0, 1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="uint8 or uint16"):
        fingerprint(np.zeros((9, 9)))


def test_codes_turn_with_the_image() -> None:
    thumb_BHW = np.stack([fingerprint(organ(i)).thumb for i in range(6)])
    detail_BHW = texture(thumb_BHW.astype(np.float32) / 65535, fine=1.0, broad=4.0)
    for orientation in range(8):
        turned_BHW = oriented(detail_BHW, np.full(6, orientation))
        expected_BD = code_of(turned_BHW, WHOLE)
        assert np.allclose(oriented_code(code_of(detail_BHW, WHOLE), orientation), expected_BD, atol=1e-5)


def test_the_sweep_is_the_best_over_all_views_and_orientations() -> None:
    code_VND = codes_of(detail(np.stack([fingerprint(organ(i)).thumb for i in range(6)])), views())
    slow = [code_VND @ oriented_code(code_VND[0], orientation).T for orientation in range(8)]
    assert np.allclose(similarity(code_VND, code_VND[0]), np.max(slow, axis=(0, 1)), atol=1e-5)


def test_registration_finds_a_known_view() -> None:
    image_BHW = np.stack([fingerprint(organ(i)).thumb for i in range(8)]).astype(np.float32) / 65535
    view_B6 = np.tile(np.array([0.02, 0.96, 0.03, -0.015, -0.03, 0.97], dtype=np.float32), (8, 1))
    fixed_BHW, _ = warp(image_BHW, view_B6)
    found_B6 = register(fixed_BHW, image_BHW, np.tile(WHOLE, (8, 1)), steps=15)
    assert np.abs(found_B6 - view_B6).max() < 2e-3
    assert agreement(texture(fixed_BHW), texture(image_BHW), found_B6).min() > 0.9
    assert len(views()) == 14


@pytest.mark.real
def test_brain_tumour_set_holds_its_known_copies(real_data: Path) -> None:
    with (real_data / "brain_tumor_mri" / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    ids = [pixel_digest(np.asarray(Image.open(real_data / "brain_tumor_mri" / row["image"]))) for row in rows]
    groups = exact_groups(ids)
    assert (len(groups), sum(map(len, groups))) == (300, 694)
    train = {i for i, row in zip(ids, rows, strict=True) if row["split"] == "train"}
    assert sum(i in train for i, row in zip(ids, rows, strict=True) if row["split"] == "test") == 251


@pytest.mark.real
def test_no_two_fundus_patients_are_joined(real_data: Path) -> None:
    paths = sorted((real_data / "eyepacs_256" / "images").iterdir())[:600]
    pairs = near_pairs(Fingerprints.of([fingerprint(np.asarray(Image.open(path))) for path in paths]))
    patient = [path.name.split("_")[0] for path in paths]
    assert all(patient[a] == patient[b] for a, b in zip(pairs.first_P, pairs.second_P, strict=True))

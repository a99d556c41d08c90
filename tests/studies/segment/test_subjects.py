"""Which images a segmentation study takes, and how they are divided."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augury.data.fingerprints import Fingerprints
from augury.data.importers import load_with_fingerprints
from augury.data.sample import Manifest, Sample
from augury.errors import UserError
from augury.studies import partition
from augury.studies.segment.subjects import with_masks, without_mask


def written(folder: Path, masks: dict[int, np.ndarray], *, count: int = 6) -> tuple[Manifest, Fingerprints]:
    """A set of `count` grey noise images in a folder, some with masks beside them."""
    folder.mkdir()
    for i in range(count):
        noise = np.random.default_rng(i).integers(0, 256, (20, 24), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.png")
        if i in masks:
            Image.fromarray(masks[i]).save(folder / f"{i}_mask.png")
    return load_with_fingerprints(str(folder), no_patients=True)


def square(height: int = 20, width: int = 24, value: int = 255) -> np.ndarray:
    mask_HW = np.zeros((height, width), dtype=np.uint8)
    mask_HW[5:9, 5:9] = value
    return mask_HW


def test_images_without_a_mask_are_taken_and_told(tmp_path: Path) -> None:
    manifest, prints = written(tmp_path / "set", {0: square(), 1: square()})
    found, notes = with_masks(manifest, prints)
    assert (len(found), notes) == (6, ())
    assert without_mask(found) == ("4 of 6 images have no mask: taken as without a lesion",)


def test_bad_masks_are_told_and_left_out(tmp_path: Path) -> None:
    manifest, prints = written(tmp_path / "set", {0: square(), 1: square(height=10), 2: square(value=99)})
    found, notes = with_masks(manifest, prints)
    assert len(found) == 4
    assert len(notes) == 2
    assert "24x10" in notes[0]
    assert "99" in notes[1]


@pytest.mark.parametrize("masks", [{}, {1: square(height=10)}])
def test_a_set_without_any_mask_is_refused_in_one_line(tmp_path: Path, masks: dict[int, np.ndarray]) -> None:
    manifest, prints = written(tmp_path / "set", masks)
    with pytest.raises(UserError, match="with masks, of which none can be used") as caught:
        with_masks(manifest, prints)
    assert "\n" not in str(caught.value)


def drawn(labels: list[int | None], *, masked: list[bool]) -> Manifest:
    samples = tuple(
        Sample(
            row=f"r{i}", id=f"id{i}", patient=f"p{i // 2}", group=f"g{i // 2}", image=Path("x"), label=label,
            masks={"mask": Path("m")} if has else {},
        )
        for i, (label, has) in enumerate(zip(labels, masked, strict=True))
    )  # fmt: skip
    return Manifest(name="made", samples=samples, classes=("a", "b", "c"))


MIXED = [0, 0, 1, 1, None, None, 2, 2] * 15
SETS = {
    "labelled": drawn([i // 2 % 3 for i in range(120)], masked=[True] * 120),
    "without labels": drawn([None] * 120, masked=[i // 2 % 3 > 0 for i in range(120)]),
    "some labels, some masks": drawn(MIXED, masked=[label != 2 for label in MIXED]),
}


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("folds", [2, 3, 5])
def test_no_group_stands_in_two_parts_and_every_image_is_tested_once(kind: str, folds: int) -> None:
    manifest = SETS[kind]
    found = partition.cases(manifest, folds=folds, used=folds, repeats=1, seed=1)
    for part in found:
        held = [set(manifest.group_N[index]) for index in (part.train, part.choose, part.gate, part.test)]
        assert all(a.isdisjoint(b) for a, b in combinations(held, 2))
        assert sum(map(len, held)) == 60
    assert sorted(i for part in found for i in part.test) == list(range(120))
    fed = [i for part in found for i in part.gate]
    assert len(fed) == len(set(fed)) > 0


@pytest.mark.parametrize("kind", SETS)
def test_folds_are_balanced_over_classes_and_masks(kind: str) -> None:
    manifest = SETS[kind]
    kind_N = partition.kinds(manifest)
    counts = [np.bincount(kind_N[part.test], minlength=5) for part in partition.cases(
        manifest, folds=3, used=3, repeats=1, seed=0)]  # fmt: skip
    assert np.ptp(counts, axis=0).max() <= 4


def test_a_part_without_any_mask_is_refused() -> None:
    few = drawn([None] * 60, masked=[i < 2 for i in range(60)])
    with pytest.raises(UserError, match="no image with a mask"):
        partition.cases(few, folds=3, used=3, repeats=1, seed=0)


def test_a_given_split_is_taken_as_it_is() -> None:
    manifest = SETS["labelled"]
    split = ["test" if i // 2 % 4 == 0 else "train" for i in range(120)]
    given = replace(manifest, samples=tuple(replace(s, split=w) for s, w in zip(manifest, split, strict=True)))
    (part,) = partition.given_cases(given, drop_leaks=False, seed=0)
    assert set(part.test) == {i for i, word in enumerate(split) if word == "test"}
    assert len(part.train) > len(part.choose) + len(part.gate) > 0

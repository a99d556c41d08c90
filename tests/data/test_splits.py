"""Laws of the splits: groups whole, classes balanced, subsets nested, the impossible refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augury.data.duplicates import NearPairs
from augury.data.leaks import check_split, leaking, without_leaks
from augury.data.sample import Manifest, Sample
from augury.data.splits import grouped_folds, halves, parts, stratified_subset
from augury.errors import UserError


def population(seed: int, *, groups: int = 120, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Groups of 1-9 images; one image in ten has another label than its group."""
    rng = np.random.default_rng(seed)
    size_G = rng.integers(1, 10, groups)
    group_N = np.repeat(np.arange(groups), size_G)
    label_N = np.repeat(rng.choice(classes, groups, p=[0.5, 0.25, 0.15, 0.1][:classes]), size_G)
    stray = rng.random(len(label_N)) < 0.1
    label_N[stray] = rng.integers(0, classes, stray.sum())
    return label_N, group_N


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 6))
def test_folds_never_divide_a_group_and_hold_every_class(seed: int, count: int) -> None:
    label_N, group_N = population(seed)
    fold_N = grouped_folds(label_N, group_N, count=count, seed=seed)
    assert all(len(set(fold_N[group_N == g])) == 1 for g in np.unique(group_N))
    for fold in range(count):
        assert set(label_N[fold_N == fold]) == set(label_N)
        assert abs((fold_N == fold).mean() - 1 / count) < 0.04


def test_classes_are_balanced_over_folds() -> None:
    label_N, group_N = population(3, groups=400)
    fold_N = grouped_folds(label_N, group_N, count=5, seed=0)
    counts = np.array([[np.sum((fold_N == f) & (label_N == c)) for c in range(4)] for f in range(5)])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 0.06 * counts.sum(axis=0) / 5 + 2).all()


def test_single_images_are_split_as_evenly_as_can_be() -> None:
    label_N = np.repeat([0, 1, 2], [50, 25, 10])
    fold_N = grouped_folds(label_N, np.arange(85), count=5, seed=1)
    for label, each in ((0, 10), (1, 5), (2, 2)):
        assert np.bincount(fold_N[label_N == label]).tolist() == [each] * 5


def test_folds_depend_on_the_seed_alone() -> None:
    label_N, group_N = population(5)
    first, again, other = (grouped_folds(label_N, group_N, count=5, seed=s) for s in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_class_in_too_few_groups_is_refused_in_one_line() -> None:
    label_N, group_N = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 1, 2, 3, 4, 4])
    with pytest.raises(UserError, match=r"class 1 lies in 1 .*group") as error:
        grouped_folds(label_N, group_N, count=2, seed=0)
    assert "\n" not in str(error.value)


def test_unlabelled_images_are_balanced_and_never_refused() -> None:
    label_N = np.array([-1] * 40 + [0] * 20 + [1] * 20)
    fold_N = grouped_folds(label_N, np.arange(80), count=4, seed=0)
    assert np.bincount(fold_N[label_N == -1]).tolist() == [10] * 4
    assert grouped_folds(np.array([-1, 0, 0, 0]), np.arange(4), count=3, seed=0).max() == 2


def test_halves_are_halves() -> None:
    label_N, group_N = population(9)
    first_N = halves(label_N, group_N, seed=0)
    assert abs(first_N.mean() - 0.5) < 0.03
    assert set(group_N[first_N]).isdisjoint(group_N[~first_N])


def test_parts_keep_their_shares() -> None:
    label_N, group_N = population(11, groups=300)
    part_N = parts(label_N, group_N, shares=[7, 1, 2], seed=0)
    assert np.allclose(np.bincount(part_N) / len(part_N), [0.7, 0.1, 0.2], atol=0.01)
    with pytest.raises(UserError):
        parts(label_N, group_N, shares=[1, 0], seed=0)
    with pytest.raises(UserError, match=r"independent group"):
        parts(np.zeros(5, dtype=np.int64), np.zeros(5, dtype=np.int64), shares=[1, 1], seed=0)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), low=st.floats(0.02, 1), high=st.floats(0.02, 1))
def test_smaller_subsets_lie_in_larger_ones(seed: int, low: float, high: float) -> None:
    label_N, group_N = population(seed % 50)
    low, high = sorted((low, high))
    small = set(stratified_subset(label_N, group_N, share=low, seed=seed).tolist())
    large = set(stratified_subset(label_N, group_N, share=high, seed=seed).tolist())
    assert small <= large
    kept = np.array(sorted(small))
    assert set(group_N[kept]).isdisjoint(np.delete(group_N, kept))


def test_the_whole_is_a_subset_and_a_quarter_is_a_quarter() -> None:
    label_N, group_N = np.repeat([0, 1], 200), np.arange(400)
    assert len(stratified_subset(label_N, group_N, share=1.0, seed=0)) == 400
    assert np.bincount(label_N[stratified_subset(label_N, group_N, share=0.25, seed=0)]).tolist() == [50, 50]
    with pytest.raises(UserError, match="share"):
        stratified_subset(label_N, group_N, share=0.0, seed=0)


def manifest(rows: list[tuple[str, str, str, str | None]]) -> Manifest:
    """(id, patient, group, split) each."""
    samples = tuple(
        Sample(row=str(i), id=id_, patient=patient, group=group, image=Path(f"{i}.png"), label=i % 2, split=split)
        for i, (id_, patient, group, split) in enumerate(rows)
    )
    return Manifest(name="m", samples=samples, classes=("a", "b"), patients_known=True)


LEAKY = [("1", "p", "p", "train"), ("1", "q", "p", "test"), ("2", "r", "r", "train"), ("3", "s", "r", "test"),
         ("4", "t", "t", "train"), ("5", "t", "t", "test"), ("6", "u", "u", "test"), ("7", "v", "v", None)]  # fmt: skip


def test_leaks_are_counted_by_their_kind() -> None:
    near = NearPairs(first_P=np.array([2]), second_P=np.array([3]), correlation_P=np.array([0.95]))
    expected = {"test<-train": {"exact": 1, "near": 1, "either": 2, "patients": 1}}
    assert check_split(manifest(LEAKY), near) == expected
    assert check_split(manifest(LEAKY)) == expected  # the groups tell the same here


def test_dropping_leaks_keeps_the_test_images_whole() -> None:
    whole = manifest(LEAKY)
    clean = without_leaks(whole)
    assert leaking(whole) == 3
    assert leaking(clean) == 0
    assert [s.row for s in clean] == ["1", "3", "5", "6", "7"]


def test_a_manifest_splits_by_name() -> None:
    label_N, group_N = population(2)
    rows = tuple(
        replace(manifest([("x", "p", f"g{g}", None)])[0], row=str(i), label=int(y))
        for i, (y, g) in enumerate(zip(label_N, group_N, strict=True))
    )
    whole = Manifest(name="m", samples=rows, classes=("a", "b", "c", "d"))
    split = whole.split({"train": 0.8, "test": 0.2}, seed=0)
    assert sum(map(len, split.values())) == len(whole)
    assert {s.group for s in split["train"]}.isdisjoint(s.group for s in split["test"])
    assert abs(len(split["test"]) / len(whole) - 0.2) < 0.02

"""No group stands in two parts, and a planted leak is never scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augury.data.importers import load
from augury.data.sample import Manifest, Sample
from augury.errors import Refused, UserError
from augury.studies import partition, planner
from augury.studies.runner import workspace
from augury.studies.steps import execute
from augury.studies.study import Study


def manifest_of(groups: list[int], labels: list[int], split: list[str] | None = None) -> Manifest:
    samples = tuple(
        Sample(
            row=f"r{i}", id=f"id{i}", patient=f"p{g}", group=f"g{g}", image=Path(f"{i}.png"), label=labels[i],
            split=split[i] if split else None,
        )
        for i, g in enumerate(groups)
    )  # fmt: skip
    return Manifest(name="made", samples=samples, classes=("a", "b"), patients_known=True)


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 6), min_size=60, max_size=90), seed=st.integers(0, 99))
def test_parts_share_no_group_and_every_image_is_tested_once(sizes: list[int], seed: int) -> None:
    groups = [g for g, size in enumerate(sizes) for _ in range(size)]
    manifest = manifest_of(groups, [g % 2 for g in groups])
    tested = []
    for part in partition.grouped(manifest, folds=5, used=5, repeats=1, seed=seed):
        held = [set(manifest.group_N[index]) for index in (part.train, part.choose, part.gate, part.test)]
        assert all(a.isdisjoint(b) for a, b in combinations(held, 2))
        tested += part.test.tolist()
    assert sorted(tested) == list(range(len(manifest)))


def test_every_group_feeds_the_gate_at_most_once() -> None:
    groups = [i // 2 for i in range(200)]
    manifest = manifest_of(groups, [g % 2 for g in groups])
    fed = [i for part in partition.grouped(manifest, folds=5, used=5, repeats=1, seed=0) for i in part.gate]
    assert len(fed) == len(set(fed)) > 80


def given_split(*, leak: bool) -> Manifest:
    groups = [i // 2 for i in range(80)]
    split = ["test" if g % 4 == 0 else "train" for g in groups]
    if leak:
        split[1] = "train"  # the other image of patient 0 is a test image
    return manifest_of(groups, [(g // 4 + g) % 2 for g in groups], split)


def test_a_given_split_that_leaks_is_refused() -> None:
    with pytest.raises(Refused, match="drop-leaks"):
        partition.given(given_split(leak=True), drop_leaks=False, seed=0)


def test_dropped_leaks_leave_the_test_images_whole() -> None:
    manifest = given_split(leak=True)
    (part,) = partition.given(manifest, drop_leaks=True, seed=0)
    assert set(part.test) == {i for i, s in enumerate(manifest) if s.split == "test"}
    assert 1 not in set(part.train) | set(part.choose) | set(part.gate)


def test_a_given_split_needs_a_column() -> None:
    with pytest.raises(UserError, match="--split grouped"):
        partition.given(manifest_of([0, 1], [0, 1]), drop_leaks=False, seed=0)


@pytest.mark.parametrize("way", ["same image", "same group"])
def test_a_planted_leak_is_never_scored(way: str, tiny: Callable[..., Study], tmp_path: Path) -> None:
    """A test image, or another image of its group, is slipped into training behind the splitter's back."""

    study = tiny(tmp_path)
    manifest = load(study.data)
    plan = planner.plan_for(study, manifest, channels=1)
    space, graph = workspace(study, plan, manifest)
    step = next(step for step in graph.steps.values() if step.recipe.kind == "fit" and not step.recipe.parents)
    part = space.partitions[0]
    twin = int(part.test[0])
    if way == "same group":
        twin = next(i for i in np.flatnonzero(manifest.group_N == manifest.group_N[twin]) if i != twin)
        part = replace(part, test=part.test[part.test != twin])
    leaking = replace(space, partitions=(replace(part, train=np.append(part.train, twin)),))
    with pytest.raises(Refused, match="seen"):
        execute(step, leaking)
    assert not space.folder(step).exists()


def test_a_class_too_scarce_for_halved_validation_folds_is_refused_before_training() -> None:
    groups = list(range(60))
    manifest = manifest_of(groups, [int(g < 8) for g in groups])
    with pytest.raises(UserError, match=r"'b' has 8 independent patients.*folds=4"):
        partition.grouped(manifest, folds=5, used=5, repeats=1, seed=0)

"""Laws of the audit: shortcuts where they were planted and nowhere else, neighbours, the keys of `check --json`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from augury.data.audit import audit
from augury.data.duplicates import group
from augury.data.fingerprints import Fingerprints, fingerprint
from augury.data.neighbours import nearest, nearest_neighbour_accuracy
from augury.data.sample import Manifest, Sample
from augury.data.shortcuts import auroc, shortcuts


def drawn(
    images: list[NDArray[np.uint8]], labels: list[int | None], *, sizes: list[int] | None = None,
    splits: list[str] | None = None,
) -> tuple[Manifest, Fingerprints]:  # fmt: skip
    """A manifest without patients, grouped by equal pixels."""
    sizes = sizes or [0] * len(images)
    prints = Fingerprints.of([fingerprint(p, file_size=s) for p, s in zip(images, sizes, strict=True)])
    groups = group([""] * len(images), prints.id_N)
    samples = tuple(
        Sample(row=str(i), id=prints.id_N[i], patient=str(i), group=groups[i], image=Path(f"{i}.png"), label=label,
               split=splits[i] if splits else None)
        for i, label in enumerate(labels)
    )  # fmt: skip
    return Manifest(name="m", samples=samples, classes=("a", "b"), patients_known=False), prints


def noise(count: int, *, seed: int = 0, low: int = 0, side: int = 24) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(low, low + 100, (side, side)).astype(np.uint8) for _ in range(count)]


def test_a_planted_shortcut_is_found_and_the_others_are_not() -> None:
    images = noise(400)
    labels = np.random.default_rng(1).integers(0, 2, 400).tolist()
    sizes = [1000 + 400 * label + int(s) for label, s in zip(labels, np.random.default_rng(2).integers(0, 500, 400))]  # noqa: B905
    found = {row["feature"]: row["auroc"] for row in shortcuts(*drawn(images, labels, sizes=sizes))}
    assert found["file size"] > 0.9
    assert found["image shape"] == found["border"] == 0.5
    assert all(0.38 < found[name] < 0.62 for name in ("mean intensity", "contrast"))


def test_a_rule_that_is_not_monotone_is_found() -> None:
    labels = [i % 2 for i in range(300)]
    images = [np.clip(p.astype(int) + (60 if i % 4 == 1 else 0 if i % 2 else 30), 0, 255).astype(np.uint8)
              for i, p in enumerate(noise(300))]  # fmt: skip
    assert {row["feature"]: row["auroc"] for row in shortcuts(*drawn(images, labels))}["mean intensity"] > 0.95


def test_image_shape_gives_the_label_away() -> None:
    images = [p[: 20 + 4 * (i % 2)] for i, p in enumerate(noise(120))]
    worst = shortcuts(*drawn(images, [i % 2 for i in range(120)]))[0]
    assert (worst["feature"], worst["auroc"]) == ("image shape", 1.0)


def test_one_class_has_no_shortcuts() -> None:
    assert shortcuts(*drawn(noise(20), [0] * 20)) == []


def test_auroc_equals_an_independent_one() -> None:
    rng = np.random.default_rng(0)
    truth, score = rng.random(500) < 0.3, rng.integers(0, 9, 500).astype(float)
    assert auroc(truth, score) == pytest.approx(roc_auc_score(truth, score), abs=1e-12)


def test_nearest_equals_brute_force() -> None:
    rng = np.random.default_rng(0)
    query, stored = rng.normal(size=(700, 20)).astype(np.float32), rng.normal(size=(90, 20)).astype(np.float32)
    slow = ((query[:, None] - stored) ** 2).sum(axis=2).argmin(axis=1)
    assert np.array_equal(nearest(query, stored), slow)


def test_copies_flatter_the_random_split_and_not_the_grouped_one() -> None:
    images, labels = noise(120), np.random.default_rng(3).integers(0, 2, 120).tolist()
    found = nearest_neighbour_accuracy(*drawn([*images, *images], [*labels, *labels]))
    assert found["random_split"] is not None
    assert found["grouped_split"] is not None
    assert found["random_split"] > 0.85
    assert found["grouped_split"] < 0.65
    assert found["given_split"] is None


def test_the_audit_is_the_documented_json() -> None:
    images = noise(40)
    labels: list[int | None] = [i % 2 for i in range(40)]
    images[3], images[5], images[7] = images[0], images[1], np.fliplr(images[20]).copy()
    labels[30] = None
    splits = ["test" if i < 4 else "train" for i in range(40)]
    found = json.loads(json.dumps(audit(*drawn(images, labels, splits=splits)), allow_nan=False))
    assert found["images"] == 40
    assert found["patients"] is None
    assert found["classes"] == {"a": 19, "b": 20}
    assert found["unlabelled"] == 1
    assert found["exact_duplicates"] == {"groups": 2, "files": 4}
    assert found["near_duplicates"] == {"groups": 1, "files": 2}
    assert found["conflicting_labels"] == {"groups": 1, "files": 2}
    assert found["leaks"] == {"test<-train": {"exact": 1, "near": 0, "either": 1, "patients": None}}
    assert set(found["nearest_neighbour_accuracy"]) == {"given_split", "grouped_split", "random_split", "images", "of"}
    assert found["nearest_neighbour_accuracy"]["images"] == found["nearest_neighbour_accuracy"]["of"] == 39


def test_fingerprints_of_other_images_are_refused() -> None:
    manifest, _ = drawn(noise(5), [0, 1, 0, 1, 0])
    _, others = drawn(noise(5, seed=9), [0, 1, 0, 1, 0])
    with pytest.raises(ValueError, match="order"):
        audit(manifest, others)

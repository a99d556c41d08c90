"""Does a synthetic image show the class that was asked for? A classifier judges that saw real training images alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.metrics.estimate import Estimate, Unit
from augury.metrics.jackknife import blocks, jackknife
from augury.metrics.privacy import share_of
from augury.predictors.classifier import Classifier, ClassifierConfig
from augury.predictors.phases import Phase, Source
from augury.studies.audit.subjects import Part, Subjects
from augury.training import Run

STEPS = 400


def label_fidelity(
    subjects: Subjects, *, seed: int, unit: Unit, device: str = "cpu", report: Callable[[int, int], None] | None = None
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The share of images that the classifier takes for their class: of all, and of each class by its name."""
    known = subjects.train.at(subjects.train.label_N >= 0)
    if len(np.unique(known.label_N)) < 2 or not (subjects.made.label_N >= 0).any():
        return {"set": None, "floor": None, "ceiling": None, "refused": "two labelled classes are needed"}, {}
    train = Pairs(
        pixels_NCHW=known.pixels_NCHW, condition=Condition(label_B=torch.from_numpy(known.label_N)),
        classes=len(subjects.classes),
    )  # fmt: skip
    channels, height, width = train.shape
    run = Run(seed=seed, steps=STEPS, batch=min(64, len(train)), device=device, report=report)
    with run.seeded("networks"):
        shape = Shape(channels=channels, height=height, width=width, classes=train.classes)
        classifier = Classifier(ClassifierConfig(augmentation="light"), shape)
    classifier.fit([Phase(sources=(Source(pairs=train),), steps=STEPS)], run)
    sides = {"set": _judged(classifier, subjects.made), "floor": _judged(classifier, subjects.held)}
    whole: dict[str, Any] = {"refused": None, "ceiling": None}
    by_class: dict[str, dict[str, Any]] = {name: {} for name in subjects.classes}
    for side, (part, right_N) in sides.items():
        whole[side] = _share(part, right_N, unit=unit, seed=seed)
        for label, name in enumerate(subjects.classes):
            here = part.label_N == label
            by_class[name][side] = _share(part.at(here), right_N[here], unit=unit, seed=seed)
    return whole, by_class


def _judged(classifier: Classifier, part: Part) -> tuple[Part, np.ndarray[Any, np.dtype[np.bool_]]]:
    labelled = part.at(part.label_N >= 0)
    return labelled, classifier.predict(labelled.pixels_NCHW).argmax(1) == labelled.label_N


def _share(part: Part, right_N: np.ndarray[Any, np.dtype[np.bool_]], *, unit: Unit, seed: int) -> dict[str, Any] | None:
    """Exact where every image is a group of its own, else by leaving out groups."""
    if part.groups < 2:
        return None
    if part.groups == len(part):
        return share_of(int(right_N.sum()), len(part), unit="image").as_json()
    block_N = blocks(part.group_N, seed=seed)
    without = [float(right_N[block_N != b].mean()) for b in np.unique(block_N)]
    found: Estimate = jackknife(float(right_N.mean()), without, n=part.groups, unit=unit, low=0.0, high=1.0)
    return found.as_json()

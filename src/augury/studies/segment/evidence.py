"""What the evidence of a segmentation study has of its own: measures of cases, the paper's claim, obeyed masks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from augury.metrics.intervals import contrast, estimate_of, over_runs, ratio
from augury.metrics.resampling import resample
from augury.studies import predictions
from augury.studies.gathered import Gathered
from augury.studies.graph import Graph
from augury.studies.segment.steps import NAMES
from augury.studies.workspace import Workspace

BASELINE = "real"  # the paper's "no augmentation"
PUBLISHED = 13.87  # per cent, breast ultrasound (Zhang et al. 2024, abstract; of Dice; points or ratio is not said)
COLUMNS = NAMES  # of predictions.csv
FIDELITY = ("asked", "shuffled", "real")


def metrics(space: Workspace) -> tuple[str, ...]:
    """The figures that every arm gets, the primary one first."""
    return tuple(dict.fromkeys((space.plan.metric, *NAMES)))


def more(gathered: Gathered) -> dict[str, Any]:
    """`claim`: what each arm gains over no augmentation, in Dice and as a ratio; `masks`: how many there are."""
    masked = sum(bool(sample.masks) for sample in gathered.space.manifest)
    return {"task": "segment", "masks": {"with": masked}, "claim": _claim(gathered)}


def _claim(gathered: Gathered) -> dict[str, Any] | None:
    """Every arm against BASELINE on images with a lesion, as published; unadjusted 95 % intervals.

    None where that arm was not run, or found nothing.
    """
    names = [arm.id for arm in gathered.arms if arm.share == 1]
    if BASELINE not in names:
        return None
    others = [name for name in names if name != BASELINE]
    table = gathered.table.take(np.isin(gathered.table.item_R, _with_lesion(gathered.space)))
    cells = predictions.cells(table, [BASELINE, *others])
    found = resample(cells, table.metric("dice"), seed=gathered.space.plan.seed)
    if found.arms[0].value <= 0:
        return None
    share = gathered.test_to_train or 1.0
    rows = {
        arm: {
            "points": contrast(found, place, reference=0, test_to_train=share).estimate().as_json(),
            "ratio": ratio(found, place, reference=0, test_to_train=share).as_json(),
        }
        for place, arm in enumerate(others, 1)
    }
    scores = {arm: estimate_of(found.arms[place]).as_json() for place, arm in enumerate([BASELINE, *others])}
    return {"published_percent": PUBLISHED, "baseline": BASELINE, "metric": "dice", "arms": rows, "scores": scores}


def _with_lesion(space: Workspace) -> list[str]:
    """The rows of the images whose mask is not empty."""
    mask_NHW = space.pairs(np.arange(len(space.manifest))).channel("mask")
    return [space.manifest[int(i)].row for i in np.flatnonzero(mask_NHW.any(axis=(1, 2)))]


def generator(name: str, graph: Graph, space: Workspace) -> dict[str, Any]:
    """Condition fidelity: the reference's Dice on synthetic images against the masks asked for, over the folds.

    Beside it the same against the masks of other images, and the same reference's Dice on real test images; of images
    whose mask is not empty.
    """
    means: dict[str, list[float]] = {kind: [] for kind in FIDELITY}
    for (drawn, _, _), digest in graph.fidelity.items():
        if drawn == name:
            facts = json.loads((space.artefacts / f"fidelity-{digest}" / "fidelity.json").read_text())
            for kind in FIDELITY:
                means[kind] += [float(np.mean(facts[kind]))] if facts[kind] else []
    found = {kind: over_runs(values).as_json() for kind, values in means.items() if values}
    return {f"condition_fidelity{'' if kind == 'asked' else '_' + kind}": estimate for kind, estimate in found.items()}

"""What the evidence of a classification study has of its own: metrics, cross-checks, label fidelity, a table."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from augury.metrics.cross_checks import delong_p, mcnemar_p
from augury.metrics.intervals import over_runs
from augury.studies import predictions
from augury.studies.arms import REFERENCE, Arm
from augury.studies.gathered import Gathered
from augury.studies.graph import Graph
from augury.studies.predictions import Predictions
from augury.studies.steps import SEVEN
from augury.studies.workspace import Workspace

MOST_CLASSES = 10  # with more, no figure per class
SECONDARY = ("balanced_accuracy", "accuracy", "f1_macro", "kappa_quadratic", "brier", "ece")


def metrics(space: Workspace) -> tuple[str, ...]:
    """The figures that every arm gets, the primary one first."""
    classes = space.manifest.classes
    each = [f"{kind}_{name}" for name in classes for kind in ("sensitivity", "specificity")]
    more = each if len(classes) <= MOST_CLASSES else ()
    return tuple(dict.fromkeys((space.plan.metric, *SECONDARY, *SEVEN, *more)))


def more(gathered: Gathered) -> dict[str, Any]:
    """`cross_checks` of every candidate and `table`."""
    checks = {arm.id: _cross_checks(gathered.table, arm) for arm in gathered.arms if arm.candidate}
    return {"cross_checks": checks, "table": _table(gathered.arms, gathered.fits, gathered.scores)}


def generator(name: str, graph: Graph, space: Workspace) -> dict[str, Any]:
    """Label fidelity: how often the reference sees the class that was asked for, over the folds."""
    shares: list[float] = []
    of_class: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for (generator, _, _), digest in graph.fidelity.items():
        if generator != name:
            continue
        hits = json.loads((space.artefacts / f"fidelity-{digest}" / "fidelity.json").read_text())
        shares.append(float(np.mean([right / count for right, count in hits.values() if count])))
        for class_name, (right, count) in hits.items():
            of_class[class_name][0] += right
            of_class[class_name][1] += count
    found = over_runs(shares).as_json()
    by_class = {k: right / count if count else None for k, (right, count) in of_class.items()}
    return {"label_fidelity": found, "label_fidelity_of_class": by_class}


def _cross_checks(table: Predictions, arm: Arm) -> dict[str, float | None]:
    """DeLong (two classes) and McNemar on the mean over seeds of the first repeat: shown, never deciding."""
    cells = [cell for cell in predictions.cells(table, [arm.id, REFERENCE]) if cell.repeat == 0]
    probability_ANK = np.concatenate([cell.value_ASNK.mean(axis=1) for cell in cells], axis=1)
    label_N = np.concatenate([cell.label_N for cell in cells])
    right_AN = probability_ANK.argmax(axis=2) == label_N
    binary = probability_ANK.shape[2] == 2 and np.bincount(label_N, minlength=2).min() > 1
    return {
        "delong_p": delong_p(label_N == 1, *probability_ANK[:, :, 1]) if binary else None,
        "mcnemar_p": mcnemar_p(right_AN[0], right_AN[1]),
    }


def _table(
    arms: tuple[Arm, ...], fits: Mapping[str, list[dict[str, Any]]], scores: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """System 2's own table; the train rows are written by the fit itself about the set it was fitted on."""
    rows: list[dict[str, Any]] = []
    for arm in arms:
        train = {name: float(np.mean([found["train"][name] for found in fits[arm.id]])) for name in SEVEN}
        rows.append({"arm": arm.id, "set": "train", "kind": "fit", **train})
        rows.append({"arm": arm.id, "set": "test", **{name: scores[arm.id][name]["value"] for name in SEVEN}})
    return rows

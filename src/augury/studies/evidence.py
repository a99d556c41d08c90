"""From the artefacts of a study to what may be said: the prediction tables and results.json."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from augury.data.leaks import check_split
from augury.data.sample import Manifest
from augury.metrics.classification import metric
from augury.metrics.cross_checks import delong_p, mcnemar_p
from augury.metrics.estimate import Estimate
from augury.metrics.intervals import estimates
from augury.studies import predictions
from augury.studies.arms import REFERENCE, Arm
from augury.studies.gate import gate
from augury.studies.graph import Graph
from augury.studies.partition import Partition
from augury.studies.predictions import Predictions
from augury.studies.steps import SEVEN, share_of
from augury.studies.verdict import judge
from augury.studies.words import headline, limits
from augury.studies.workspace import Workspace

FILE = "results.json"
MOST_CLASSES = 10  # with more, no figure per class
SECONDARY = ("balanced_accuracy", "accuracy", "f1_macro", "kappa_quadratic", "brier", "ece")


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What every arm said of the test folds and of the gate's halves."""

    test: Predictions
    gate: Predictions


def collect(graph: Graph, space: Workspace) -> Tables:
    """Read every fit's predictions."""
    return Tables(test=_collect(graph, space, "test"), gate=_collect(graph, space, "gate"))


def _collect(graph: Graph, space: Workspace, role: Literal["test", "gate"]) -> Predictions:
    tables, manifest = [], space.manifest
    for (arm, repeat, fold, seed), digest in graph.fits.items():
        with np.load(space.artefacts / f"fit-{digest}" / "predictions.npz") as stored:
            index_n, probability_nK = stored[f"{role}_index"], stored[role]
        samples = [manifest[int(i)] for i in index_n]
        tables.append(
            predictions.table(
                classes=manifest.classes,
                item=[s.row for s in samples],
                patient=[s.patient for s in samples],
                group=[s.group for s in samples],
                label=manifest.label_N[index_n],
                arm=arm,
                fold=fold,
                repeat=repeat,
                seed=seed,
                value_NK=probability_nK,
            )
        )
    return predictions.concatenate(tables).sorted()


def results(tables: Tables, graph: Graph, space: Workspace, whole: Manifest) -> dict[str, Any]:
    """All that results.json says, but for the seconds."""
    plan, arms = space.plan, space.plan.parsed()
    fits = _fit_results(graph, space)
    scores = _scores(tables.test, arms, space)
    candidates = [arm for arm in arms if arm.candidate]
    facts: dict[str, Any] = {
        "schema": 1,
        "data": _data(whole, space.manifest),
        "question": plan.question,
        "preset": plan.preset,
        "splits": len(graph.partitions),
        "primary": {
            "metric": plan.metric, "reference": REFERENCE, "contrast": plan.primary,
            "control": next(arm.control for arm in arms if arm.id == plan.primary),
            "smallest_effect": plan.smallest_effect,
        },
        "arms": {
            arm.id: {
                "metrics": scores[arm.id], "description": arm.description,
                "seconds": round(sum(found["seconds"] for found in fits[arm.id]), 1),
            }
            for arm in arms
        },
        "contrasts": _contrasts(tables.test, arms, space),
        "cross_checks": {arm.id: _cross_checks(tables.test, arm) for arm in candidates},
        "gate": gate(
            tables.gate, reference=REFERENCE, metric=plan.metric, level=plan.gate_level,
            candidates=[arm.id for arm in candidates], seed=plan.seed,
        ),
        "leaks": _leaks(graph, whole, space),
        "learning_curve": _learning_curve(arms, scores, graph, space),
        "generators": {name: _generator(name, graph, space) for name in plan.generators},
        "table": _table(arms, fits, scores),
        "compute": {
            "device": space.device, "steps": len(graph.steps),
            "estimate_seconds": plan.estimate_seconds, "budget_seconds": plan.request.get("budget"),
        },
        "dropped": list(plan.dropped),
        "plan_hash": plan.hash,
    }  # fmt: skip
    facts["worth_patients"] = _worth(facts)
    facts["limits"] = limits(facts, plan, whole)
    facts["headline"] = headline(facts, next(arm for arm in arms if arm.id == plan.primary))
    return facts


def _data(whole: Manifest, labelled: Manifest) -> dict[str, Any]:
    count_K = np.bincount(labelled.label_N, minlength=len(whole.classes)).tolist()
    return {
        "name": whole.name, "digest": whole.digest, "images": len(whole),
        "patients": len({s.patient for s in whole}) if whole.patients_known else None,
        "groups": len({s.group for s in whole}), "labelled_groups": len({s.group for s in labelled}),
        "classes": dict(zip(whole.classes, count_K, strict=True)),
        "unlabelled": len(whole) - len(labelled), "unreadable": len(whole.unreadable),
    }  # fmt: skip


def _fit_results(graph: Graph, space: Workspace) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (arm, *_), digest in graph.fits.items():
        found[arm].append(json.loads((space.artefacts / f"fit-{digest}" / "result.json").read_text()))
    return found


def _scores(table: Predictions, arms: tuple[Arm, ...], space: Workspace) -> dict[str, dict[str, Any]]:
    """Every arm's metrics, each with its interval."""
    classes = space.manifest.classes
    each = [f"{kind}_{name}" for name in classes for kind in ("sensitivity", "specificity")]
    names = dict.fromkeys((space.plan.metric, *SECONDARY, *SEVEN, *(each if len(classes) <= MOST_CLASSES else ())))
    cells = predictions.cells(table, [arm.id for arm in arms])
    found: dict[str, list[Estimate]] = {}
    for name in names:
        try:
            found[name] = estimates(cells, metric(name, classes), seed=space.plan.seed)
        except ValueError:  # undefined: a given split may test none of a class
            if name == space.plan.metric:
                raise
    return {arm.id: {name: row[i].as_json() for name, row in found.items()} for i, arm in enumerate(arms)}


def _contrasts(table: Predictions, arms: tuple[Arm, ...], space: Workspace) -> dict[str, Any]:
    """Holm adjusts within the candidates; controls and shares of the labels are a family of their own."""
    plan = space.plan
    judged: dict[str, Any] = {}
    for family in (True, False):
        controls = {arm.id: arm.control for arm in arms if arm.id != REFERENCE and arm.candidate == family}
        judged |= judge(
            table, reference=REFERENCE, controls=controls, metric=plan.metric,
            smallest_effect=plan.smallest_effect, seed=plan.seed,
        )  # fmt: skip
    groups = len({sample.group for sample in space.manifest})
    for found in judged.values():  # of one split only a part was tested: what is needed is said of the whole set
        if found["patients_needed"]:
            found["patients_needed"] = round(found["patients_needed"] * groups / found["difference"]["n"])
    return judged


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


def _leaks(graph: Graph, whole: Manifest, space: Workspace) -> dict[str, Any]:
    """Counted anew from the partitions that were used, not taken from the code that made them."""
    counts = [_shared(part, space.manifest) for part in graph.partitions]
    given = check_split(whole) if any(s.split for s in whole) else None
    sizes = defaultdict(set)
    for sample in whole:
        sizes[sample.group].add(sample.row)
    return {
        "patients_shared": sum(c["patients"] for c in counts), "duplicates_shared": sum(c["ids"] for c in counts),
        "duplicate_groups_kept_together": sum(len(rows) > 1 for rows in sizes.values()), "given_split": given,
    }  # fmt: skip


def _shared(part: Partition, manifest: Manifest) -> dict[str, int]:
    """How many groups and pixel digests stand in two parts of a partition."""
    parts = [[manifest[int(i)] for i in index] for index in (part.train, part.choose, part.gate, part.test)]
    found: dict[str, int] = {}
    for name, field in (("patients", "group"), ("ids", "id")):
        seen = [{getattr(sample, field) for sample in samples} for samples in parts]
        found[name] = sum(len(s) for s in seen) - len(set().union(*seen))
    return found


def _learning_curve(
    arms: tuple[Arm, ...], scores: Mapping[str, Any], graph: Graph, space: Workspace
) -> list[dict[str, Any]]:
    shared = sorted((arm for arm in arms if arm.share < 1), key=lambda arm: arm.share)
    if not shared:
        return []
    rows = [*shared, next(arm for arm in arms if arm.id == REFERENCE)]
    name = space.plan.metric
    return [
        {"share": a.share, "patients": _patients(a.share, graph, space), "estimate": scores[a.id][name]} for a in rows
    ]


def _patients(share: float, graph: Graph, space: Workspace) -> int:
    """How many groups the arm was trained on, on average over the folds."""
    manifest, seed = space.manifest, space.plan.seed
    kept = [share_of(manifest, part.train, share, seed) for part in graph.partitions]
    return round(float(np.mean([len(set(manifest.group_N[index].tolist())) for index in kept])))


def _worth(facts: Mapping[str, Any]) -> dict[str, int | None]:
    """How many more patients would lift the reference as far as each arm does, by a curve a + b log n."""
    curve = facts["learning_curve"]
    if len(curve) < 2:
        return {}
    log_n = np.log([row["patients"] for row in curve])
    slope = float(np.polyfit(log_n, [row["estimate"]["value"] for row in curve], 1)[0])
    most = curve[-1]["patients"]
    worth: dict[str, int | None] = {}
    for arm, contrast in facts["contrasts"].items():
        gain = contrast["difference"]["value"]
        exponent = gain / slope if slope > 0 else math.inf
        within = 0 < exponent < math.log(4)  # no extrapolation beyond four times the patients
        worth[arm] = round(most * (math.exp(exponent) - 1)) if within else None
    return worth


def _generator(name: str, graph: Graph, space: Workspace) -> dict[str, Any]:
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
    found = Estimate(value=float(np.mean(shares)), **_over_runs(shares), n=len(shares), unit="run").as_json()
    by_class = {k: right / count if count else None for k, (right, count) in of_class.items()}
    return {"label_fidelity": found, "label_fidelity_of_class": by_class}


def _over_runs(values: list[float]) -> dict[str, float]:
    """A t interval over folds; one fold alone says nothing of its spread, so its interval is all of [0, 1]."""
    from scipy.stats import t

    if len(values) < 2:
        return {"low": 0.0, "high": 1.0}
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    mean = float(np.mean(values))
    return {"low": max(0.0, mean - half), "high": min(1.0, mean + half)}


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

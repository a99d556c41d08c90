"""From the artefacts of a study to what may be said: the prediction tables and results.json."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from augury.data.leaks import check_split
from augury.data.sample import Manifest
from augury.metrics.estimate import Estimate
from augury.metrics.intervals import estimates
from augury.studies import class_evidence, predictions
from augury.studies.arms import REFERENCE, Arm
from augury.studies.doing import share_of
from augury.studies.gate import gate
from augury.studies.gathered import Gathered
from augury.studies.graph import Graph
from augury.studies.partition import Partition
from augury.studies.predictions import Predictions
from augury.studies.segment import evidence as segment
from augury.studies.verdict import judge
from augury.studies.words import headline, limits
from augury.studies.workspace import Workspace

FILE = "results.json"


@dataclass(frozen=True, kw_only=True)
class Own:
    """What a task's evidence has of its own: the metrics, how generators did, further parts of results.json."""

    metrics: Callable[[Workspace], tuple[str, ...]]
    generator: Callable[[str, Graph, Workspace], dict[str, Any]]
    more: Callable[[Gathered], dict[str, Any]]
    columns: tuple[str, ...] = ()  # of predictions.csv; none: a probability for each class


OWN = {
    "": Own(metrics=class_evidence.metrics, generator=class_evidence.generator, more=class_evidence.more),
    "segment": Own(
        metrics=segment.metrics, generator=segment.generator, more=segment.more, columns=segment.COLUMNS
    ),
}  # fmt: skip


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
    columns = OWN[space.plan.task].columns
    classes = tuple(sorted(space.kinds)) if columns else space.kinds  # sorted: as a table read back has them
    code_K = np.array([classes.index(name) for name in space.kinds])
    for (arm, repeat, fold, seed), digest in graph.fits.items():
        with np.load(space.artefacts / f"fit-{digest}" / "predictions.npz") as stored:
            index_n, value_nK = stored[f"{role}_index"], stored[role]
        samples = [manifest[int(i)] for i in index_n]
        tables.append(
            predictions.table(
                classes=classes,
                item=[s.row for s in samples],
                patient=[s.patient for s in samples],
                group=[s.group for s in samples],
                label=code_K[space.labels(index_n)],
                arm=arm,
                fold=fold,
                repeat=repeat,
                seed=seed,
                value_NK=value_nK,
                measures=columns,
            )
        )
    return predictions.concatenate(tables).sorted()


def results(tables: Tables, graph: Graph, space: Workspace, whole: Manifest) -> dict[str, Any]:
    """All that results.json says, but for the seconds."""
    plan, arms = space.plan, space.plan.parsed()
    fits = _fit_results(graph, space)
    scores = _scores(tables.test, arms, space)
    gathered = Gathered(table=tables.test, arms=arms, fits=fits, scores=scores, graph=graph, space=space)
    own, candidates = OWN[plan.task], [arm for arm in arms if arm.candidate]
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
        "contrasts": _contrasts(gathered),
        "gate": gate(
            tables.gate, reference=REFERENCE, metric=plan.metric, level=plan.gate_level,
            candidates=[arm.id for arm in candidates], seed=plan.seed,
        ),
        "leaks": _leaks(graph, whole, space),
        "learning_curve": _learning_curve(arms, scores, graph, space),
        "generators": {name: own.generator(name, graph, space) for name in plan.generators},
        **own.more(gathered),
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


def _data(whole: Manifest, used: Manifest) -> dict[str, Any]:
    count_K = np.bincount(used.labelled().label_N, minlength=len(whole.classes)).tolist()
    return {
        "name": whole.name, "digest": whole.digest, "images": len(whole),
        "patients": len({s.patient for s in whole}) if whole.patients_known else None,
        "groups": len({s.group for s in whole}), "labelled_groups": len({s.group for s in used}),
        "classes": dict(zip(whole.classes, count_K, strict=True)),
        "unlabelled": int((whole.label_N < 0).sum()), "unreadable": len(whole.unreadable),
    }  # fmt: skip


def _fit_results(graph: Graph, space: Workspace) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (arm, *_), digest in graph.fits.items():
        found[arm].append(json.loads((space.artefacts / f"fit-{digest}" / "result.json").read_text()))
    return found


def _scores(table: Predictions, arms: tuple[Arm, ...], space: Workspace) -> dict[str, dict[str, Any]]:
    """Every arm's metrics, each with its interval."""
    cells = predictions.cells(table, [arm.id for arm in arms])
    found: dict[str, list[Estimate]] = {}
    for name in OWN[space.plan.task].metrics(space):
        try:
            found[name] = estimates(cells, table.metric(name), seed=space.plan.seed)
        except ValueError:  # undefined: a given split may test none of a class
            if name == space.plan.metric:
                raise
    return {arm.id: {name: row[i].as_json() for name, row in found.items()} for i, arm in enumerate(arms)}


def _contrasts(gathered: Gathered) -> dict[str, Any]:
    """Holm adjusts within the candidates; controls and shares of the labels are a family of their own."""
    space, arms = gathered.space, gathered.arms
    plan = space.plan
    judged: dict[str, Any] = {}
    for family in (True, False):
        controls = {arm.id: arm.control for arm in arms if arm.id != REFERENCE and arm.candidate == family}
        judged |= judge(
            gathered.table, reference=REFERENCE, controls=controls, metric=plan.metric,
            smallest_effect=plan.smallest_effect, seed=plan.seed, test_to_train=gathered.test_to_train,
        )  # fmt: skip
    groups = len({sample.group for sample in space.manifest})
    for found in judged.values():  # of one split only a part was tested: what is needed is said of the whole set
        if found["patients_needed"]:
            found["patients_needed"] = round(found["patients_needed"] * groups / found["difference"]["n"])
    return judged


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

"""What an audit writes down of whom it compared and of what it found image by image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augury.conditions.pairs import to_uint8, to_unit
from augury.metrics.privacy import share_of
from augury.studies.audit.copies import Copies
from augury.studies.audit.subjects import Part, Subjects
from augury.studies.audit_page.seen import MOST_PAIRS, Pair

FEW_PATIENTS = 30  # of a class, below which nothing is said of it (EVALUATION.md)


def about(subjects: Subjects) -> dict[str, Any]:
    """The synthetic set, both sides of the real one, and what the generator promised."""
    held = of_real(subjects.held, subjects) | {"learned_from": len(subjects.learn)}
    return {
        "set": of_set(subjects), "train": of_real(subjects.train, subjects),
        "holdout": held if len(subjects.held) else None, "epsilon": epsilon(subjects),
        "compared_at": list(subjects.preparation.size), "notes": list(subjects.notes),
    }  # fmt: skip


def of_set(subjects: Subjects) -> dict[str, Any]:
    """The set, its classes where every image has one, and what drew it."""
    manifest, artefact = subjects.made.manifest, subjects.artefact
    count_K = np.bincount(np.maximum(manifest.label_N, 0), minlength=len(subjects.classes))
    return {
        "name": Path(manifest.name).name, "digest": manifest.digest, "images": len(manifest),
        "classes": dict(zip(subjects.classes, count_K.tolist(), strict=True)) if (manifest.label_N >= 0).all() else {},
        "origin": artefact.parents.get("generator") if artefact is not None else None,
        "method": artefact.facts.get("method") if artefact is not None else None,
    }  # fmt: skip


def of_real(part: Part, subjects: Subjects) -> dict[str, Any]:
    """One side of the real images."""
    return {
        "name": part.manifest.name, "digest": part.manifest.digest, "images": len(part), "groups": part.groups,
        "patients_known": subjects.patients_known,
    }  # fmt: skip


def flagged(subjects: Subjects, copies: Copies) -> list[dict[str, Any]]:
    """Every image above the threshold and its match, the closest first."""
    order = np.argsort(-copies.found.score_N, kind="stable")
    return [
        {
            "image": subjects.made.manifest[int(i)].row,
            "train_image": subjects.train.manifest[int(copies.found.index_N[i])].row,
            "score": round(float(copies.found.score_N[i]), 4), "correlation": round(float(copies.found.score_N[i]), 4),
            "why": f"registered texture agrees above {copies.threshold:.3f}",
        }
        for i in order
        if copies.flagged_S[i]
    ]  # fmt: skip


def by_class(
    subjects: Subjects, copies: Copies, likeness: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What may be said of each class: nothing where few patients show it. `likeness` has the figures of each."""
    found: dict[str, dict[str, Any]] = {}
    for label, name in enumerate(subjects.classes):
        here = subjects.made.label_N == label
        patients = len(np.unique(subjects.train.group_N[subjects.train.label_N == label]))
        if patients < FEW_PATIENTS or not here.any():
            found[name] = {"refused": f"{patients} training patients or groups, {FEW_PATIENTS} are needed"}
            continue
        found[name] = {
            "copies": share_of(int(copies.flagged_S[here].sum()), int(here.sum())).as_json(),
            **likeness[name],
        }
    return found


def epsilon(subjects: Subjects) -> dict[str, Any] | None:
    """What a private generator promised; None where it promised nothing."""
    generator = (subjects.artefact.facts.get("generator") or {}) if subjects.artefact is not None else {}
    promised = generator.get("dp")
    return None if promised is None else {name: promised[name] for name in ("epsilon", "delta", "unit")}


def pairs(subjects: Subjects, copies: Copies) -> list[Pair]:
    """The closest matches as pictures."""
    found = []
    for i in np.argsort(-copies.found.score_N, kind="stable")[:MOST_PAIRS]:
        label = int(subjects.made.label_N[i])
        found.append(
            Pair(
                synthetic=_picture(subjects.made, int(i)),
                train=_picture(subjects.train, int(copies.found.index_N[i])),
                score=float(copies.found.score_N[i]), flagged=bool(copies.flagged_S[i]),
                label=subjects.classes[label] if label >= 0 and subjects.classes else None,
            )
        )  # fmt: skip
    return found


def _picture(part: Part, place: int) -> NDArray[np.uint8]:
    image_CHW = to_uint8(to_unit(part.pixels_NCHW[place : place + 1]))[0]
    return image_CHW[0] if len(image_CHW) == 1 else np.ascontiguousarray(image_CHW.transpose(1, 2, 0))

"""One audit from its question to audit.json: who copies whom, how like real images they are, and what may be said.

S synthetic, T training, H held-out images, C controls.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augury.conditions.pairs import to_uint8, to_unit
from augury.data.cache import write_atomically
from augury.data.provenance import versions
from augury.errors import UserError
from augury.metrics.estimate import Unit
from augury.metrics.privacy import share_of
from augury.metrics.tail_excess import tail_excess
from augury.studies.audit import encoders
from augury.studies.audit.copies import PLANTED, Copies, Power, controls, judge, matches_of, one_each, power
from augury.studies.audit.correlation import best_correlation
from augury.studies.audit.detector import Detector, learned, thumbs
from augury.studies.audit.labels import label_fidelity
from augury.studies.audit.nearness import black_box, nearness, white_box
from augury.studies.audit.planted import fit_autoencoder, planted
from augury.studies.audit.resemblance import compared, likeness_within, statistics
from augury.studies.audit.subjects import Asked, Note, Part, Progress, Subjects, gather
from augury.studies.audit.verdict import sentence, word
from augury.studies.audit_page import Pair, Seen, build
from augury.studies.canaries import canaries
from augury.studies.material import staged
from augury.studies.verdict import holm

SCHEMA = 1
SHOWN = 24  # pairs on the page
FEW_PATIENTS = 30  # of a class, below which nothing is said of it (EVALUATION.md)
FEWEST = 4  # images of either side, below which there is nothing to compare


@dataclass(frozen=True, kw_only=True)
class Options:
    """What an audit may use besides the images."""

    weights: Path | None = None  # a safetensors file of timm's network of its name
    encoder: Path | None = None  # a fitted predictor
    model: Path | None = None  # the generator that drew the set, for its own score of membership
    canaries: int = 0
    device: str = "cpu"


def audit(asked: Asked, options: Options, *, progress: Progress | None = None, note: Note = print) -> Seen:
    """Everything that can be said of a synthetic set. UserError where the sets do not belong together."""
    start, stage = time.monotonic(), staged(progress)
    subjects = gather(asked, progress=progress)
    for text in subjects.notes:
        note(text)
    if min(len(subjects.made), len(subjects.train)) < FEWEST:
        raise UserError(
            f"got {len(subjects.made)} synthetic and {len(subjects.train)} training images; expected at least "
            f"{FEWEST} of each: draw more with `augury sample`"
        )
    unit: Unit = "patient" if subjects.patients_known else "group"
    learn = subjects.learn if subjects.apart else subjects.train
    encoder = learned(thumbs(learn.pixels_NCHW), seed=asked.seed, device=options.device,
                      report=stage("learning what a copy looks like"))  # fmt: skip
    detector = Detector(thumbs(subjects.train.pixels_NCHW), subjects.train.group_N, encoder=encoder)
    copies, stated, correlations = _copies(subjects, detector, seed=asked.seed, stage=stage)
    internal = encoders.own(encoder, apart=subjects.apart)
    p, tests, rows = _tests(subjects, internal, copies, correlations, options=options, unit=unit, seed=asked.seed)
    used = [internal, *_others(subjects, options)]
    metrics: dict[str, dict[str, Any]] = {}
    for place, one in enumerate(used):
        if progress is not None:
            progress("comparing with real images", place, len(used))
        metrics[one.name] = compared(subjects, one, seed=asked.seed, unit=unit)
    metrics[internal.name] |= rows
    shifts, values = statistics(subjects, seed=asked.seed, unit=unit)
    fidelity, by_class = label_fidelity(
        subjects, seed=asked.seed, unit=unit, device=options.device, report=stage("judging classes")
    )
    metrics["pixels"] = {**shifts, "ms_ssim": likeness_within(subjects, seed=asked.seed)}
    metrics["classifier"] = {"label_fidelity": fidelity}
    adjusted = dict(zip(p, holm(list(p.values()))[0], strict=True))
    held_groups = subjects.held.groups
    verdict = word(adjusted, flagged=int(copies.flagged_S.sum()), powerful=stated.enough, held_groups=held_groups)
    for name, behind in tests.items():
        behind |= {"p": p[name], "p_adjusted": adjusted[name]}
    facts = {
        "schema": SCHEMA, "verdict": verdict,
        "sentence": sentence(
            verdict, share=copies.share(), alarms=copies.false_alarms(), smallest=stated.smallest,
            held_groups=held_groups, rejecting=[name.replace("_", " ") for name, q in adjusted.items() if q < 0.05],
        ),
        "set": _of_set(subjects), "train": _of_real(subjects.train, subjects),
        "holdout": _of_real(subjects.held, subjects) | {"learned_from": len(subjects.learn)} if len(subjects.held)
        else None,
        "power": {
            "at": {f"{share:g}": one.as_json() for share, one in stated.at.items()},
            "kinds": {kind: one.as_json() for kind, one in stated.sensitivity.items()}, "smallest": stated.smallest,
        },
        "tests": tests, "flagged": _flagged(subjects, copies), "metrics": metrics,
        "by_class": _by_class(subjects, copies, by_class), "epsilon": _epsilon(subjects),
        "encoders": {one.name: one.says for one in used}, "compared_at": list(subjects.preparation.size),
        "canaries": _canaries(asked, options, progress), "released": None, "notes": list(subjects.notes),
        "seed": asked.seed, "device": options.device, "versions": versions(), "seconds": time.monotonic() - start,
    }  # fmt: skip
    return Seen(
        facts=json.loads(json.dumps(facts)), pairs=_pairs(subjects, copies), score_S=copies.found.score_N,
        control_C=copies.control_C, threshold=copies.threshold, values=values,
    )  # fmt: skip


def publish(folder: Path, seen: Seen, *, images: bool) -> Path:
    """Write audit.json and its page into the folder; returns the page."""
    write_atomically(folder / "audit.json", json.dumps(seen.facts, indent=1) + "\n")
    return build(folder, seen, images=images)


def _copies(
    subjects: Subjects, detector: Detector, *, seed: int, stage: Callable[[str], Any]
) -> tuple[Copies, Power, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The search for copies, its power, and the plain correlations of set and controls."""
    train, held = subjects.train, subjects.held
    made_SHW, held_HHW = thumbs(subjects.made.pixels_NCHW), thumbs(held.pixels_NCHW)
    found = detector.matches(made_SHW, report=stage("looking for copies"))
    control_C = controls(
        detector, held_HHW=held_HHW, group_H=held.group_N, seed=seed, report=stage("looking at controls"),
        with_own=subjects.apart,
    )  # fmt: skip
    copies = judge(found, control_C, seed=seed)
    chosen = np.random.default_rng(seed).permutation(len(train))[:PLANTED]
    autoencoder = fit_autoencoder(train.pixels_NCHW, seed=seed)
    made = planted(train.pixels_NCHW[chosen], autoencoder=autoencoder, seed=seed)
    stated = power(copies, matches_of(detector, made), seed=seed)
    every_H, every_T = one_each(held.group_N, seed=seed), one_each(train.group_N, seed=seed)
    control = [
        best_correlation(held_HHW[every_H], detector.thumb_THW),
        best_correlation(
            detector.thumb_THW[every_T], detector.thumb_THW, group_N=train.group_N[every_T], group_T=train.group_N
        ),
    ]
    return copies, stated, (best_correlation(made_SHW, detector.thumb_THW), np.concatenate(control))


def _tests(
    subjects: Subjects, internal: encoders.Encoder, copies: Copies,
    correlations: tuple[NDArray[np.float64], NDArray[np.float64]], *, options: Options, unit: Unit, seed: int,
) -> tuple[dict[str, float], dict[str, dict[str, Any]], dict[str, Any]]:  # fmt: skip
    """p and what stands behind it by the test's name, and the rows of figures of privacy."""
    p = {"copies": copies.p, "registered_correlation": tail_excess(*correlations, seed=seed)}
    share, alarms = copies.share().as_json(), copies.false_alarms().as_json()
    tests: dict[str, dict[str, Any]] = {
        "copies": {"set": share, "holdout": alarms, "says": "the closest matches are no closer than those of controls"},
        "registered_correlation": {
            "set": None, "holdout": None, "says": "no image correlates with a training image as no control does"
        },
    }  # fmt: skip
    rows: dict[str, Any] = {
        "copies": {"set": share, "floor": alarms, "ceiling": None, "refused": None},
        "memorised": {"set": copies.memorised(len(subjects.train)).as_json(), "floor": None, "ceiling": None,
                      "refused": None},
    }  # fmt: skip
    if min(subjects.held.groups, subjects.train.groups) < 4:
        return p, tests, rows
    z = {"set": subjects.made, "train": subjects.train, "held": subjects.held}
    features = {name: internal.compute(part.pixels_NCHW) for name, part in z.items()}
    found, p["nearest_neighbour_share"] = nearness(subjects, features, seed=seed, unit=unit)
    member, p["membership"] = (
        white_box(options.model, subjects, unit=unit, seed=seed)
        if options.model is not None
        else black_box(features, subjects, unit=unit, seed=seed)
    )
    how = "by the generator's own score" if options.model is not None else "by the distance to the nearest sample"
    tests["nearest_neighbour_share"] = {
        "set": found["nearest_neighbour_share"]["set"], "holdout": None,
        "says": "samples are as often nearest to a held-out image as to a training image",
    }  # fmt: skip
    tests["membership"] = {
        "set": member.as_json(),
        "holdout": None,
        "says": f"who was trained on cannot be told, {how}",
    }
    rows |= {**found, "membership_auroc": {"set": member.as_json(), "floor": None, "ceiling": None, "refused": None}}
    return p, tests, rows


def _others(subjects: Subjects, options: Options) -> Sequence[encoders.Encoder]:
    channels, height, width = subjects.train.pixels_NCHW.shape[1:]
    found = []
    if options.weights is not None:
        found.append(encoders.of_weights(options.weights, channels=channels))
    if options.encoder is not None:
        found.append(encoders.of_model(options.encoder, subjects.held, shape=(channels, height, width)))
    return found


def _of_set(subjects: Subjects) -> dict[str, Any]:
    manifest, artefact = subjects.made.manifest, subjects.artefact
    count_K = np.bincount(np.maximum(manifest.label_N, 0), minlength=len(subjects.classes))
    return {
        "name": Path(manifest.name).name, "digest": manifest.digest, "images": len(manifest),
        "classes": dict(zip(subjects.classes, count_K.tolist(), strict=True)) if (manifest.label_N >= 0).all() else {},
        "origin": artefact.parents.get("generator") if artefact is not None else None,
        "method": artefact.facts.get("method") if artefact is not None else None,
    }  # fmt: skip


def _of_real(part: Part, subjects: Subjects) -> dict[str, Any]:
    return {
        "name": part.manifest.name, "digest": part.manifest.digest, "images": len(part), "groups": part.groups,
        "patients_known": subjects.patients_known,
    }  # fmt: skip


def _flagged(subjects: Subjects, copies: Copies) -> list[dict[str, Any]]:
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


def _by_class(
    subjects: Subjects, copies: Copies, fidelity: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What may be said of each class: nothing where few patients show it."""
    found: dict[str, dict[str, Any]] = {}
    for label, name in enumerate(subjects.classes):
        here = subjects.made.label_N == label
        patients = len(np.unique(subjects.train.group_N[subjects.train.label_N == label]))
        if patients < FEW_PATIENTS or not here.any():
            found[name] = {"refused": f"{patients} training patients or groups, {FEW_PATIENTS} are needed"}
            continue
        found[name] = {
            "copies": share_of(int(copies.flagged_S[here].sum()), int(here.sum())).as_json(),
            "label_fidelity": dict(fidelity.get(name, {})) or None,
        }
    return found


def _epsilon(subjects: Subjects) -> dict[str, Any] | None:
    generator = (subjects.artefact.facts.get("generator") or {}) if subjects.artefact is not None else {}
    promised = generator.get("dp")
    return None if promised is None else {name: promised[name] for name in ("epsilon", "delta", "unit")}


def _canaries(asked: Asked, options: Options, progress: Progress | None) -> dict[str, Any] | None:
    if not options.canaries:
        return None
    if options.model is None:
        raise UserError("--canaries got no model; expected --model MODEL, whose recipe is fitted once more: name it")
    return canaries(
        options.model, asked.train, k=options.canaries, seed=asked.seed, device=options.device, progress=progress
    )


def _pairs(subjects: Subjects, copies: Copies) -> list[Pair]:
    found = []
    for i in np.argsort(-copies.found.score_N, kind="stable")[:SHOWN]:
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

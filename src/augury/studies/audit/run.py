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

from augury.data.cache import write_atomically
from augury.data.provenance import versions
from augury.errors import UserError
from augury.metrics.estimate import Unit
from augury.metrics.privacy import share_of
from augury.metrics.tail_excess import tail_excess
from augury.studies.audit import encoders
from augury.studies.audit.copies import (
    PLANTED,
    Copies,
    Power,
    controls,
    judge,
    matches_of,
    one_each,
    power,
    threshold_of,
)
from augury.studies.audit.correlation import best_correlation
from augury.studies.audit.detector import Detector, learned, thumbs
from augury.studies.audit.labels import label_fidelity
from augury.studies.audit.nearness import black_box, generator_of, nearness, white_box
from augury.studies.audit.planted import fit_autoencoder, planted
from augury.studies.audit.record import about, by_class, flagged, pairs
from augury.studies.audit.resemblance import compared, encoded, kid_by_class, likeness_within, statistics
from augury.studies.audit.subjects import Asked, Note, Progress, Subjects, gather
from augury.studies.audit.verdict import ERROR, sentence, word
from augury.studies.audit_page import Seen, build
from augury.studies.canaries import canaries
from augury.studies.material import staged
from augury.studies.verdict import holm

SCHEMA = 1
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
    others = _others(subjects, options)  # before anything long: what is wrong with them is said at once
    unit: Unit = "patient" if subjects.patients_known else "group"
    learn = subjects.learn if subjects.apart else subjects.train
    encoder = learned(thumbs(learn.pixels_NCHW), seed=asked.seed, device=options.device,
                      report=stage("learning what a copy looks like"))  # fmt: skip
    detector = Detector(thumbs(subjects.train.pixels_NCHW), subjects.train.group_N, encoder=encoder)
    copies, stated, correlations = _copies(subjects, detector, seed=asked.seed, stage=stage)
    internal = encoders.own(encoder, apart=subjects.apart)
    p, tests, rows = _tests(subjects, internal, copies, correlations, options=options, unit=unit, seed=asked.seed)
    metrics, said, values, classes = _figures(
        asked, subjects, [internal, *others], unit=unit, device=options.device, progress=progress
    )
    metrics[internal.name] |= rows
    facts = {
        "schema": SCHEMA, **_conclusion(subjects, copies, stated, p, tests), **about(subjects), "metrics": metrics,
        "flagged": flagged(subjects, copies), "by_class": by_class(subjects, copies, classes), "encoders": said,
        "canaries": _canaries(asked, options, progress), "released": None, "seed": asked.seed,
        "device": options.device, "versions": versions(), "seconds": time.monotonic() - start,
    }  # fmt: skip
    return Seen(
        facts=json.loads(json.dumps(facts)), pairs=pairs(subjects, copies), score_S=copies.found.score_N,
        control_C=copies.control_C, threshold=copies.threshold, values=values,
    )  # fmt: skip


def _figures(
    asked: Asked, subjects: Subjects, used: Sequence[encoders.Encoder], *, unit: Unit, device: str,
    progress: Progress | None,
) -> tuple[dict[str, dict[str, Any]], dict[str, str], dict[str, Any], dict[str, dict[str, Any]]]:  # fmt: skip
    """Figures by encoder, what each encoder is, the values behind the statistics, and by class KID
    (of the last encoder) and label fidelity."""
    metrics: dict[str, dict[str, Any]] = {}
    near: dict[str, Any] = {}
    for place, one in enumerate(used, start=1):
        if progress is not None:
            progress("comparing with real images", place - 1, len(used))
        found = encoded(subjects, one)
        metrics[one.name] = compared(subjects, found, seed=asked.seed, unit=unit)
        if place == len(used):
            near = kid_by_class(subjects, found, seed=asked.seed, unit=unit)
    shifts, values = statistics(subjects, seed=asked.seed, unit=unit)
    fidelity, classes = label_fidelity(
        subjects, seed=asked.seed, unit=unit, device=device, report=staged(progress)("judging classes")
    )
    metrics["pixels"] = {**shifts, "ms_ssim": likeness_within(subjects, seed=asked.seed)}
    metrics["classifier"] = {"label_fidelity": fidelity}
    by_name = {name: {"kid": row, "label_fidelity": classes.get(name) or None} for name, row in near.items()}
    return metrics, {one.name: one.says for one in used}, values, by_name


def _conclusion(
    subjects: Subjects, copies: Copies, stated: Power, p: Mapping[str, float], tests: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The verdict with its sentence, the tests with their adjusted p, and the power."""
    adjusted = dict(zip(p, holm(list(p.values()))[0], strict=True))
    held_groups = subjects.held.groups
    verdict = word(adjusted, flagged=int(copies.flagged_S.sum()), powerful=stated.enough, held_groups=held_groups)
    said = sentence(
        verdict, share=copies.share(), alarms=copies.false_alarms(), smallest=stated.smallest, held_groups=held_groups,
        controls=len(copies.control_C), rejecting=[n.replace("_", " ") for n, q in adjusted.items() if q < ERROR],
    )  # fmt: skip
    return {
        "verdict": verdict, "sentence": said,
        "tests": {n: {**behind, "p": p[n], "p_adjusted": adjusted[n]} for n, behind in tests.items()},
        "power": {
            "at": {f"{share:g}": one.as_json() for share, one in stated.at.items()},
            "kinds": {kind: one.as_json() for kind, one in stated.sensitivity.items()}, "smallest": stated.smallest,
        },
    }  # fmt: skip


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
    limit, tried = threshold_of(correlations[1], seed=seed)
    tests: dict[str, dict[str, Any]] = {
        "copies": {"set": share, "holdout": alarms, "says": "the closest matches are no closer than those of controls"},
        "registered_correlation": {
            "set": share_of(int((correlations[0] > limit).sum()), len(correlations[0])).as_json(),
            "holdout": share_of(int((tried > limit).sum()), len(tried), unit="group").as_json(),
            "says": "no image correlates with a training image as no control does",
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
    features = {name: internal(part, subjects.preparation) for name, part in z.items()}
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
    """The encoders that were asked for. UserError for these, and for a model that is not the set's or not there."""
    if options.model is not None:
        generator_of(options.model, subjects)
    elif options.canaries:
        raise UserError("--canaries got no model; expected --model MODEL, whose recipe is fitted once more: name it")
    channels, height, width = subjects.train.pixels_NCHW.shape[1:]
    found = []
    if options.weights is not None:
        found.append(encoders.of_weights(options.weights, channels=channels))
    if options.encoder is not None:
        found.append(encoders.of_model(options.encoder, subjects.held, shape=(channels, height, width)))
    return found


def _canaries(asked: Asked, options: Options, progress: Progress | None) -> dict[str, Any] | None:
    if not options.canaries or options.model is None:
        return None
    return canaries(
        options.model, asked.train, k=options.canaries, seed=asked.seed, device=options.device, progress=progress
    )

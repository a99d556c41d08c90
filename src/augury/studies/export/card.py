"""card.md of an exported set: a model card (Mitchell 2019) and a data card (Pushkarna 2022) on one page.

The verdict of the audit, or that there was none, is in the first line. No patient, no id and no file name of a training
image is in it; of the training set its name and how many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from augury.data.provenance import versions
from augury.studies.audit.verdict import COPIES, ELEVATED, NONE
from augury.studies.export.audited import Audit
from augury.studies.export.figures import cell, in_words, is_estimate, metric_rows, table
from augury.studies.export.seven_cs import SOURCE, scorecard

NOT_AUDITED = "NOT AUDITED"
NO_LICENCE = "not stated: whoever hands the set on must state one; until then nothing is granted"
USES = (
    "Training and testing of software for research on images of this kind, beside real images.",
    "Teaching and demonstration.",
)
LIMITS = (
    "No diagnosis and no treatment: nothing here was seen in a patient. Not a medical device, nor evidence for one.",
    "No statistics of disease: how often a class occurs was asked for, not observed.",
    "A class is what the generator was asked for; no physician has looked at the images.",
    "Not to be called anonymous. An audit bounds what it tested for, with the power that it states.",
    "Whoever trains on these images trains on the biases of the images that the generator was fitted to.",
)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a set. `source` is what its generator's artefact says, {} where that is not known."""

    name: str
    digest: str
    images: int
    counts: Mapping[str, int]  # by class
    unlabelled: int
    looks: str  # size, channels and bits
    layout: str
    licence: str | None
    method: str | None
    generators: Sequence[str]  # digests of what drew the images
    source: Mapping[str, Any]
    seed: int | None


def drawn_by(facts: Facts) -> str:
    """Who drew the images, in a few words."""
    digests = ", ".join(facts.generators)
    return (
        f"{facts.method} (artefact {digests})"
        if facts.method
        else f"a generator of which only this is known: {digests}"
    )


def verdict_of(audit: Audit | None) -> str:
    """The word that the card begins with."""
    return NOT_AUDITED if audit is None else audit.verdict


def warning_of(audit: Audit | None) -> str:
    """The sentence below it."""
    if audit is None:
        return (
            "**Nobody looked whether these images are copies of training images.** The set was exported without an "
            "audit because that was asked for. Treat it as you treat the patients' images that the generator was "
            "fitted to, and hand it on no further than those."
        )
    more = {
        COPIES: " **It was exported despite that because this was asked for.** Treat it as patients' images.",
        ELEVATED: " Treat it as patients' images until the reason is found.",
        NONE: " That is evidence, with the power stated below, and no proof; the set is not anonymous.",
    }
    return audit.sentence + more.get(audit.verdict, " Treat it as patients' images.")


def card(facts: Facts, audit: Audit | None) -> str:
    """The whole card."""
    lines = [
        f"# {verdict_of(audit)}: {facts.images} synthetic images, drawn by {cell(facts.method or 'a generator')}",
        "", cell(warning_of(audit)), "", "## The set", "", *table(("", ""), list(_set_rows(facts, audit))), "",
        "## How it was made", "", *_making(facts), "", "## What the audit found", "", *_findings(audit), "",
        f"## Scorecard by the seven criteria of {SOURCE}", "",
        *table(("criterion", "the question", "what is known"), _seven(facts, audit)), "",
        "Which figure stands under which criterion is our choice. \"Not measured\" means just that.", "",
        "## What it is for", "", *(f"- {use}" for use in USES), "",
        "## What it is not for, and its limits", "", *(f"- {limit}" for limit in LIMITS), "",
        "## Versions", "", ", ".join(f"{name} {value}" for name, value in versions().items()),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _set_rows(facts: Facts, audit: Audit | None) -> list[tuple[str, str]]:
    by_class = ", ".join(f"{name} {count}" for name, count in facts.counts.items())
    return [
        ("name", facts.name),
        ("images", f"{facts.images}, all synthetic"),
        (
            "by class",
            (by_class or "no classes") + (f", without a class {facts.unlabelled}" if facts.unlabelled else ""),
        ),
        ("pixels", facts.looks),
        ("format", facts.layout),
        ("licence", facts.licence or NO_LICENCE),
        ("differential privacy", _bound(facts, audit) or "none"),
        ("digest of the audited set" if audit else "digest of the set before export", facts.digest),
    ]


def _bound(facts: Facts, audit: Audit | None) -> str:
    """What the fit of the generator promises, by its artefact, else by the audit; "" where it promises nothing."""
    told = facts.source.get("dp")
    promised = told if isinstance(told, dict) else audit.part("epsilon") if audit else {}
    if "epsilon" not in promised:
        return ""
    whose = f", for each {promised['unit']}" if "unit" in promised else ""
    return cell(f"epsilon {promised['epsilon']}, delta {promised.get('delta')}{whose}")


def _making(facts: Facts) -> list[str]:
    source = facts.source
    lines = [f"- drawn by {cell(drawn_by(facts))}" + (f", with seed {facts.seed}" if facts.seed is not None else "")]
    if not source:
        return [*lines, "- its training set, its settings and its preparation are not known here"]
    counts = dict(zip(source.get("classes", ()), source.get("counts", ()), strict=False))
    fitted = ", ".join(f"{cell(name)} {count}" for name, count in counts.items())
    trained = f"- fitted to {cell(source.get('data', 'an unnamed set'))}: {sum(counts.values())} images ({fitted})"
    steps = (
        f"- {source.get('steps')} steps of {source.get('batch')} images, the method's revision {source.get('revision')}"
    )
    return [
        *lines, trained, steps,
        f"- preparation: {_settings(source.get('preparation'))}", f"- settings: {_settings(source.get('config'))}",
    ]  # fmt: skip


def _settings(values: Any) -> str:
    plain = values if isinstance(values, dict) else {}
    return cell(", ".join(f"{name} {value}" for name, value in plain.items() if value is not None)) or "not known"


def _findings(audit: Audit | None) -> list[str]:
    if audit is None:
        return ["Not audited: no figure of fidelity, diversity or privacy is known."]
    train, power = audit.part("train"), audit.part("power")
    holdout = audit.part("holdout")
    aside = f" and {holdout.get('images')} held-out images" if holdout else "; no images were held out"
    lines = [
        f"- verdict: **{audit.verdict}**",
        f"- compared with {train.get('images', '?')} training images of {cell(train.get('name', '?'))}{aside}",
        f"- images near a training image: {audit.flagged}",
        f"- power of the test, from planted copies ({power.get('share_planted', '?')} of the set): "
        f"{in_words(power.get('power'))}",
        *(f"  - {cell(kind)}: {in_words(value)}" for kind, value in _kinds(power).items()),
        *_released(audit),
    ]
    tests = [_test_row(name, test) for name, test in audit.part("tests").items() if isinstance(test, dict)]
    figures = list(metric_rows(audit.part("metrics")))
    if tests:
        lines += ["", *table(("test", "p", "adjusted p"), tests)]
    if figures:
        head = ("metric", "encoder", "this set", "floor: held-out real images", "ceiling: spoiled images")
        lines += ["", "95 % intervals.", "", *table(head, figures)]
    return [*lines, *_by_class(audit)]


def _kinds(power: Mapping[str, Any]) -> Mapping[str, Any]:
    kinds = power.get("kinds")
    return kinds if isinstance(kinds, dict) else {}


def _test_row(name: str, test: Mapping[str, Any]) -> tuple[str, str, str]:
    numbers = [test.get(key) for key in ("p", "p_adjusted")]
    first, second = (f"{one:.3g}" if isinstance(one, int | float) else "not tested" for one in numbers)
    return name, first, second


def _released(audit: Audit) -> list[str]:
    done = audit.part("released")
    if not done:
        return []
    return [
        f"- {done.get('dropped')} images were dropped by the release filter; the verdict before was {done.get('first')}"
    ]


def _by_class(audit: Audit) -> list[str]:
    rows = []
    for name, figures in audit.part("by_class").items():
        for metric, value in figures.items() if isinstance(figures, dict) else ():
            estimate = value.get("set", value) if isinstance(value, dict) else value
            if is_estimate(estimate):
                rows.append((name, metric, in_words(estimate)))
    return ["", *table(("class", "metric", "this set"), rows)] if rows else []


def _seven(facts: Facts, audit: Audit | None) -> list[tuple[str, str, str]]:
    return scorecard(
        audit,
        counts=facts.counts,
        unlabelled=facts.unlabelled,
        expected=facts.source.get("classes", ()),
        bound=_bound(facts, audit),
    )

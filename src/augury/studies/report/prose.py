"""The sentences of the page: the verdict and its meaning, the limits, the paragraph for a paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augury.studies.report import charts, words
from augury.studies.report.reading import sentences, table
from augury.studies.report.sections import Results, nouns, primary
from augury.studies.report.words import MISSING, count, metric_title, number

ONE_SOURCE = "The figures hold for new patients of the same source; another scanner or hospital was not tested."
NO_PATIENTS = "Patients were not known: every image was taken for a patient of its own, so intervals may be too narrow."
# Where results.json brings no sentence. {arm}, {reference} and {metric} are filled in.
PLAIN = {
    "HELPS": "{arm} scores a higher {metric} than {reference}.",
    "HURTS": "{arm} scores a lower {metric} than {reference}.",
    "NO MEANINGFUL DIFFERENCE": "{arm} and {reference} do not differ by an amount that matters.",
    "NOT WORSE": "{arm} is not worse than {reference}; a gain has not been shown.",
    "INCONCLUSIVE": "This study cannot tell whether {arm} is better or worse than {reference}.",
}
MEANING = {
    "HELPS": "The adjusted 95 % interval lies above zero against the reference{control}.",
    "HURTS": "The adjusted 95 % interval lies below zero against the reference.",
    "NO MEANINGFUL DIFFERENCE": "The 90 % interval lies within ±{d0}: whatever difference there is, it is too small to "
    "matter.",
    "NOT WORSE": "A loss of {d0} or more is ruled out; a gain has not been shown.",
    "INCONCLUSIVE": "The intervals allow no other word.",
}
QUICK = "One split shows only where the difference leans; the standard preset can give a verdict."
SMALL = "The gain is shown, yet it may be smaller than {d0}, the smallest that matters."
CONTROLLED = " and against its control of repeated real images"


def headline(results: Results, shown: Mapping[str, Any] | None) -> dict[str, Any]:
    """The verdict in one sentence, and what its word means."""
    given, first = table(results.get("headline")), primary(results)
    row = primary_row(shown)
    word = str(given.get("verdict") or (row["verdict"].word if row else "NO VERDICT"))
    plain = PLAIN.get(word, "No contrast was judged.") if first["arm"] else "No contrast was judged."
    metric = in_a_sentence(first["metric"])
    plain = plain.format(arm=first["arm"], reference=first["reference"], metric=metric)
    return {
        "verdict": words.verdict(word),
        "sentence": str(given.get("sentence") or plain),
        "meaning": meaning(results, word, row=row),
        "row": row,
    }


def meaning(results: Results, word: str, *, row: Mapping[str, Any] | None) -> str:
    """What the verdict's word stands for, and what would decide an open question."""
    first = primary(results)
    control = CONTROLLED if row and row["control_arm"] else ""
    said = [MEANING.get(word, "").format(d0=number(first["d0"]), control=control)]
    low = charts.ends(table(table(table(results.get("contrasts")).get(first["arm"])).get("difference")))
    if word == "HELPS" and low and min(low) < first["d0"]:
        said.append(SMALL.format(d0=number(first["d0"])))
    if word == "INCONCLUSIVE" and results.get("preset") == "quick":
        said = [QUICK]
    if row and row["needed"]:
        said.append(f"About {row['needed']} would decide it.")
    return " ".join(said).strip()


def primary_row(shown: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The forest plot's row of the primary contrast."""
    return next((row for row in (shown or {}).get("rows", []) if row["primary"]), None)


def in_a_sentence(metric: str) -> str:
    """A metric's name inside a sentence.

    >>> in_a_sentence("auroc_macro"), in_a_sentence("balanced_accuracy"), in_a_sentence("f1_macro")
    ('macro AUROC', 'balanced accuracy', 'F1, macro')
    """
    title = metric_title(metric)
    return title if title[1:2].isupper() or title[1:2].isdigit() else title[:1].lower() + title[1:]


def limits(results: Results) -> list[str]:
    """The study's limits and the ones that every study has."""
    found, data = sentences(results.get("limits")), table(results.get("data"))
    if data and data.get("patients") is None and not any("atients" in s for s in found):
        found.append(NO_PATIENTS)
    return found if any("same source" in s for s in found) else [*found, ONE_SOURCE]


def citation(results: Results, shown: Mapping[str, Any] | None) -> list[str]:
    """Sentences that may be pasted into a paper: the method, then the numbers; none where nothing was compared."""
    first, data, noun = primary(results), table(results.get("data")), nouns(results)
    row = primary_row(shown)
    if not row:
        return []
    quick = results.get("preset") == "quick"
    design = "on one grouped split" if quick else "by grouped cross-validation"
    plan = results.get("plan_hash") or f"hash {MISSING}"
    versus = f" and from its control {row['control_arm']} by {row['control']}" if row["control_arm"] else ""
    metric, d0 = in_a_sentence(first["metric"]), number(first["d0"])
    return [
        f"The comparison was fixed before the first prediction on test {noun} (plan {plan}).",
        f"Models were trained and tested {design} with several seeds; patients and duplicates were kept whole.",
        f"The primary metric was {metric}; the smallest effect of interest {d0}.",
        intervals(quick=quick),
        f"On {count(data.get('images'), 'images')} of {data.get('name', 'the data set')}, {row['arm']} differed from "
        f"{first['reference']} by {row['against']}{versus}; adjusted p {row['p']}; verdict: {row['verdict'].word}.",
    ]


def intervals(*, quick: bool) -> str:
    """How the intervals came about."""
    bootstrap = "a hierarchical patient-cluster bootstrap (BCa, 2,000 draws)"
    if quick:
        return f"Intervals come from {bootstrap} of one split, which supports no verdict but INCONCLUSIVE."
    student = "the corrected resampled t interval (Nadeau and Bengio 2003)"
    return f"Intervals are the wider of {bootstrap} and {student}, adjusted over arms by Holm's method."

"""The sections that only a study of segmentation has: the published claim, and what was asked and found."""

from __future__ import annotations

from typing import Any

from augury.studies.report.reading import Finished, objects, picture, table
from augury.studies.report.sections import Results
from augury.studies.report.words import estimate_words, finite, interval, number


def claim(results: Results) -> dict[str, Any] | None:
    """What every arm gains over no augmentation, in points of Dice and in per cent of it, beside the published gain."""
    found = table(results.get("claim"))
    scores = table(found.get("scores"))
    rows = [_row(arm, table(facts), table(scores.get(arm))) for arm, facts in table(found.get("arms")).items()]
    published, baseline = finite(found.get("published_percent")), str(found.get("baseline") or "real")
    if not rows or published is None:
        return None
    return {"published": number(published, digits=2), "baseline": baseline, "rows": rows,
            "level": estimate_words(table(scores.get(baseline)))}  # fmt: skip


def _row(arm: str, facts: Results, score: Results) -> dict[str, str]:
    percent = {name: _times(facts.get("ratio"), name) for name in ("value", "low", "high")}
    points = {name: _times(facts.get("points"), name) for name in ("value", "low", "high")}
    shown = {"points": points, "percent": percent}
    return {"arm": arm, "dice": number(score.get("value")), "dice_interval": interval(score)} | {
        f"{name}{part}": text
        for name, value in shown.items()
        for part, text in (
            ("", number(value["value"], sign=True, digits=1)), ("_interval", interval(value, sign=True, digits=1))
        )
    }  # fmt: skip


def _times(estimate: Any, name: str) -> float | None:
    known = finite(table(estimate).get(name))
    return None if known is None else 100 * known


def overlays(study: Finished) -> list[dict[str, Any]]:
    """Rows of pictures: outlines of what was asked (blue) and found (orange)."""
    found = []
    for row in objects(study.gallery.get("overlays")):
        title = str(row.get("title", ""))
        files = row.get("images") if isinstance(row.get("images"), list) else []
        shots = [picture(study.folder / "gallery", f, alt=f"{title}, {i}") for i, f in enumerate(files or [], 1)]
        if any(shots):
            kept = [shot for shot in shots if shot]
            found.append({"title": title, "real": not row.get("synthetic"), "pictures": kept})
    return found


def obeyed(results: Results) -> list[dict[str, str]]:
    """Of each generator: the Dice of asked and found, of real test images, and against other images' masks."""
    rows = []
    for name, facts in table(results.get("generators")).items():
        asked, real = (table(table(facts).get(key)) for key in ("condition_fidelity", "condition_fidelity_real"))
        if not asked:
            continue
        value, best = finite(asked.get("value")), finite(real.get("value"))
        share = number(value / best, digits=2) if value is not None and best else "–"
        shuffled = table(table(facts).get("condition_fidelity_shuffled"))
        rows.append(
            {"generator": name, "asked": estimate_words(asked), "real": estimate_words(real), "share": share,
             "shuffled": estimate_words(shuffled)}
        )  # fmt: skip
    return rows

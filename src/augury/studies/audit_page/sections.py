"""What the sections on copies say, as plain values for the template. Any part of audit.json may be null or absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from augury.studies.audit_page import charts, words
from augury.studies.audit_page.seen import MOST_PAIRS, Pair, Seen
from augury.studies.audit_page.words import Figure, figure
from augury.studies.data_page.pictures import ROWS, small
from augury.studies.report.reading import objects, table
from augury.studies.report.words import count, finite, number, p_value

Facts = Mapping[str, Any]
LEVEL = 0.05  # of a Holm-adjusted p (EVALUATION.md)
NEEDED = 0.8  # power that clears a set (EVALUATION.md)
FEW = 6  # flagged pairs that stand open; a table of more is folded


def key_figures(facts: Facts) -> list[tuple[str, Figure | None]]:
    """The three figures behind the verdict."""
    copies = table(table(facts.get("tests")).get("copies"))
    power = table(facts.get("power"))
    smallest, found = power.get("smallest"), None
    if finite(smallest) is None and power.get("at"):
        most = words.share(max(_as_number(item) for item in power["at"].items()))
        found = Figure(value="none", interval=f"even {most} might have been missed", sample="")
    elif finite(smallest) is not None:
        found = Figure(value=words.share(smallest), interval=_of_set(facts, smallest), sample="")
    return [
        ("Synthetic images flagged", figure(copies.get("set"), percent=True)),
        ("Real images flagged in error", figure(copies.get("holdout"), percent=True)),
        ("Fewest copies it would notice", found),
    ]


def _of_set(facts: Facts, share: Any) -> str:
    """How many images a share of the set is."""
    known, images = finite(share), finite(table(facts.get("set")).get("images"))
    return "" if known is None or images is None else count(max(1, round(known * images)), "images")


def power(facts: Facts) -> dict[str, Any] | None:
    """What the audit would have found, had copies been there; None where it was not measured."""
    given = table(facts.get("power"))
    at = dict(table(given.get("at")))
    if not at and given.get("power") is not None:
        at = {str(given.get("share_planted")): given["power"]}
    rows = [_power_row(facts, planted, estimate) for planted, estimate in sorted(at.items(), key=_as_number)]
    kinds = [_kind_row(name, estimate) for name, estimate in table(given.get("kinds")).items()]
    if not rows and not kinds:
        return None
    return {"rows": rows, "kinds": kinds, "smallest": _smallest(facts, given), "scale": charts.share_scale()}


def _as_number(item: tuple[str, Any]) -> float:
    try:
        return float(item[0])
    except ValueError:
        return 0.0


def _power_row(facts: Facts, planted: str, estimate: Any) -> dict[str, Any]:
    share = _as_number((planted, None))
    title, found = f"{words.share(share)} of the set", figure(estimate, percent=True)
    says = f"{title} copies: noticed in {found or words.NOT_MEASURED}"
    return {"title": title, "note": _of_set(facts, share), "figure": found,
            "strip": charts.share_strip(estimate, says=says, needed=NEEDED)}  # fmt: skip


def _kind_row(name: str, estimate: Any) -> dict[str, Any]:
    found = figure(estimate, percent=True)
    title = f"Copies {words.KINDS[name]}" if name in words.KINDS else words.plain(name)
    return {"title": title, "note": "", "figure": found,
            "strip": charts.share_strip(estimate, says=f"{title}: {found or words.NOT_MEASURED} flagged")}  # fmt: skip


def _smallest(facts: Facts, given: Facts) -> str:
    smallest = given.get("smallest")
    if finite(smallest) is not None:
        images = _of_set(facts, smallest)
        return f"The smallest share noticed in at least four audits of five: {words.share(smallest)}" + (
            f" of the set ({images})." if images else " of the set."
        )
    if "smallest" in given:
        return "No share that was tried would have been noticed in four audits of five: copies may have been missed."
    return ""


def tests(facts: Facts) -> list[dict[str, Any]]:
    """Each test with its figures and what it says."""
    return [_test_row(name, table(test)) for name, test in table(facts.get("tests")).items()]


def _test_row(name: str, test: Facts) -> dict[str, Any]:
    title, asks, percent = words.about_test(name)
    adjusted = finite(test.get("p_adjusted"))
    if adjusted is None:
        found = {"tone": "open", "glyph": "?", "word": "NOT TESTED"}
    elif adjusted < LEVEL:
        found = {"tone": "bad", "glyph": "▲", "word": "BEYOND CHANCE"}
    else:
        found = {"tone": "good", "glyph": "=", "word": "WITHIN CHANCE"}
    return {
        "title": title, "asks": asks, "says": str(test.get("says") or ""), "found": found,
        "set": figure(test.get("set"), percent=percent), "holdout": figure(test.get("holdout"), percent=percent),
        "p": p_value(test.get("p")), "p_adjusted": p_value(adjusted),
    }  # fmt: skip


def pairs(seen: Seen, *, images: bool) -> list[dict[str, Any]]:
    """Synthetic images beside their nearest training images, the nearest first."""
    if not images:
        return []
    ordered = sorted(seen.pairs, key=lambda pair: -pair.score)[:MOST_PAIRS]
    return [_pair(pair, place) for place, pair in enumerate(ordered, 1)]


def _pair(pair: Pair, place: int) -> dict[str, Any]:
    of = f", {pair.label}" if pair.label is not None else ""
    marked = ", flagged as a near copy" if pair.flagged else ""
    return {
        "left": small(pair.synthetic, alt=f"Synthetic image {place}{of}{marked}"),
        "right": small(pair.train, alt=f"Training image nearest to synthetic image {place}"),
        "label": pair.label or "no class", "score": number(pair.score, digits=3), "flagged": pair.flagged,
    }  # fmt: skip


def flagged(facts: Facts) -> dict[str, Any]:
    """Flagged images by name."""
    found = objects(facts.get("flagged"))
    rows = [
        {"image": str(one.get("image", "")), "train": str(one.get("train_image", "")),
         "score": number(one.get("score")), "why": str(one.get("why") or "")}
        for one in found[:ROWS]
    ]  # fmt: skip
    more = count(len(found) - ROWS) if len(found) > ROWS else ""
    adjusted = finite(table(table(facts.get("tests")).get("copies")).get("p_adjusted"))
    by_chance = bool(rows) and adjusted is not None and adjusted >= LEVEL
    return {"rows": rows, "count": count(len(found), "images"), "more": more, "open": len(found) <= FEW,
            "by_chance": by_chance}  # fmt: skip


def scores(seen: Seen) -> dict[str, Any] | None:
    """Both histograms of scores; None where either side has none."""
    sides: Sequence[tuple[str, str, Any]] = (
        ("Synthetic images", "against", np.asarray(seen.score_S, dtype=float)),
        ("Real images that cannot be copies", "control", np.asarray(seen.control_C, dtype=float)),
    )
    if any(not np.isfinite(score_N).any() for _, _, score_N in sides) or not np.isfinite(seen.threshold):
        return None
    axis = charts.score_axis([score_N[np.isfinite(score_N)] for _, _, score_N in sides], threshold=seen.threshold)
    rows = []
    for title, kind, score_N in sides:
        above = f"{count(int((score_N > seen.threshold).sum()))} of {count(len(score_N))} above the threshold"
        chart = charts.scores(
            score_N[np.isfinite(score_N)], axis, threshold=seen.threshold, kind=kind,
            says=f"{title}: {above}; median {number(float(np.nanmedian(score_N)))}",
        )  # fmt: skip
        rows.append({"title": title, "above": above, "chart": chart})
    return {"rows": rows, "scale": charts.score_scale(axis, threshold=seen.threshold),
            "threshold": number(seen.threshold)}  # fmt: skip

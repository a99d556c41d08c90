"""What the sections on quality, membership and method say, as plain values. Any part of audit.json may be absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from augury.studies.audit_page import charts, words
from augury.studies.audit_page.seen import Seen
from augury.studies.audit_page.words import Figure, figure
from augury.studies.data_page.charts import spread
from augury.studies.report.reading import table
from augury.studies.report.words import count, duration, finite, number

Facts = Mapping[str, Any]
SIDES = ("set", "floor", "ceiling")
SETTINGS = ("seed", "device")


def metrics(facts: Facts) -> list[dict[str, Any]]:
    """Per encoder its metrics, by the question that they speak to; the many of single images apart, to be folded."""
    found = []
    for encoder, part in table(facts.get("metrics")).items():
        title = words.WITHOUT_ENCODER.get(encoder, f"Encoder: {encoder}")
        says = str(table(facts.get("encoders")).get(encoder) or "")
        shifts = {name: value for name, value in table(part).items() if name.startswith(words.SHIFTS)}
        rest = {name: value for name, value in table(part).items() if name not in shifts}
        found.append({"title": title, "says": says, "groups": _grouped(rest), "folded": ""})
        folded = f"{count(len(shifts), 'figures')} of brightness and texture"
        found.append({"title": title, "says": "", "groups": _grouped(shifts), "folded": folded})
    return [one for one in found if one["groups"]]


def _grouped(found: Facts) -> list[tuple[str, list[dict[str, Any]]]]:
    rows: dict[str, list[dict[str, Any]]] = {group: [] for group in (*words.GROUPS, words.OTHER)}
    for name, part in found.items():
        rows[words.group_of(name)].append(_metric_row(name, table(part)))
    return [(group, shown) for group, shown in rows.items() if shown]


def _metric_row(name: str, part: Facts) -> dict[str, Any]:
    title, gloss, percent = words.metric(name)
    cells = {side: figure(part.get(side), percent=percent) for side in SIDES}
    says = f"{title}: " + "; ".join(f"{side} {found or words.NOT_MEASURED}" for side, found in cells.items())
    strip = charts.metric_strip(part.get("set"), floor=part.get("floor"), ceiling=part.get("ceiling"), says=says)
    return {"name": name, "title": title, "gloss": gloss, "cells": list(cells.items()), "strip": strip,
            "refused": str(part["refused"]) if part.get("refused") else ""}  # fmt: skip


def by_class(facts: Facts) -> dict[str, Any] | None:
    """One row for each class, one column for each figure; None where nothing was measured by class."""
    rows = {str(name): table(found) for name, found in table(facts.get("by_class")).items()}
    if not rows:
        return None
    columns = list(dict.fromkeys(name for found in rows.values() for name in found if name != "refused"))
    return {
        "columns": [words.metric(name)[:2] for name in columns],
        "rows": [
            {
                "name": name, "refused": str(found.get("refused") or ""),
                "cells": [_class_cell(found.get(column), percent=words.metric(column)[2]) for column in columns],
            }
            for name, found in rows.items()
        ],
    }  # fmt: skip


def _class_cell(value: Any, *, percent: bool) -> dict[str, Any]:
    """A figure, or the reason why there is none; a plain number or text as it is."""
    part = table(value)
    found = figure(part.get("set", value), percent=percent)
    if found is not None:
        return {"figure": found, "text": ""}
    if part:
        return {"figure": None, "text": str(part.get("refused") or words.NOT_MEASURED)}
    plain = finite(value)
    text = words.NOT_MEASURED if value is None else str(value) if plain is None else f"{plain:g}"
    return {"figure": None, "text": text}


def distributions(seen: Seen) -> list[dict[str, Any]]:
    """How each statistic of single images is spread among real and synthetic images."""
    drawn, other = [], "held-out real" if table(seen.facts.get("holdout")) else "real, training"
    for name, (real, synthetic) in seen.values.items():
        title, gloss = words.STATISTICS.get(name, (words.plain(name), ""))
        sides = {other: real, "synthetic": synthetic}
        rows = {side: value_N for side, found in sides.items() if len(value_N := _finite(found))}
        if rows and np.ptp(np.concatenate(list(rows.values()))) > 0:
            sizes = ", ".join(f"{count(len(value_N))} {side}" for side, value_N in rows.items())
            drawn.append({"title": title, "gloss": f"{gloss} ({sizes})".strip(), "chart": spread(rows, digits=2),
                          "both": len(rows) == 2})  # fmt: skip
    return drawn


def _finite(value_N: Any) -> Any:
    known_N = np.asarray(value_N, dtype=np.float64)
    return known_N[np.isfinite(known_N)]


def canaries(facts: Facts) -> dict[str, Any] | None:
    """What became of planted marks; None where none were planted."""
    found = table(facts.get("canaries"))
    if not found:
        return None
    told = [
        ("Planted", count(found.get("planted"), "marks")),
        ("Fitted", f"{found.get('method', 'the generator')}, {count(found.get('steps'), 'steps')}, "
                   f"{count(found.get('images'), 'images')} and the marked ones"),
        ("Searched", count(found.get("samples"), "samples")),
        ("Compared with", count(found.get("decoys"), "marks never planted")),
        ("Exposure", f"{number(found.get('exposure_bits'), digits=1)} bits, mean of "
                     f"{count(found.get('planted'), 'marks')}, no interval"),
        ("Time", duration(found.get("seconds"))),
    ]  # fmt: skip
    share = figure(found.get("share"), percent=True)
    out = f"{count(found.get('out'))} of {count(found.get('planted'), 'marks')} came out"
    return {"out": out, "share": share, "facts": told, "chance": count(1 + (finite(found.get("decoys")) or 199))}


def epsilon(facts: Facts) -> str:
    """What differential privacy promises."""
    found = facts.get("epsilon")
    known = table(found)
    value = finite(known.get("epsilon", found))
    if value is None:
        return ""
    delta, unit = finite(known.get("delta")), str(known.get("unit") or "unit of the fit (patient or image)")
    chance = f", except with a chance of 1 in {count(1 / delta)} (delta)" if delta else ""
    return f"Epsilon is {value:g} for each {unit}{chance}."


def released(facts: Facts) -> str:
    """What the release filter did."""
    found = table(facts.get("released"))
    if not found:
        return ""
    return (
        f"{count(found.get('dropped'), 'images')} were dropped because they lay too near to one patient; before that "
        f"the verdict was {found.get('first') or 'not recorded'}. Everything on this page was measured anew, after it."
    )


def sets(facts: Facts) -> list[dict[str, str]]:
    """The three sets that were compared."""
    titles = {"set": "Synthetic", "train": "Training", "holdout": "Held out"}
    return [_set_row(title, table(facts.get(name))) for name, title in titles.items()]


def _set_row(title: str, found: Facts) -> dict[str, str]:
    if not found:
        return {"title": title, "name": "none given", "images": "", "groups": "", "digest": ""}
    groups = ""
    if found.get("groups") is not None:
        groups = count(found["groups"], "patients" if found.get("patients_known") else "groups")
    return {"title": title, "name": str(found.get("name") or "unnamed"), "images": count(found.get("images")),
            "groups": groups, "digest": str(found.get("digest") or "")}  # fmt: skip


def method(facts: Facts) -> list[tuple[str, str]]:
    """How it was measured, in a few facts."""
    drawn = table(facts.get("set"))
    said = [
        ("Generator", " ".join(str(drawn[key]) for key in ("method", "origin") if drawn.get(key)) or "not known"),
        ("Encoders", ", ".join(name for name in table(facts.get("metrics")) if name not in words.WITHOUT_ENCODER)),
        ("Compared at", _plain(facts["compared_at"]) + " pixels" if facts.get("compared_at") else ""),
        *((words.plain(key), _plain(facts[key])) for key in SETTINGS if facts.get(key) is not None),
        ("Time", duration(facts.get("seconds"))),
    ]  # fmt: skip
    return [(name, value) for name, value in said if value]


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " × ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def versions(facts: Facts) -> str:
    """Programs and their versions."""
    return " · ".join(f"{name} {value}" for name, value in table(facts.get("versions")).items())


def membership(facts: Facts) -> list[tuple[str, Figure]]:
    """Every figure of membership, from whatever encoder or generator it comes."""
    found = []
    for encoder, part in table(facts.get("metrics")).items():
        for name, value in table(part).items():
            shown = figure(table(value).get("set")) if name.startswith("membership") else None
            if shown is not None:
                found.append((f"{words.metric(name)[0]} ({encoder})", shown))
    return found

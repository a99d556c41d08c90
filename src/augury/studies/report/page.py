"""From a study's folder to its page: results.json, plan.json, environment.json and the gallery in, report.html out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from augury.data.cache import write_atomically
from augury.studies.report import masks, prose, sections
from augury.studies.report.reading import Finished, objects, picture, read, table
from augury.studies.report.words import METRICS, SEVEN, count, metric_title, number


def build(folder: Path) -> Path:
    """Write report.html into a finished study's folder and return its path.

    The page loads nothing from elsewhere. Raises UserError where the folder holds no readable results, or cannot be
    written.
    """
    path = folder / "report.html"
    write_atomically(path, render(read(folder)))
    return path


def render(study: Finished) -> str:
    """The page as text; the same study gives the same bytes."""
    return environment().get_template("template.html.j2").render(context(study))


def environment(*folders: Path) -> Environment:
    """The templates in these folders and in this one, whose frame and style all pages share."""
    found = Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters["breakable"] = breakable
    return found


def breakable(arm: object) -> Markup:
    """An arm's id that may be broken after its colons.

    >>> breakable("mixed:<cgan>")
    Markup('mixed:<wbr>&lt;cgan&gt;')
    """
    return Markup("<wbr>").join(escape(part) for part in str(arm).replace(":", ":\0").split("\0"))


def context(study: Finished) -> dict[str, Any]:
    """Everything that the template shows."""
    results = study.results
    shown = sections.forest(results)
    first = sections.primary(results)
    return {
        "question": str(results.get("question") or "Does it help on these images?"),
        "preset": str(results.get("preset") or ""),
        "data": data_facts(results),
        "hash": str(results.get("plan_hash") or study.plan.get("hash") or study.plan.get("plan_hash") or ""),
        "primary": first | {"title": metric_title(first["metric"]), "means": METRICS.get(first["metric"], ("", ""))[1],
                            "band": number(first["d0"])},
        "headline": prose.headline(results, shown),
        "forest": shown,
        "absolute": sections.per_arm(results),
        "curve": sections.curve(results),
        "grids": grids(study),
        "neighbours": neighbours(study),
        "receipt": sections.receipt(study),
        "generators": sections.generators(results),
        "claim": masks.claim(results),
        "overlays": masks.overlays(study),
        "obeyed": masks.obeyed(results),
        "seven": sections.seven(results),
        "seven_columns": [metric_title(name) for name in SEVEN],
        "gate": sections.gate(results),
        "limits": prose.limits(results),
        "ran": sections.ran(study),
        "citation": prose.citation(results, shown),
        "noun": sections.nouns(results),
    }  # fmt: skip


def data_facts(results: Mapping[str, Any]) -> dict[str, Any]:
    """The data set in a few counts."""
    data = table(results.get("data"))
    unreadable = data.get("unreadable")
    unreadable = len(unreadable) if isinstance(unreadable, list) else unreadable
    facts = [
        ("Images", count(data.get("images"))),
        ("Patients", "not known" if data.get("patients") is None else count(data["patients"])),
        ("Groups", count(data["groups"]) if data.get("groups") is not None else None),
        ("Unlabelled", count(data["unlabelled"]) if data.get("unlabelled") else None),
        ("Unreadable", count(unreadable) if unreadable else None),
    ]
    return {
        "name": str(data.get("name") or "unnamed data"),
        "digest": str(data.get("digest") or ""),
        "facts": [(name, value) for name, value in facts if value],
        "classes": [(name, count(n)) for name, n in table(data.get("classes")).items()],
    }


def grids(study: Finished) -> list[dict[str, Any]]:
    """Sample grids by class, real images first."""
    classes: dict[str, list[dict[str, Any]]] = {}
    for grid in objects(study.gallery.get("grids")):
        title, name = str(grid.get("title", "")), str(grid.get("class", ""))
        kind = "Real" if title == "real" else f"Synthetic ({title})"
        files = grid.get("images") if isinstance(grid.get("images"), list) else []
        found = [picture(study.folder / "gallery", f, alt=f"{kind}, {name}, {i}") for i, f in enumerate(files or [], 1)]
        if any(found):
            classes.setdefault(name, []).append(
                {"title": kind, "real": title == "real", "pictures": [p for p in found if p]}
            )
    return [{"name": n, "sets": sorted(sets, key=lambda s: not s["real"])} for n, sets in classes.items()]


def neighbours(study: Finished) -> list[dict[str, Any]]:
    """Synthetic images beside their nearest training image, the closest first."""
    pairs: dict[str, list[dict[str, Any]]] = {}
    folder = study.folder / "gallery"
    for pair in objects(study.gallery.get("neighbours")):
        generator, name = str(pair.get("generator", "")), str(pair.get("class", ""))
        left = picture(folder, pair.get("synthetic"), alt=f"Synthetic image of {generator}, {name}")
        right = picture(folder, pair.get("nearest"), alt="Nearest training image to the synthetic one before it")
        if left and right:
            facts = {"class": name, "left": left, "right": right, "r": pair.get("correlation")}
            pairs.setdefault(generator, []).append(facts)
    for found in pairs.values():
        found.sort(key=lambda p: -(p["r"] if isinstance(p["r"], int | float) else -1.0))
    return [
        {"generator": g, "pairs": [p | {"r": number(p["r"], digits=2)} for p in found]} for g, found in pairs.items()
    ]

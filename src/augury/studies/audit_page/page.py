"""From an audit to its page: audit.html."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from augury.data.cache import write_atomically
from augury.studies import data_page
from augury.studies.audit_page import figures, sections
from augury.studies.audit_page.seen import Seen
from augury.studies.audit_page.verdicts import look, meaning
from augury.studies.data_page.page import path_words
from augury.studies.report.page import environment
from augury.studies.report.reading import sentences, table
from augury.studies.report.words import count

NARROW = "\u202f"  # a space at which no line ends


def build(folder: Path, seen: Seen, *, images: bool = True) -> Path:
    """Write audit.html into the folder and return its path; with `images` False no picture is in it.

    The page loads nothing from elsewhere. UserError where it cannot be written.
    """
    path = folder / "audit.html"
    write_atomically(path, render(seen, images=images))
    return path


def render(seen: Seen, *, images: bool) -> str:
    """The page as text; the same audit gives the same bytes."""
    pages = environment(Path(__file__).parent, Path(data_page.__file__).parent)
    pages.filters["path"] = path_words
    return pages.get_template("audit.html.j2").render(context(seen, images=images))


def context(seen: Seen, *, images: bool) -> dict[str, Any]:
    """Everything that the template shows."""
    facts, drawn = seen.facts, table(seen.facts.get("set"))
    return {
        "name": str(drawn.get("name") or "unnamed set"),
        "digest": str(drawn.get("digest") or ""),
        "counts": count(drawn.get("images"), "images"),
        "classes": [(name, count(n)) for name, n in table(drawn.get("classes")).items()],
        "images": images,
        "verdict": look(facts.get("verdict")),
        "sentence": str(facts.get("sentence") or "No sentence was recorded.").replace(" %", NARROW + "%"),
        "meaning": meaning(facts),
        "key_figures": sections.key_figures(facts),
        "power": sections.power(facts),
        "tests": sections.tests(facts),
        "level": sections.LEVEL,
        "pairs": sections.pairs(seen, images=images),
        "flagged": sections.flagged(facts),
        "scores": sections.scores(seen),
        "metrics": figures.metrics(facts),
        "distributions": figures.distributions(seen),
        "by_class": figures.by_class(facts),
        "membership": figures.membership(facts),
        "canaries": figures.canaries(facts),
        "epsilon": figures.epsilon(facts),
        "released": figures.released(facts),
        "sets": figures.sets(facts),
        "method": figures.method(facts),
        "versions": figures.versions(facts),
        "notes": sentences(facts.get("notes")),
        "holdout": bool(table(facts.get("holdout"))),
    }

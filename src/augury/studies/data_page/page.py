"""From an examined set to its page: check.html."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from augury.data.cache import write_atomically
from augury.studies.check import Examined
from augury.studies.data_page import sections
from augury.studies.data_page.pictures import ROWS
from augury.studies.report.page import environment

LONGEST = 160  # letters of a name that are shown


def build(folder: Path, examined: Examined, *, images: bool = True) -> Path:
    """Write check.html into the folder and return its path; with `images` False no pixel of the set is in it.

    The page loads nothing from elsewhere and stays below `pictures.BOUND` bytes. UserError where it cannot be written.
    """
    path = folder / "check.html"
    write_atomically(path, render(examined, images=images))
    return path


def render(examined: Examined, *, images: bool) -> str:
    """The page as text; the same set gives the same bytes."""
    pages = environment(Path(__file__).parent)
    pages.filters["path"] = path_words
    return pages.get_template("data.html.j2").render(context(examined, images=images))


def path_words(name: object) -> Markup:
    """A file's name that may be broken after its separators, and is cut in its middle where it is very long.

    >>> path_words("a/b_<c>")
    Markup('a/<wbr>b_<wbr>&lt;c&gt;')
    """
    text = str(name)
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
    return Markup("<wbr>").join(escape(part) for part in re.findall(r"[^/_\\-]*[/_\\-]?", text) if part)


def context(examined: Examined, *, images: bool) -> dict[str, Any]:
    """Everything that the template shows."""
    found = examined.found
    problems = sections.problems(found)
    noun = "images" if found["patients"] is None else "patients"
    return {
        "name": found["name"],
        "digest": found["digest"],
        "images": images,
        "headline": sections.headline(problems),
        "problems": problems,
        "facts": sections.facts(found),
        "classes": sections.classes(found),
        "more_classes": max(0, len(found["classes"]) - ROWS),
        "montages": sections.montages(examined.manifest) if images else [],
        "sizes": sections.sizes(examined),
        "spreads": sections.spreads(examined),
        "pairs": sections.pairs(examined, images=images),
        "leaks": sections.leaks(found),
        "shortcuts": sections.shortcuts(found),
        "neighbours": sections.neighbours(found),
        "unreadable": sections.listed(found["unreadable"]),
        "masks": sections.listed(found["mask_faults"]),
        "power": sections.power(found, noun=noun),
        "notes": found["notes"],
        "preparation": found["preparation"],
        "noun": noun,
    }

"""An audit as words for a terminal: the verdict first, then the few figures behind it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from augury.studies.audit_page.sections import key_figures
from augury.studies.audit_page.verdicts import meaning
from augury.studies.audit_page.words import Figure, about_test, figure, metric, share
from augury.studies.report.reading import table
from augury.studies.report.words import count, duration, finite, p_value

Facts = Mapping[str, Any]
WIDTH, LINES = 100, 30
BY = "  by "
FIRST = ("kid", "c2st", "manifold_precision", "manifold_recall", "density", "coverage", "label_fidelity", "vendi",
         "ms_ssim", "unique_fraction", "frechet")  # fmt: skip


def audit_text(facts: Facts) -> str:
    """What `augury audit` says to people: lines of at most WIDTH columns, and of figures no more than fill LINES."""
    lines = [
        str(facts.get("verdict")),
        *textwrap.wrap(str(facts.get("sentence") or ""), WIDTH),
        *textwrap.wrap(f"It does not mean: {_lower(meaning(facts).not_means)}", WIDTH),
        "", *_compared(facts), *_power(facts), *_found(facts), "", *_tests(facts),
    ]  # fmt: skip
    figures = list(_metrics(facts))
    shown = figures[: max(0, LINES - len(lines) - 3)]
    if shown:
        lines += ["", _cells("figure", "this set", "held-out real images"), *shown]
    more = sum(not line.startswith(BY) for line in figures[len(shown) :])
    lines += [f"and {count(more, 'figures')} more in audit.json"] if more else []
    return "\n".join(line.rstrip() for line in lines)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _row(name: str, value: str) -> Iterator[str]:
    """A name and what is said of it; what is too long goes on in the next line."""
    return iter(textwrap.wrap(value, WIDTH, initial_indent=f"{name:20} ", subsequent_indent=" " * 21))


def _brief(found: Figure | None) -> str:
    return "not measured" if found is None else f"{found.value} ({found.interval}), {found.sample}"


def _cells(name: str, first: str, second: str) -> str:
    """Three columns, closer where they are long: only a reason in words is ever cut."""
    line = f"{name:26} {first:36} {second}".rstrip()
    if len(line) > WIDTH:
        room = WIDTH - len(first) - len(second) - 2
        line = f"{name:{max(len(name), room)}} {first} {second}".rstrip()
    return line if len(line) <= WIDTH else textwrap.shorten(line, WIDTH, placeholder=" …")


def _compared(facts: Facts) -> Iterator[str]:
    said = []
    for name, words in (("set", "synthetic"), ("train", "training"), ("holdout", "held-out")):
        known = table(facts.get(name))
        noun = "patients" if known.get("patients_known") else "groups"
        groups = f" ({count(known['groups'], noun)})" if known.get("groups") is not None else ""
        said.append(f"{count(known['images'])} {words} images{groups}" if known else f"no {words} images")
    yield from _row("compared", ", ".join(said))
    if finite(facts.get("seconds")) is not None:
        yield from _row("time", duration(facts["seconds"]))


def _power(facts: Facts) -> Iterator[str]:
    given = table(facts.get("power"))
    at = table(given.get("at"))
    if not at:
        yield from _row("could have found", "not measured: no copies were planted")
        return
    planted, estimate = next(iter(at.items()))
    yield from _row(
        "could have found", f"{share(float(planted))} of copies in {_brief(figure(estimate, percent=True))}"
    )
    smallest = given.get("smallest")
    least = share(smallest) if finite(smallest) is not None else "none of the shares tried"
    yield from _row("", f"smallest share noticed in four audits of five: {least}")


def _found(facts: Facts) -> Iterator[str]:
    (_, drawn), (_, real), _ = key_figures(facts)
    yield from _row("flagged as copies", _brief(drawn))
    yield from _row("flagged in error", f"{_brief(real)} (real, not trained on)" if real else _brief(None))
    canaries = table(facts.get("canaries"))
    if canaries:
        out = f"{count(canaries.get('out'))} of {count(canaries.get('planted'))} came out"
        yield from _row("canaries", f"{out}: {_brief(figure(canaries.get('share'), percent=True))}")
    released = table(facts.get("released"))
    if released:
        yield from _row(
            "release filter", f"dropped {count(released.get('dropped'), 'images')}; before: {released.get('first')}"
        )


def _tests(facts: Facts) -> Iterator[str]:
    found = table(facts.get("tests"))
    if found:
        yield _cells("test (adjusted p)", "this set", "real, not trained on")
    for name, test in found.items():
        title, _, percent = about_test(name)
        known = table(test)
        tested = finite(known.get("p_adjusted")) is not None
        words = f"{title} ({p_value(known.get('p_adjusted'))})" if tested else f"{title} (not tested)"
        sides = (_brief(figure(known.get(side), percent=percent)) for side in ("set", "holdout"))
        yield _cells(words, *sides)


def _metrics(facts: Facts) -> Iterator[str]:
    for encoder, found in table(facts.get("metrics")).items():
        known = table(found)
        shown = [name for name in FIRST if name in known]
        if shown:
            yield f"{BY}{encoder}"
        for name in shown:
            part, percent = table(known[name]), metric(name)[2]
            if part.get("refused"):
                yield _cells(name, f"refused: {part['refused']}", "")
            else:
                sides = (_brief(figure(part.get(side), percent=percent)) for side in ("set", "floor"))
                yield _cells(name, *sides)

"""Estimates of an audit as words and as the lines of a table: never a number without its interval, n and unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MISSING = "not measured"


def in_words(estimate: Any) -> str:
    """One estimate of audit.json.

    >>> in_words({"value": 0.5, "low": 0.25, "high": 0.75, "n": 40, "unit": "image"})
    '0.5 (0.25 to 0.75; n = 40 images)'
    >>> in_words(None)
    'not measured'
    """
    if not is_estimate(estimate):
        return MISSING
    unit = f" {estimate['unit']}s" if estimate.get("unit") else ""
    ends = [_short(estimate.get(end)) for end in ("low", "high")]
    return f"{_short(estimate['value'])} ({ends[0]} to {ends[1]}; n = {estimate.get('n', '?')}{unit})"


def is_estimate(value: Any) -> bool:
    """Whether a JSON value is an estimate with a number in it."""
    return isinstance(value, dict) and isinstance(value.get("value"), int | float)


def metric_rows(metrics: Mapping[str, Any], *, names: Sequence[str] | None = None) -> Iterator[tuple[str, ...]]:
    """(metric, encoder, set, floor, ceiling) of each metric; of those that begin with one of `names`, None: of all."""
    for encoder, found in metrics.items():
        for name, part in found.items() if isinstance(found, dict) else ():
            if isinstance(part, dict) and (names is None or any(name.startswith(one) for one in names)):
                refused = part.get("refused")
                value = f"refused: {refused}" if refused else in_words(part.get("set"))
                yield name, encoder, value, in_words(part.get("floor")), in_words(part.get("ceiling"))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; a bar or a line break in a cell would end it."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell(text) for text in line) + " |" for line in lines]


def cell(text: str) -> str:
    """Text that may stand in a cell, a heading or a line of Markdown.

    >>> cell("a|b" + chr(10) + "# c")
    'a\\\\|b # c'
    """
    return " ".join(str(text).replace("|", "\\|").split())


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else "?"

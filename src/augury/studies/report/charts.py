"""Inline SVG: interval strips that share one axis, and the learning curve.

A strip has no viewBox: positions are percentages of the cell that it fills, marks keep their size, and the zero line
and the band run through the rows of a table. Every text passes through Markup.format, which escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from markupsafe import Markup

from augury.studies.report.words import count, estimate_words, finite, metric_title, number

Estimate = Mapping[str, Any]
SQUARE = Markup('<rect x="-5.5" y="-5.5" width="11" height="11"/>')
DIAMOND = Markup('<path d="M0-6 6 0 0 6-6 0z"/>')
CAP = Markup('<line y1="-4" y2="4"/>')
ARROW_LOW, ARROW_HIGH = Markup('<path d="M8-5 1 0 8 5z"/>'), Markup('<path d="M-8-5-1 0-8 5z"/>')
CLOSE = Markup("</svg>")


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A linear axis from low to high with its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def percent(self, value: float) -> float:
        """Position of a value, 0 to 100 inside the axis."""
        return 100 * (value - self.low) / (self.high - self.low)

    def leaves(self, estimates: Iterable[Estimate | None]) -> bool:
        """Whether a part of any estimate lies beyond the axis."""
        return any(not self.low <= v <= self.high for e in estimates for v in ends(e))

    def digits(self) -> int:
        """Decimals that tell neighbouring ticks apart."""
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 0.1
        return max(0, -math.floor(math.log10(step) + 1e-9))


def nice_axis(low: float, high: float, *, target: int = 5) -> Axis:
    """An axis around [low, high] with about `target` round ticks inside it.

    >>> nice_axis(-0.031, 0.058).ticks
    (-0.02, 0.0, 0.02, 0.04)
    """
    span = max(high - low, 1e-6)
    power = 10 ** math.floor(math.log10(span / target))
    step = min((power * m for m in (1, 2, 5, 10)), key=lambda s: abs(span / s - target))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(low=low, high=low + span, ticks=tuple(round(i * step, 10) for i in range(first, last + 1)))


def ends(estimate: Estimate | None) -> list[float]:
    """The finite numbers among value, low and high."""
    found = (finite((estimate or {}).get(key)) for key in ("value", "low", "high"))
    return [value for value in found if value is not None]


def difference_axis(rows: Sequence[Sequence[Estimate | None]], *, d0: float) -> Axis:
    """The axis that all strips share: zero, twice the band, the first row, each row within 4 times the median reach.

    One arm that fails badly would squeeze all others into a line; it gets an arrow at the edge instead, as in printed
    forest plots, and its numbers stand beside it.
    """
    reach = [max((abs(v) for e in row for v in ends(e)), default=0.0) for row in rows]
    limit = max([2 * d0, 4 * median(reach or [0.0]), *reach[:1]])
    inside = [v for row in rows for e in row for v in ends(e) if abs(v) <= limit]
    low, high = min([-2 * d0, *inside]), max([2 * d0, *inside])
    pad = 0.04 * (high - low)
    return nice_axis(low - pad, high + pad)


def at(axis: Axis, value: float, *, y: float, kind: str, shape: Markup) -> Markup:
    """A mark of fixed size at a value."""
    return Markup('<svg class="{}" x="{:.2f}%" y="{:g}%">{}</svg>').format(kind, axis.percent(value), y, shape)


def whisker(axis: Axis, estimate: Estimate | None, *, y: float, kind: str, shape: Markup) -> Markup:
    """One estimate with its interval; what leaves the axis becomes an arrow."""
    value = finite((estimate or {}).get("value"))
    if value is None:
        return Markup("")
    low, high = min(ends(estimate)), max(ends(estimate))
    left, right = max(low, axis.low), min(high, axis.high)
    line = Markup('<line class="{} reach" x1="{:.2f}%" x2="{:.2f}%" y1="{:g}%" y2="{:g}%"/>')
    parts = [line.format(kind, axis.percent(min(left, axis.high)), axis.percent(max(right, axis.low)), y, y)]
    for end, edge, arrow, out in (
        (low, axis.low, ARROW_LOW, low < axis.low),
        (high, axis.high, ARROW_HIGH, high > axis.high),
    ):
        parts.append(at(axis, edge if out else end, y=y, kind=kind, shape=arrow if out else CAP))
    if axis.low <= value <= axis.high:
        parts.append(at(axis, value, y=y, kind=kind, shape=shape))
    return Markup("").join(parts)


def ground(axis: Axis, *, d0: float) -> Markup:
    """The band of differences too small to matter, and the zero line."""
    return Markup(
        '<rect class="band" x="{:.2f}%" width="{:.2f}%" height="100%"/>'
        '<line class="zero" x1="{:.2f}%" x2="{:.2f}%" y1="0" y2="100%"/>'
    ).format(axis.percent(-d0), axis.percent(d0) - axis.percent(-d0), axis.percent(0), axis.percent(0))


def strip(axis: Axis, reference: Estimate | None, control: Estimate | None, *, d0: float, label: str) -> Markup:
    """One row of the forest plot: a filled square against the reference, an open diamond against the control."""
    rows = (36.0, 68.0) if control and reference else (50.0, 50.0)
    says = f"{label}: difference to the reference {estimate_words(reference, sign=True)}"
    if control:
        says += f"; difference to its control {estimate_words(control, sign=True)}"
    head = Markup('<svg class="strip" role="img" aria-label="{}">').format(says)
    body = whisker(axis, control, y=rows[1], kind="control", shape=DIAMOND)
    return head + ground(axis, d0=d0) + body + whisker(axis, reference, y=rows[0], kind="against", shape=SQUARE) + CLOSE


def scale(axis: Axis, *, sign: bool = True) -> Markup:
    """The axis under the strips: ticks with numbers, with a plus where `sign` is set.

    Hidden from screen readers, to whom the rows say their numbers.
    """
    tick = Markup('<svg class="tick" x="{:.2f}%" y="0"><line y2="5"/><text y="19" text-anchor="middle">{}</text></svg>')
    marks = (tick.format(axis.percent(t), number(t, digits=axis.digits(), sign=sign)) for t in axis.ticks)
    line = Markup('<line class="base" x1="0" x2="100%" y1="0.5" y2="0.5"/>')
    return Markup('<svg class="strip scale" aria-hidden="true">') + line + Markup("").join(marks) + CLOSE


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A plot area in user units: x and y axes on a box with its left, top, width and height."""

    x: Axis
    y: Axis
    left: float = 58
    top: float = 16
    width: float = 600
    height: float = 250

    def px(self, value: float) -> float:
        """Horizontal position in user units."""
        return self.left + self.width * self.x.percent(value) / 100

    def py(self, value: float) -> float:
        """Vertical position in user units; larger values are higher."""
        return self.top + self.height * (1 - self.y.percent(value) / 100)


def grid(plot: Plot, *, across: str, up: str) -> Markup:
    """Grid lines, tick numbers and the two axis titles."""
    bottom, right = plot.top + plot.height, plot.left + plot.width
    line = Markup('<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>')
    text = Markup('<text class="muted" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    parts = [line.format(plot.left, right, plot.py(t), plot.py(t)) for t in plot.y.ticks]
    parts += [
        text.format(plot.left - 9, plot.py(t) + 4, "end", number(t, digits=plot.y.digits())) for t in plot.y.ticks
    ]
    parts += [text.format(plot.px(t), bottom + 19, "middle", count(t)) for t in plot.x.ticks]
    parts.append(text.format(plot.left + plot.width / 2, bottom + 41, "middle", across))
    parts.append(text.format(plot.left, plot.top - 4, "start", up))
    parts.append(
        Markup('<line class="base" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(plot.left, right, bottom, bottom)
    )
    return Markup("").join(parts)


def curve_marks(plot: Plot, points: Iterable[Mapping[str, Any]]) -> Markup:
    """The curve, its intervals and its points."""
    known = [p for p in points if finite(p["estimate"].get("value")) is not None]
    path = " ".join(f"{plot.px(p['patients']):.1f},{plot.py(p['estimate']['value']):.1f}" for p in known)
    parts = [Markup('<polyline class="curve" points="{}"/>').format(path)]
    for point in known:
        x, reach = plot.px(point["patients"]), ends(point["estimate"])
        bar = Markup('<line class="against reach" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}"/>')
        parts.append(bar.format(x, plot.py(min(reach)), plot.py(max(reach))))
        dot = Markup('<circle class="against" cx="{:.1f}" cy="{:.1f}" r="4.5"/>')
        parts.append(dot.format(x, plot.py(point["estimate"]["value"])))
    return Markup("").join(parts)


def worth_marks(plot: Plot, last: Mapping[str, Any], *, value: float, worth: float, noun: str) -> Markup:
    """The arm's level, carried to the right until the reference would reach it."""
    full = last["patients"]
    x0, x1, y, base = plot.px(full), plot.px(full + worth), plot.py(value), plot.top + plot.height
    return Markup(
        '<line class="beyond" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
        '<line class="level" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
        '<line class="level" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
        '<svg class="control" x="{:.1f}" y="{:.1f}" overflow="visible">{}</svg>'
        '<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>'
    ).format(
        *(x0, x1, plot.py(last["estimate"]["value"]), y),
        *(plot.left, x1, y, y),
        *(x1, x1, y, base),
        *(x0, y, DIAMOND),
        *(x1 - 8, base - 10, "end", f"+{count(worth, noun)}"),
    )


def is_drawn(points: Sequence[Mapping[str, Any]], *, value: float | None, worth: float | None) -> bool:
    """Whether an arm's worth is drawn: positive and no larger than the set, for nobody should read a curve further."""
    return value is not None and worth is not None and 0 < worth <= max(float(p["patients"]) for p in points)


def learning_curve(
    points: Sequence[Mapping[str, Any]],
    *,
    metric: str,
    noun: str,
    value: float | None = None,
    worth: float | None = None,
) -> Markup:
    """The reference's score against the number of patients, and where an arm's score would be reached.

    `value` and `worth` are the arm's score and the patients it is worth; see is_drawn.
    """
    full = max(float(p["patients"]) for p in points)
    shown = is_drawn(points, value=value, worth=worth)
    heights = [v for p in points for v in ends(p["estimate"])] + ([value] if shown and value is not None else [])
    pad = 0.08 * max(max(heights) - min(heights), 0.01)
    right = full + (worth or 0.0) if shown else full
    plot = Plot(x=nice_axis(0, 1.06 * right, target=6), y=nice_axis(min(heights) - pad, max(heights) + pad))
    says = "Learning curve. " + "; ".join(
        f"{count(p['patients'], noun)}: {estimate_words(p['estimate'])}" for p in points
    )
    head = Markup('<svg class="chart" viewBox="0 0 680 320" role="img" aria-label="{}">').format(says)
    across = f"{noun} whose labelled images were used for training"
    body = grid(plot, across=across, up=metric_title(metric)) + curve_marks(plot, points)
    if shown and value is not None and worth is not None:
        body += worth_marks(plot, points[-1], value=value, worth=worth, noun=noun)
    return head + body + CLOSE

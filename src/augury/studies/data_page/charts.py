"""Inline SVG of the data page: how a measure is spread in each class, and what could be detected. N images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from augury.studies.report.charts import CLOSE, Axis, Plot, grid, nice_axis
from augury.studies.report.words import count, number

BINS = 48
ROW = 34  # user units of one class
LEFT, WIDTH, RIGHT = 118, 300, 440
NAME = 15  # letters of a class's name that fit beside its row


def spread(values: Mapping[str, NDArray[np.float64]], *, digits: int) -> Markup:
    """One row for each class: its histogram as an area, all with one axis and each with its own height, and its median.

    Every class must have a value.
    """
    whole = np.concatenate(list(values.values()))
    axis = nice_axis(float(whole.min()), float(whole.max()), target=6)
    bottom = ROW * len(values)
    medians = "; ".join(f"{name}: median {np.median(value_n):.{digits}f}" for name, value_n in values.items())
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        RIGHT, bottom + 34, medians
    )
    rows = (_row(name, value_n, axis, top=ROW * place) for place, (name, value_n) in enumerate(values.items()))
    return head + Markup("").join(rows) + _scale(axis, bottom, digits=digits) + CLOSE


def _row(name: str, value_n: NDArray[np.float64], axis: Axis, *, top: float) -> Markup:
    shown = name if len(name) <= NAME else name[: NAME - 1] + "…"
    count_b = np.histogram(value_n, bins=BINS, range=(axis.low, axis.high))[0]
    height_b = (ROW - 7) * count_b / max(int(count_b.max()), 1)
    base, step = top + ROW - 2, WIDTH / BINS
    places = [(LEFT + step * b, base - height) for b, height in enumerate(height_b)]
    path = f"M{LEFT} {base}" + "".join(f"V{y:.1f}H{x + step:.1f}" for x, y in places) + f"V{base}z"
    middle = LEFT + WIDTH * axis.percent(float(np.median(value_n))) / 100
    return Markup(
        '<text class="muted" x="{}" y="{}" text-anchor="end">{}</text><path class="area" d="{}"/>'
        '<line class="middle" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>'
    ).format(LEFT - 12, base - 5, shown, path, middle, middle, top + 4, base)


def _scale(axis: Axis, bottom: float, *, digits: int) -> Markup:
    tick = Markup(
        '<line class="base" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
        '<text class="muted" x="{0:.1f}" y="{3}" text-anchor="middle">{4}</text>'
    )
    line = Markup('<line class="base" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, LEFT + WIDTH, bottom, bottom)
    marks = (
        tick.format(LEFT + WIDTH * axis.percent(t) / 100, bottom, bottom + 5, bottom + 20, number(t, digits=digits))
        for t in axis.ticks
    )
    return line + Markup("").join(marks)


def power(points: Sequence[tuple[int, float]], *, here: int, value: float, noun: str) -> Markup:
    """The smallest detectable difference against those of the rarest class; this set is marked."""
    plot = Plot(x=nice_axis(0, 1.02 * points[-1][0], target=6), y=nice_axis(0, 1.08 * points[0][1]), height=200)
    says = "; ".join(f"{n} {noun}: {difference:.3f}" for n, difference in points)
    head = Markup('<svg class="chart" viewBox="0 0 680 270" role="img" aria-label="{}">').format(says)
    path = " ".join(f"{plot.px(n):.1f},{plot.py(difference):.1f}" for n, difference in points)
    x, y = plot.px(here), plot.py(value)
    mark = Markup(
        '<polyline class="curve" points="{}"/><line class="level" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
        '<circle class="against" cx="{:.1f}" cy="{:.1f}" r="5"/><text x="{:.1f}" y="{:.1f}">this set: {} at {}</text>'
    ).format(path, x, x, y, plot.top + plot.height, x, y, x + 12, y - 8, number(value), count(here, noun))
    across, up = f"independent {noun} of the rarest class", "smallest detectable difference in AUROC"
    return head + grid(plot, across=across, up=up) + mark + CLOSE

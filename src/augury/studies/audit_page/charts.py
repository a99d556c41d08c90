"""Inline SVG of the audit page: shares, where a set lies between floor and ceiling, and the scores of the search.

Positions are percentages of the cell or figure that a chart fills, so that letters keep their size on a narrow screen.
N images, B bins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from augury.studies.report.charts import CLOSE, DIAMOND, SQUARE, Axis, at, ends, nice_axis, scale, whisker
from augury.studies.report.words import number

Estimate = Mapping[str, Any]
TRIANGLE = Markup('<path d="M0-6 6 5-6 5z"/>')
SHARES = Axis(low=-0.02, high=1.02, ticks=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
BINS = 60
MOST_DOTS = 300
_HEAD = Markup('<svg class="strip" role="img" aria-label="{}">')
_DOWN = Markup('<line class="{}" x1="{:.2f}%" x2="{:.2f}%" y1="{}" y2="{}"/>')


def _upright(axis: Axis, value: float, *, kind: str, y: tuple[str, str] = ("0", "100%")) -> Markup:
    place = axis.percent(value)
    return _DOWN.format(kind, place, place, *y)


def share_strip(estimate: Estimate | None, *, says: str, needed: float | None = None) -> Markup:
    """A share from 0 to 1 with its interval; the level that it must reach is a dashed line."""
    ground = Markup("").join(_upright(SHARES, tick, kind="grid") for tick in SHARES.ticks)
    level = _upright(SHARES, needed, kind="level") if needed is not None else Markup("")
    return _HEAD.format(says) + ground + level + whisker(SHARES, estimate, y=50, kind="against", shape=SQUARE) + CLOSE


def share_scale() -> Markup:
    """The axis below share strips, in per cent."""
    return scale(Axis(low=-2, high=102, ticks=(0, 20, 40, 60, 80, 100)), sign=False)


def metric_strip(found: Estimate | None, *, floor: Estimate | None, ceiling: Estimate | None, says: str) -> Markup:
    """The set (square) between real held-out images (diamond) and spoiled ones (triangle), on an axis of its own.

    Nothing where only one of them is known: without another, a place says nothing.
    """
    shown = [(found, "against", SQUARE), (floor, "control", DIAMOND), (ceiling, "spoiled", TRIANGLE)]
    values = [value for estimate, _, _ in shown for value in ends(estimate)]
    if sum(bool(ends(estimate)) for estimate, _, _ in shown) < 2:
        return Markup("")
    pad = 0.06 * (max(values) - min(values)) or 0.5
    axis = Axis(low=min(values) - pad, high=max(values) + pad, ticks=())
    marks = (
        whisker(axis, estimate, y=y, kind=kind, shape=shape)
        for (estimate, kind, shape), y in zip(shown, (24.0, 50.0, 76.0), strict=True)
    )
    return _HEAD.format(says) + Markup("").join(marks) + CLOSE


def score_axis(samples: Iterable[NDArray[np.floating]], *, threshold: float) -> Axis:
    """The axis that both histograms of scores share."""
    whole = np.concatenate([*samples, [threshold]])
    pad = 0.03 * max(float(np.ptp(whole)), 0.01)
    return nice_axis(float(whole.min()) - pad, float(whole.max()) + pad, target=6)


def scores(score_N: NDArray[np.floating], axis: Axis, *, threshold: float, kind: str, says: str) -> Markup:
    """How many images have which score; beyond the threshold each one is a dot, for a bar would be too low to see."""
    height_B = np.histogram(score_N, bins=BINS, range=(axis.low, axis.high))[0].astype(float)
    height_B *= 80 / max(height_B.max(), 1)
    wide = 100 / BINS
    bar = Markup('<rect class="{}" x="{:.2f}%" y="{:.1f}%" width="{:.2f}%" height="{:.1f}%"/>')
    bars = (bar.format(kind, b * wide, 100 - high, 0.88 * wide, high) for b, high in enumerate(height_B) if high)
    dot = Markup('<circle r="3"/>')
    above = np.sort(score_N[score_N > threshold])[::-1][:MOST_DOTS]
    dots = (at(axis, float(value), y=10, kind=kind, shape=dot) for value in above)
    base = Markup('<line class="base" x1="0" x2="100%" y1="100%" y2="100%"/>')
    line = _upright(axis, threshold, kind="level")
    return _HEAD.format(says) + Markup("").join(bars) + base + line + Markup("").join(dots) + CLOSE


def score_scale(axis: Axis, *, threshold: float) -> Markup:
    """The axis below the histograms, with the threshold in words."""
    text = Markup('<svg class="mark" x="{:.2f}%" y="0"><text y="38" text-anchor="{}">flagged above {} →</text></svg>')
    place = axis.percent(threshold)
    body = scale(axis, sign=False).removesuffix(CLOSE)
    return Markup(body) + text.format(place, "end" if place > 60 else "start", number(threshold, digits=3)) + CLOSE

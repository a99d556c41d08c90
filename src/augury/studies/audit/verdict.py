"""The four words of an audit (EVALUATION.md), and the sentence that an officer for data protection reads."""

from __future__ import annotations

from collections.abc import Mapping

from augury.metrics.estimate import Estimate

COPIES, ELEVATED, NONE, UNTESTABLE = "COPIES FOUND", "ELEVATED", "NO EVIDENCE OF COPYING", "NOT TESTABLE"
VERDICTS = (COPIES, ELEVATED, NONE, UNTESTABLE)
ERROR = 0.05
FEWEST = 30  # held-out groups, below which a set is never cleared


def word(p_adjusted: Mapping[str, float], *, flagged: int, powerful: bool, held_groups: int) -> str:
    """The verdict from the Holm-adjusted p of each test, by its name; the test for copies is called "copies"."""
    if p_adjusted.get("copies", 1.0) < ERROR and flagged:
        return COPIES
    if any(p < ERROR for p in p_adjusted.values()):
        return ELEVATED
    return NONE if powerful and held_groups >= FEWEST else UNTESTABLE


def sentence(
    verdict: str,
    *,
    share: Estimate,
    alarms: Estimate,
    smallest: float | None,
    held_groups: int,
    controls: int,
    rejecting: list[str],
) -> str:
    """What was found in one sentence, with what it does not mean in a second."""
    found = f"{_percent(share.value)} of {share.n} synthetic images ({_percent(share.low)} to {_percent(share.high)})"
    chance = f"{_percent(alarms.value)} of images that can be no copies would"
    if verdict == COPIES:
        return (
            f"The set holds near copies of training images: {found} match one so closely as {chance}; treat the set as "
            "you treat the training images."
        )
    if verdict == ELEVATED:
        return (
            f"No test of single images proves a copy, but the set is nearer to its training images than chance allows "
            f"({', '.join(rejecting)}); share it no more widely than the training images."
        )
    if verdict == NONE:
        return (
            f"No sign of copying was found, by a search that would have found it if {_percent(smallest or 0)} of the "
            f"images were near copies ({found} flagged, as {chance}); this does not make the set anonymous."
        )
    why = (
        f"{held_groups} patients or groups were held out, at least {FEWEST} are needed"
        if held_groups < FEWEST
        else f"with {share.n} synthetic images and {controls} real ones to compare them with, "
        + (
            f"{_percent(smallest)} of copies is the smallest share that would have been found"
            if smallest is not None
            else "even 20 % of copies might be missed"
        )
    )
    return f"Whether the set holds copies cannot be told: {why}; treat it as you treat the training images."


def _percent(share: float) -> str:
    """
    >>> _percent(0.012), _percent(0.2)
    ('1.2 %', '20 %')
    """
    return f"{100 * share:.3g} %"

"""The four words: what each needs, and that no sentence promises more."""

from __future__ import annotations

import pytest

from augury.metrics.privacy import share_of
from augury.studies.audit.verdict import COPIES, ELEVATED, FEWEST, NONE, UNTESTABLE, VERDICTS, sentence, word

QUIET = {"copies": 0.4, "membership": 0.9}


@pytest.mark.parametrize(
    ("p", "flagged", "powerful", "held", "expected"),
    [
        ({**QUIET, "copies": 0.01}, 3, True, 100, COPIES),
        ({**QUIET, "copies": 0.01}, 0, True, 100, ELEVATED),  # nothing to show
        ({**QUIET, "membership": 0.01}, 3, True, 100, ELEVATED),  # flags that chance explains
        ({"copies": 0.01, "membership": 0.01}, 1, False, 5, COPIES),  # copies are copies, however weak the search
        (QUIET, 0, True, FEWEST, NONE),
        (QUIET, 0, False, 100, UNTESTABLE),
        (QUIET, 0, True, FEWEST - 1, UNTESTABLE),
        ({}, 0, True, 100, NONE),
    ],
)
def test_the_word(p: dict[str, float], flagged: int, powerful: bool, held: int, expected: str) -> None:
    assert word(p, flagged=flagged, powerful=powerful, held_groups=held) == expected


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("smallest", [None, 0.02])
def test_no_sentence_calls_a_set_anonymous(verdict: str, smallest: float | None) -> None:
    said = sentence(
        verdict, share=share_of(3, 400), alarms=share_of(1, 200, unit="group"), smallest=smallest, held_groups=90,
        controls=180, rejecting=["membership"],
    )  # fmt: skip
    assert "anonymous" not in said.replace("does not make the set anonymous", "")
    assert said.endswith(".")
    if verdict in (COPIES, NONE):
        assert "0.75 %" in said
    if verdict == UNTESTABLE:
        assert ("2 %" if smallest else "20 %") in said
        assert "180 real ones" in said

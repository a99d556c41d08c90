"""What `augury audit` prints: the verdict first, and no more than fits a screen."""

from __future__ import annotations

from typing import Any

import pytest
from tests.studies.audited import full, without_holdout

from augury.app.audit_words import LINES, WIDTH, audit_text


@pytest.mark.parametrize("facts", [full(), without_holdout(), {"verdict": "NOT TESTABLE", "sentence": "No."}])
def test_the_verdict_stands_first_and_all_of_it_fits_a_screen(facts: dict[str, Any]) -> None:
    lines = audit_text(facts).splitlines()
    assert lines[0] == facts["verdict"]
    assert " ".join(lines[1:]).startswith(facts["sentence"])
    assert len(lines) <= LINES
    assert all(len(line) <= WIDTH for line in lines)


def test_every_number_has_its_interval_n_and_unit() -> None:
    text = audit_text(full())
    for words in (
        "1 % of copies in 86 % (",
        "), 200 runs",
        "2.25 % (0.483 to 4.02 %), 400 images",
        "Near copies (<0.001)",
        "0.041 (0.032 to 0.050), 95 groups",
    ):
        assert words in text, words


def test_what_was_refused_and_what_was_not_measured_is_said() -> None:
    text = audit_text(without_holdout())
    for words in ("not measured: no copies were planted", "(not tested)", "refused: no held-out images"):
        assert words in text, words

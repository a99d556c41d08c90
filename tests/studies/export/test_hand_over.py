"""No audit, no export; and the card says first what the audit said."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.studies.export.conftest import DREW, write_audit

from augury.errors import Refused, UserError
from augury.studies.export import Audit, audit_of, audited_already, hand_over, synthetic_set
from augury.studies.export.audited import VERDICTS
from augury.studies.export.seven_cs import CRITERIA

DAY = date(2026, 11, 22)


def handed(folder: Path, out: Path, audit: Audit | None, **asked: Any) -> str:
    """The card of the set in the folder, exported as a manifest."""
    manifest = synthetic_set(str(folder))
    hand_over(manifest, str(folder), out, layout="manifest", audit=audit, on=DAY, **asked)
    return (out / "card.md").read_text()


def audited(folder: Path) -> Audit:
    return audit_of(synthetic_set(str(folder)), folder)


def test_without_an_audit_the_command_is_named(drawn: Path) -> None:
    with pytest.raises(Refused, match=r"was not audited.*augury audit .*s --train DATA"):
        audited(drawn)


def test_an_audit_of_another_set_does_not_count(drawn: Path) -> None:
    write_audit(drawn)
    audited(drawn)
    lines = (drawn / "manifest.csv").read_text().splitlines()
    (drawn / "manifest.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(Refused, match="is of another set"):
        audited(drawn)
    assert audited_already(synthetic_set(str(drawn)), drawn) is None


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"schema": 2, "verdict": "ELEVATED"}', '{"schema": 1, "verdict": "FINE"}']
)
def test_what_is_no_audit_is_refused(text: str, drawn: Path) -> None:
    write_audit(drawn).write_text(text)
    with pytest.raises(UserError, match="audit"):
        audited(drawn)


def test_the_audit_may_lie_elsewhere(drawn: Path, tmp_path: Path) -> None:
    write_audit(drawn).rename(tmp_path / "elsewhere.json")
    found = audit_of(synthetic_set(str(drawn)), drawn, file=tmp_path / "elsewhere.json")
    assert found.verdict == "NO EVIDENCE OF COPYING"


def test_a_real_image_is_refused(drawn: Path) -> None:
    content = (drawn / "manifest.csv").read_text()
    (drawn / "manifest.csv").write_text(content.replace(f"000005.png,{DREW}", "000005.png,real"))
    with pytest.raises(Refused, match="1 of 6 images of 's' are real"):
        synthetic_set(str(drawn))


def test_copies_go_out_only_where_that_is_said(drawn: Path, tmp_path: Path) -> None:
    write_audit(drawn, verdict="COPIES FOUND")
    with pytest.raises(Refused, match=r"COPIES FOUND \(1 images flagged\).*--despite-copies"):
        handed(drawn, tmp_path / "out", audited(drawn))
    assert not (tmp_path / "out").exists()
    card = handed(drawn, tmp_path / "out", audited(drawn), despite_copies=True)
    assert card.startswith("# COPIES FOUND: 6 synthetic images")
    assert "despite that" in card


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_verdict_is_in_the_first_line_and_in_the_metadata(verdict: str, drawn: Path, tmp_path: Path) -> None:
    write_audit(drawn, verdict=verdict)
    card = handed(drawn, tmp_path / "out", audited(drawn), despite_copies=True)
    assert card.splitlines()[0].startswith(f"# {verdict}: ")
    assert f"{verdict}: none of the 6 images" in card.splitlines()[2]
    assert json.loads((tmp_path / "out" / "croissant.json").read_text())["description"].startswith(f"{verdict}: ")


def test_without_an_audit_the_card_says_so_first(drawn: Path, tmp_path: Path) -> None:
    card = handed(drawn, tmp_path / "out", None)
    assert card.startswith("# NOT AUDITED: 6 synthetic images")
    assert "Nobody looked" in card.splitlines()[2]


def test_the_card_holds_figures_with_their_intervals_and_names_nobody(drawn: Path, tmp_path: Path) -> None:
    write_audit(drawn)
    card = handed(drawn, tmp_path / "out", audited(drawn))
    assert "| kid | own (internal) | 0.125 (0.0625 to 0.25; n = 40 images) | 0.0312" in card
    assert "refused: needs 5 images a feature, got 40" in card
    assert "planted copies (0.01 of the set): 0.96 (0.48 to 1.92; n = 100 runs)" in card
    assert "compared with 900 training images of wards and 200 held-out images" in card
    assert "2 images were dropped by the release filter; the verdict before was COPIES FOUND" in card
    assert "images near a training image: 1" in card
    whole = "".join(path.read_text() for path in (tmp_path / "out").iterdir() if path.is_file())
    assert not [word for word in ("Quixote", "MRN4711") if word in whole]


def test_every_criterion_is_there_and_filled_where_it_is_known(drawn: Path, tmp_path: Path) -> None:
    write_audit(drawn, epsilon={"epsilon": 8.0, "delta": 1e-5})
    card = handed(drawn, tmp_path / "out", audited(drawn))
    rows = {name: next(line for line in card.splitlines() if line.startswith(f"| {name} |")) for name in CRITERIA}
    assert "kid 0.125" in rows["congruence"]
    assert "vendi 0.125" in rows["coverage"]
    assert "not measured" in rows["constraint"]
    assert "2 classes; every image has its class" in rows["completeness"]
    assert (
        "NO EVIDENCE OF COPYING; differentially private, epsilon 8.0, delta 1e-05; copies 0.125" in rows["compliance"]
    )
    assert "label_fidelity: from b 0.25 (0.125 to 0.5; n = 40 images) to a 0.75" in rows["consistency"]
    assert "| differential privacy | epsilon 8.0, delta 1e-05 |" in card


def test_the_generators_own_promise_goes_before_that_of_the_audit(drawn: Path, tmp_path: Path) -> None:
    promised = {"epsilon": 3.0, "delta": 1e-6, "unit": "patient"}
    record = {"kind": "set", "digest": "d", "parents": {}, "ids": ["feed"], "groups": [], "versions": {},
              "facts": {"method": "cvae", "seed": 7, "generator": {"classes": ["a", "b", "c"], "counts": [1, 2, 3],
                        "data": "wards", "dp": promised}}}  # fmt: skip
    (drawn / "artefact.json").write_text(json.dumps(record))
    write_audit(drawn, epsilon={"epsilon": 8.0, "delta": 1e-5})
    card = handed(drawn, tmp_path / "out", audited(drawn))
    assert "| differential privacy | epsilon 3.0, delta 1e-06, for each patient |" in card
    assert "fitted to wards: 6 images (a 1, b 2, c 3)" in card
    assert "2 classes; not there: c; every image has its class" in card
    assert "feed" not in card


def test_an_audit_with_hardly_anything_in_it_still_makes_a_card(drawn: Path, tmp_path: Path) -> None:
    file = write_audit(drawn)
    facts = json.loads(file.read_text())
    file.write_text(json.dumps({name: facts[name] for name in ("schema", "set", "verdict", "sentence")}))
    card = handed(drawn, tmp_path / "out", audited(drawn))
    assert "power of the test, from planted copies (? of the set): not measured" in card


def test_the_licence_is_stated_or_said_to_be_absent(drawn: Path, tmp_path: Path) -> None:
    assert "| licence | not stated: " in handed(drawn, tmp_path / "a", None)
    assert "| licence | CC-BY-4.0 |" in handed(drawn, tmp_path / "b", None, licence="CC-BY-4.0")
    metadata = json.loads((tmp_path / "b" / "croissant.json").read_text())
    assert metadata["license"] == "https://spdx.org/licenses/CC-BY-4.0"
    assert metadata["datePublished"] == "2026-11-22"
    with pytest.raises(UserError, match="SPDX"):
        handed(drawn, tmp_path / "c", None, licence="do as you like")


def test_a_strange_class_breaks_no_table(drawn: Path, tmp_path: Path) -> None:
    content = (drawn / "manifest.csv").read_text()
    (drawn / "manifest.csv").write_text(content.replace(",a,", ',"x | y\n# z",'))
    card = handed(drawn, tmp_path / "out", None)
    assert "x \\| y # z 3" in card
    assert [line for line in card.splitlines() if line.startswith("# ")] == [card.splitlines()[0]]

"""augury export as a stranger would type it."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest
from tests.app.conftest import Augury, write_classes
from tests.studies.export.conftest import audit_facts

from augury.data.importers import load


@pytest.fixture
def drawn(augury: Augury, generator: Path, tmp_path: Path) -> Path:
    assert augury("sample", generator, "-n", 6, "--out", tmp_path / "s", "--quiet").status == 0
    return tmp_path / "s"


def put_audit(folder: Path, verdict: str) -> None:
    (folder / "audit").mkdir()
    facts = audit_facts(load(folder).digest, verdict=verdict)
    (folder / "audit" / "audit.json").write_text(json.dumps(facts))


def test_no_audit_no_export(augury: Augury, drawn: Path, tmp_path: Path) -> None:
    argv = ["export", drawn, "--to", "dicom", "--out", tmp_path / "d"]
    augury(*argv).expect_one_line("was not audited", f"augury audit {drawn} --train DATA")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("to", ["manifest", "medmnist", "imagefolder", "monai", "dicom", "class_folders"])
def test_what_was_exported_is_a_data_set_again(to: str, augury: Augury, drawn: Path, tmp_path: Path) -> None:
    done = augury("export", drawn, "--to", to, "--out", tmp_path / "d", "--without-audit", "--json")
    assert done.status == 0, done.err
    assert done.facts["verdict"] == "NOT AUDITED"
    assert done.facts["images"] == 6
    assert done.facts["classes"] == {"a": 3, "b": 3}
    found = augury("check", tmp_path / "d", "--json")
    assert found.status == 0, found.err
    assert found.facts["classes"] == {"a": 3, "b": 3}
    assert found.facts["unreadable"] == []


def test_the_card_knows_the_generator_and_what_it_was_fitted_to(augury: Augury, drawn: Path, tmp_path: Path) -> None:
    assert augury("export", drawn, "--to", "manifest", "--out", tmp_path / "d", "--without-audit").status == 0
    card = (tmp_path / "d" / "card.md").read_text()
    assert card.startswith("# NOT AUDITED: 6 synthetic images, drawn by cvae")
    assert "fitted to set: 30 images (a 15, b 15)" in card
    assert "4 steps of 8 images" in card
    ids = json.loads((drawn / "artefact.json").read_text())["ids"]
    whole = "".join(path.read_text() for path in (tmp_path / "d").iterdir() if path.is_file())
    assert not [one for one in ids if one in whole]
    assert not (tmp_path / "d" / "artefact.json").exists()


def test_an_audited_set_goes_out(augury: Augury, drawn: Path, tmp_path: Path) -> None:
    put_audit(drawn, "NO EVIDENCE OF COPYING")
    done = augury("export", drawn, "--to", "dicom", "--out", tmp_path / "d", "--licence", "CC0-1.0", "--json")
    assert done.status == 0, done.err
    assert done.facts["verdict"] == "NO EVIDENCE OF COPYING"
    headers = [pydicom.dcmread(path) for path in (tmp_path / "d").rglob("*.dcm")]
    assert {header.SyntheticData for header in headers} == {"YES"}


def test_the_verdict_cannot_be_hidden(augury: Augury, drawn: Path, tmp_path: Path) -> None:
    put_audit(drawn, "COPIES FOUND")
    argv = ["export", drawn, "--to", "manifest", "--out", tmp_path / "d"]
    augury(*argv).expect_one_line("COPIES FOUND", "--despite-copies")
    augury(*argv, "--without-audit").expect_one_line("was audited (COPIES FOUND)")
    assert augury(*argv, "--despite-copies").status == 0
    assert (tmp_path / "d" / "card.md").read_text().startswith("# COPIES FOUND: ")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--to", "tiff", "--without-audit"], ["'tiff'", "manifest", "dicom"]),
        (["--to", "nnunet", "--without-audit"], ["6 of 6 images have no masks", "nnunet"]),
        (["--to", "csv", "--without-audit"], ["'csv'", "manifest"]),
        (["--to", "manifest", "--without-audit", "--despite-copies"], ["--without-audit", "leave one out"]),
        (["--to", "manifest", "--without-audit", "--licence", "be kind"], ["'be kind'", "SPDX"]),
        (["--to", "manifest", "--audit", "none.json"], ["was not audited", "none.json"]),
    ],
)
def test_mistakes_are_one_line(more: list[str], words: list[str], augury: Augury, drawn: Path, tmp_path: Path) -> None:
    augury("export", drawn, "--out", tmp_path / "d", *more).expect_one_line(*words)
    assert not (tmp_path / "d").exists()


def test_real_images_stay(augury: Augury, tmp_path: Path) -> None:
    data = write_classes(tmp_path / "real", {"a": 3, "b": 3})
    argv = ["export", data, "--to", "manifest", "--out", tmp_path / "d", "--without-audit"]
    augury(*argv).expect_one_line("6 of 6 images of 'real' are real", "augury sample")

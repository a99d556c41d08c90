"""Three stages through the command line: many organs, then the target from there, then drawing; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from tests.app.conftest import Augury, patients, rows_of, write_classes, write_manifest

from augury.app.cli import main

NET = ["--set", "net.widths=[16,24]", "--set", "snapshots=0", "--batch", "8", "--size", "32", "--quiet"]
PHANTOM = "phantom:breast?n=16&size=64&seed=3"


@pytest.fixture(scope="module")
def organs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flow that was fitted to three organs for a few steps: read it, never change it."""
    place = tmp_path_factory.mktemp("organs")
    data = write_classes(place / "set", {"benign": 8, "knee": 8, "lung": 8})
    assert main(["fit", "flow", str(data), "--out", str(place / "model"), "--steps", "8", *NET]) == 0
    return place / "model"


def facts(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "artefact.json").read_text())
    return found


def test_pretrain_then_fine_tune_by_a_branch_then_draw(augury: Augury, organs: Path, tmp_path: Path) -> None:
    argv = ["fit", "flow", PHANTOM, "--out", tmp_path / "m", "--init", organs, "--steps", 6, *NET]
    done = augury(*argv, "--condition", "label,mask", "--set", "control=branch")
    assert done.status == 0, done.err
    parent, child = facts(organs), facts(tmp_path / "m")
    assert child["parents"] == {"init": parent["digest"]}
    assert set(parent["ids"]) < set(child["ids"])  # what the parent saw counts as seen
    assert "started from" in (tmp_path / "m" / "card.md").read_text()
    given, kept = (load_file(folder / "weights.safetensors") for folder in (organs, tmp_path / "m"))
    assert (kept["mean.net.decoder.head.weight"] == given["mean.decoder.head.weight"]).all()  # the trunk is frozen
    drawn = augury("sample", tmp_path / "m", "-n", 5, "--like", PHANTOM, "--out", tmp_path / "s")
    assert drawn.status == 0, drawn.err
    assert len(rows_of(tmp_path / "s" / "manifest.csv")) == 5
    assert set(parent["ids"]) < set(facts(tmp_path / "s")["ids"])


def test_another_start_is_another_model(augury: Augury, organs: Path, tmp_path: Path) -> None:
    data = write_manifest(tmp_path / "set", patients(8))
    for name, more in {"from": ["--init", organs], "anew": []}.items():
        assert augury("fit", "flow", data, "--out", tmp_path / name, "--steps", 2, *NET, *more).status == 0
    assert facts(tmp_path / "from")["digest"] != facts(tmp_path / "anew")["digest"]
    other = augury("fit", "flow", data, "--out", tmp_path / "from", "--steps", 2, *NET)
    other.expect_one_line("another", "--out")


def test_what_cannot_be_started_from_is_one_line(augury: Augury, organs: Path, generator: Path, tmp_path: Path) -> None:
    data = write_manifest(tmp_path / "set", patients(8))
    fit = ["fit", "flow", data, "--out", tmp_path / "m", "--steps", 2, *NET]
    augury(*fit, "--init", generator).expect_one_line("cvae", "flow")
    augury(*fit, "--init", tmp_path / "none").expect_one_line("artefact.json")
    augury(*fit, "--init", organs, "--set", "net.widths=[16,32]").expect_one_line("net.widths", "[16, 24]", "[16, 32]")
    larger = ["fit", "flow", data, "--out", tmp_path / "m", "--init", organs, *NET, "--size", 64]
    augury(*larger).expect_one_line("net.patch 2; expected net.patch 4", "32x32 pixels", "64x64 pixels")
    augury("fit", "cvae", data, "--out", tmp_path / "m", "--init", organs).expect_one_line("--init", "flow")
    augury(*fit, "--set", "control=branch").expect_one_line("expected a map")
    rows = [{"image": f"x{i}.png", "label": ("benign", "knee", "lung")[i % 3], "patient": f"p{i}"} for i in range(9)]
    argv = ["fit", "flow", write_manifest(tmp_path / "other", rows), *fit[3:], "--init", organs]
    augury(*argv, "--holdout", organs.parent / "set").expect_one_line("were seen by")
    assert not list(tmp_path.glob("m*"))


def test_latent_space_is_refused_in_one_line_where_lesions_are_lost(augury: Augury, tmp_path: Path) -> None:
    fit = ["fit", "flow", PHANTOM, "--steps", 6, *NET, "--size", 64, "--condition", "mask", "--set", "latent.least=64"]
    fine, coarse = ["--set", "latent.channels=8"], ["--set", "latent.factor=8", "--set", "latent.channels=1"]
    augury(*fit, *coarse, "--out", tmp_path / "m").expect_one_line("of the contrast of the", "latent=null")
    assert not list(tmp_path.glob("m*"))
    assert augury(*fit, *fine, "--out", tmp_path / "n").status == 0
    assert "smallest lesions" in (tmp_path / "n" / "card.md").read_text()
    assert augury("sample", tmp_path / "n", "-n", 2, "--like", PHANTOM, "--out", tmp_path / "s").status == 0

"""A whole study through the command line: a verdict, a page and a model; an interrupt loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.app.conftest import Augury, interrupt_at, rows_of

from augury.app.cli import main

DATA = "phantom:brain?n=80&size=48&slices_per_patient=2"
SMALL = [
    "--preset", "quick", "--size", "32", "--arms", "augmented,mixed:cvae:1", "--generators", "cvae", "--set", "steps=3",
    "--set", "candidates=[light]", "--set", "cvae.steps=3", "--seed", "1",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study: read it, never change it."""
    out = tmp_path_factory.mktemp("studies") / "whole"
    assert main(["study", DATA, "--out", str(out), *SMALL, "--workers", "1", "--quiet"]) == 0
    return out


def test_a_studys_folder_holds_what_the_contract_says(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names >= {
        "plan.json", "results.json", "predictions.csv", "report.html", "best", "artefacts", "log.jsonl",
        "environment.json",
    }  # fmt: skip
    results = json.loads((finished / "results.json").read_text())
    assert set(results["arms"]) == {"augmented", "mixed:cvae:1", "duplicated:1"}
    assert results["headline"]["verdict"] == "INCONCLUSIVE"  # all that one split may say


def test_a_finished_study_returns_at_once_with_the_same_results(augury: Augury, finished: Path) -> None:
    before = (finished / "results.json").read_bytes()
    start = time.monotonic()
    again = augury("study", DATA, "--out", finished, *SMALL, "--json")
    assert again.status == 0, again.err
    assert time.monotonic() - start < 20
    assert again.facts == json.loads(before)
    assert (finished / "results.json").read_bytes() == before
    assert "plan" in again.err
    assert "estimate" in again.err


def test_a_study_reads_for_people(augury: Augury, finished: Path) -> None:
    done = augury("study", DATA, "--out", finished, *SMALL)
    headline = json.loads((finished / "results.json").read_text())["headline"]["sentence"]
    assert headline in done.out
    assert "mixed:cvae:1" in done.out
    assert "report.html" in done.out


def test_the_best_model_predicts(augury: Augury, finished: Path, tmp_path: Path) -> None:
    done = augury("predict", finished / "best", DATA, "--out", tmp_path / "p.csv", "--json")
    assert done.status == 0, done.err
    assert done.facts["seen_in_training"] == 80
    assert len(rows_of(tmp_path / "p.csv")) == 80


def test_the_report_is_built_again(augury: Augury, finished: Path) -> None:
    page = finished / "report.html"
    before = page.read_bytes()
    page.unlink()
    done = augury("report", finished, "--json")
    assert done.status == 0, done.err
    assert done.facts["report"] == str(page)
    assert page.read_bytes() == before


def test_a_report_of_nothing(augury: Augury, tmp_path: Path) -> None:
    augury("report", tmp_path).expect_one_line("results.json")
    augury("report", tmp_path / "nowhere").expect_one_line("nowhere")


def test_an_output_folder_of_another_study(augury: Augury, finished: Path) -> None:
    before = (finished / "results.json").read_bytes()
    augury("study", DATA, "--out", finished, *SMALL, "--seed", 2).expect_one_line("another study", "seed", "--out")
    augury("study", DATA.replace("n=80", "n=90"), "--out", finished, *SMALL).expect_one_line("--out")
    assert (finished / "results.json").read_bytes() == before


def test_a_plan_gives_the_same_predictions_elsewhere(augury: Augury, finished: Path, tmp_path: Path) -> None:
    plan = finished / "plan.json"
    done = augury("study", DATA, "--out", tmp_path / "s", "--plan", plan, "--workers", 1, "--quiet")
    assert done.status == 0, done.err
    assert (tmp_path / "s" / "predictions.csv").read_bytes() == (finished / "predictions.csv").read_bytes()


def test_a_plan_that_was_changed_by_hand(augury: Augury, finished: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text((finished / "plan.json").read_text().replace('"smallest_effect": 0.02', '"smallest_effect": 0.0'))
    augury("study", DATA, "--out", tmp_path / "s", "--plan", plan).expect_one_line("hash", "unchanged")


def test_an_interrupted_study_goes_on_to_the_same_predictions(
    augury: Augury, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["study", DATA, "--out", tmp_path / "s", "--plan", finished / "plan.json", "--workers", 1]
    for moment in (2, 3):
        with monkeypatch.context() as patch:
            interrupt_at("training (core seconds)", moment, patch)
            stopped = augury(*argv)
        assert stopped.status == 130, stopped.err
        assert stopped.err.splitlines()[-1].startswith("augury: interrupted")
        assert not (tmp_path / "s" / "results.json").exists()
    assert augury(*argv).status == 0
    assert (tmp_path / "s" / "predictions.csv").read_bytes() == (finished / "predictions.csv").read_bytes()


def test_ctrl_c_at_a_terminal_ends_the_workers_without_a_traceback(finished: Path, tmp_path: Path) -> None:
    study = ["study", DATA, "--out", str(tmp_path / "s"), "--plan", str(finished / "plan.json"), "--workers", "2"]
    argv = [sys.executable, "-m", "augury.app.cli", *study]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0) as child:
        assert child.stderr is not None
        while "estimate" not in (line := child.stderr.readline()):
            assert line, "ended before it began"
        time.sleep(4)  # the workers are at their imports or at work
        subprocess.run(["kill", "-INT", "--", f"-{child.pid}"], check=True)  # as a terminal does: to all of them
        err = child.stderr.read()  # ends when the last of them has closed it
        assert child.wait(timeout=60) == 130, err
    assert "Traceback" not in err, err
    assert err.splitlines()[-1].startswith("augury: interrupted")

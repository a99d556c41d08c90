"""A study goes on where it was, returns at once when finished, and never mixes with another."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from augury.data import provenance
from augury.data.phantoms import phantom_set
from augury.errors import Refused, UserError
from augury.predictors import load as load_predictor
from augury.studies import plan
from augury.studies.runner import Ledger, run_study
from augury.studies.study import Study

Tiny = Callable[..., Study]


def facts(folder: Path) -> dict[str, object]:
    """results.json without its times."""
    results = json.loads((folder / "results.json").read_text())
    del results["compute"]
    for arm in results["arms"].values():
        del arm["seconds"]
    return results  # type: ignore[no-any-return]


def test_a_finished_study_has_everything_that_was_promised(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names >= {"plan.json", "results.json", "predictions.csv", "report.html", "best", "artefacts", "log.jsonl",
                     "environment.json", "gallery"}  # fmt: skip
    results = json.loads((finished / "results.json").read_text())
    assert results["leaks"]["patients_shared"] == results["leaks"]["duplicates_shared"] == 0
    assert set(results["contrasts"]) == set(results["arms"]) - {"augmented"}
    assert results["contrasts"]["mixed:cvae:0.5"]["control"] == "duplicated:0.5"
    assert results["splits"] == 1
    assert {c["verdict"] for c in results["contrasts"].values()} == {"INCONCLUSIVE"}  # one split cannot decide
    assert not (finished / "artefacts" / ".work").exists() or not any((finished / "artefacts" / ".work").iterdir())


def test_every_metric_has_an_interval_around_its_value(finished: Path) -> None:
    for arm in json.loads((finished / "results.json").read_text())["arms"].values():
        for found in arm["metrics"].values():
            assert found["low"] <= found["value"] <= found["high"]
            assert found["n"] > 1


def test_a_finished_study_returns_at_once_and_touches_nothing(finished: Path, tiny: Tiny) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file() and path.name != ".lock"}
    results = run_study(tiny(finished))
    after = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file() and path.name != ".lock"}
    assert results == json.loads((finished / "results.json").read_text())
    assert after == before


def test_two_processes_say_what_one_says(finished: Path, tiny: Tiny, tmp_path: Path) -> None:
    run_study(tiny(tmp_path, workers=2))
    assert (tmp_path / "predictions.csv").read_bytes() == (finished / "predictions.csv").read_bytes()
    assert facts(tmp_path) == facts(finished)


def test_no_step_depends_on_what_the_process_did_before(finished: Path, tiny: Tiny, tmp_path: Path) -> None:
    """A resumed study makes its steps in processes with another past: global randomness must not enter."""
    torch.manual_seed(99)
    torch.rand(1234)
    run_study(tiny(tmp_path))
    assert (tmp_path / "predictions.csv").read_bytes() == (finished / "predictions.csv").read_bytes()
    for choice in (finished / "artefacts").glob("tune-*/choice.json"):
        assert (tmp_path / "artefacts" / choice.parent.name / choice.name).read_bytes() == choice.read_bytes()


def test_an_earlier_plan_gives_the_same_study(finished: Path, tiny: Tiny, tmp_path: Path) -> None:
    results = run_study(tiny(tmp_path, plan=finished / "plan.json", arms=None, overrides={}))
    assert (tmp_path / "predictions.csv").read_bytes() == (finished / "predictions.csv").read_bytes()
    assert results["plan_hash"] == json.loads((finished / "plan.json").read_text())["hash"]


@pytest.mark.parametrize("change", [{"seed": 1}, {"arms": ("real",)}, {"smallest_effect": 0.01}])
def test_the_folder_of_another_study_is_refused(finished: Path, tiny: Tiny, change: dict[str, object]) -> None:
    with pytest.raises(UserError, match="another study"):
        run_study(tiny(finished, **change))


def test_a_plan_for_other_images_is_refused(finished: Path, tiny: Tiny, tmp_path: Path) -> None:
    other = tiny(tmp_path, plan=finished / "plan.json", data="phantom:brain?n=240&size=32&seed=6")
    with pytest.raises(UserError, match="digest"):
        run_study(other)


def test_a_plan_that_was_edited_is_refused(finished: Path, tiny: Tiny, tmp_path: Path) -> None:
    text = (finished / "plan.json").read_text().replace('"steps": 8', '"steps": 9')
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(UserError, match="unchanged"):
        run_study(tiny(tmp_path / "study", plan=tmp_path / "plan.json"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "steps from 1"),
        ({"steps": "many"}, "steps"),
        ({"folds": 2}, "at least 3 folds"),
        ({"seeds": 0}, "1 seed"),
        ({"candidates": []}, "candidates"),
        ({"candidates": ["huge"]}, "candidates"),
        ({"cvae.steps": 0}, "steps from 1"),
        ({"cvae.nonsense": 1}, "nonsense"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_in_one_line(
    tiny: Tiny, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        run_study(tiny(tmp_path, overrides=change))
    assert "\n" not in str(caught.value)


def test_synthetic_images_are_never_scored(tiny: Tiny, tmp_path: Path) -> None:
    folder = phantom_set("brain?n=240&size=32&seed=5")
    lines = (folder / "manifest.csv").read_text().splitlines()
    marked = [lines[0] + ",origin", *(f"{line},{'real' if i else 'abc'}" for i, line in enumerate(lines[1:]))]
    shutil.copytree(folder, tmp_path / "set")
    (tmp_path / "set" / "manifest.csv").write_text("\n".join(marked) + "\n")
    with pytest.raises(Refused, match=r"1 of 240 images .* synthetic"):
        run_study(tiny(tmp_path / "study", data=str(tmp_path / "set")))


def test_a_plan_of_another_revision_is_not_continued(finished: Path, tiny: Tiny, tmp_path: Path) -> None:
    found = plan.read(finished / "plan.json")
    replace(found, revisions={**found.revisions, "classifier": 0}).write(tmp_path)
    with pytest.raises(UserError, match="another revision of classifier"):
        run_study(tiny(tmp_path))


def test_time_of_all_sittings_counts(tmp_path: Path) -> None:
    entries = [
        {"time": 100.0, "began": 90.0}, {"time": 130.0, "step": "a"},  # killed later, nobody knows when
        {"time": 1000.0, "began": 995.0}, {"time": 1020.0, "step": "b"},
    ]  # fmt: skip
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries) + '{"torn')
    ledger = Ledger(tmp_path / "log.jsonl", before=2.0)
    assert 40 + 25 + 2 <= ledger.seconds() < 40 + 25 + 2 + 5


def test_the_best_model_predicts_as_its_weights_say(finished: Path) -> None:
    artefact = provenance.read(finished / "best")
    chosen = json.loads((finished / "results.json").read_text())["gate"]["chosen"]
    noise = np.random.default_rng(0).integers(0, 256, (3, 1, 32, 32), dtype=np.uint8)
    probability_NK = load_predictor(finished / "best").predict(noise)
    assert artefact.facts["arm"] == chosen
    assert len(artefact.ids) > 200  # refitted on everything, so it must never be scored on any of it
    np.testing.assert_allclose(probability_NK.sum(axis=1), 1.0, rtol=1e-5)


def test_killed_twice_and_run_again_it_ends_where_it_would_have(finished: Path, tiny: Tiny, tmp_path: Path) -> None:
    """kill -9 of the command while its workers train; experiments/kill.py does so twenty times."""
    command = [
        sys.executable, "-m", "augury.app.cli", "study", "phantom:brain?n=240&size=32&seed=5", "--out", str(tmp_path),
        "--plan", str(finished / "plan.json"), "--quiet",
    ]  # fmt: skip
    for made in (3, 9):
        process = subprocess.Popen(command, env=os.environ)
        deadline = time.monotonic() + 120
        while len(list((tmp_path / "artefacts").glob("*-*"))) < made and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "results.json").exists()
    run_study(tiny(tmp_path, plan=finished / "plan.json"))
    assert (tmp_path / "predictions.csv").read_bytes() == (finished / "predictions.csv").read_bytes()
    assert facts(tmp_path) == facts(finished)


def test_lost_artefacts_are_made_again_just_as_they_were(finished: Path, tiny: Tiny, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    (copy / "results.json").unlink()
    for folder in list((copy / "artefacts").glob("draw-*")) + list((copy / "artefacts").glob("fit-*"))[:3]:
        shutil.rmtree(folder)
    run_study(tiny(copy))
    assert (copy / "predictions.csv").read_bytes() == (finished / "predictions.csv").read_bytes()

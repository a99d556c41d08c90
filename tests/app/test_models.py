"""fit, sample, predict, phantom and check: what they leave behind, and that an interrupt loses nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from safetensors.numpy import load_file
from tests.app.conftest import Augury, interrupt_at, patients, rows_of, write_manifest

FIT = ["--steps", 12, "--batch", 8, "--size", 32]


def test_a_models_folder_holds_what_the_contract_says(classifier: Path, generator: Path) -> None:
    always = {"config.json", "weights.safetensors", "artefact.json", "card.md", "log.jsonl"}
    assert {path.name for path in classifier.iterdir()} == always
    assert {path.name for path in generator.iterdir()} == always | {"samples.png"}
    facts = json.loads((generator / "artefact.json").read_text())
    assert facts["facts"]["classes"] == ["a", "b"]
    assert len(facts["ids"]) == 30
    assert "Not a medical device" in (generator / "card.md").read_text()
    with Image.open(generator / "samples.png") as sheet:
        assert sheet.size == (8 * 33, 2 * 33)


def test_no_unfinished_folder_remains(classifier: Path) -> None:
    assert not classifier.with_name("classifier.unfinished").exists()


def test_the_same_fit_again_returns_at_once(augury: Augury, fitted: Path, generator: Path) -> None:
    before = (generator / "weights.safetensors").stat().st_mtime_ns
    done = augury("fit", "cvae", fitted / "set", "--out", generator, "--steps", 4, "--batch", 8, "--size", 32, "--json")
    assert done.status == 0, done.err
    assert done.facts["digest"] == json.loads((generator / "artefact.json").read_text())["digest"]
    assert (generator / "weights.safetensors").stat().st_mtime_ns == before


def test_settings_reach_the_model(augury: Augury, classes: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("latent: 128\n")
    argv = ["fit", "cvae", classes, "--out", tmp_path / "m", "--steps", 2, "--config", tmp_path / "c.yaml"]
    assert augury(*argv).status == 0
    assert json.loads((tmp_path / "m" / "config.json").read_text())["config"]["latent"] == 128


MOMENTS = [("reading images", 1), ("preparing images", 3), *(("fitting cvae", step) for step in (1, 6, 12))]


@pytest.mark.parametrize(("stage", "moment"), MOMENTS)
def test_an_interrupted_fit_goes_on_to_the_same_weights(
    stage: str, moment: int, augury: Augury, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert augury("fit", "cvae", classes, "--out", tmp_path / "whole", *FIT).status == 0
    argv = ["fit", "cvae", classes, "--out", tmp_path / "m", *FIT]
    monkeypatch.setenv("AUGURY_CACHE", str(tmp_path / "cache"))  # decoding and preparing may be interrupted, too
    with monkeypatch.context() as patch:
        interrupt_at(stage, moment, patch)
        stopped = augury(*argv)
    assert stopped.status == 130
    assert stopped.err.splitlines()[-1].startswith("augury: interrupted")
    assert stopped.err.splitlines()[-1].endswith(" ".join(map(str, argv)))
    assert not (tmp_path / "m").exists()
    assert augury(*argv).status == 0
    whole, resumed = (tmp_path / name / "weights.safetensors" for name in ("whole", "m"))
    assert resumed.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("seconds", [0.3, 2.0])
def test_ctrl_c_in_the_shell_is_status_130_without_a_traceback(seconds: float, classes: Path, tmp_path: Path) -> None:
    argv = [
        sys.executable,
        "-m",
        "augury.app.cli",
        "fit",
        "cvae",
        classes,
        "--out",
        tmp_path / "m",
        "--steps",
        "100000",
    ]
    with subprocess.Popen(list(map(str, argv)), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        first = child.stderr.readline()  # "fitting ...": from here on the command is at work, first at its imports
        time.sleep(seconds)
        child.send_signal(signal.SIGINT)
        err = child.stderr.read()
        assert child.wait(timeout=60) == 130, err
    assert first.startswith("fitting")
    assert "Traceback" not in err, err
    assert err.splitlines()[-1].startswith("augury: interrupted")


def test_an_unfinished_fit_of_other_settings_is_not_overwritten(
    augury: Augury, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at("fitting cvae", 5, patch)
        assert augury("fit", "cvae", classes, "--out", tmp_path / "m", *FIT).status == 130
    augury("fit", "cvae", classes, "--out", tmp_path / "m", *FIT, "--seed", 5).expect_one_line("unfinished", "--out")


def test_samples_are_a_data_set_again(augury: Augury, generator: Path, tmp_path: Path) -> None:
    drawn = augury("sample", generator, "-n", 9, "--out", tmp_path / "s", "--seed", 3, "--json")
    assert drawn.status == 0, drawn.err
    assert drawn.facts["counts"] == {"a": 5, "b": 4}
    assert {path.name for path in (tmp_path / "s").iterdir()} == {"manifest.csv", "images", "artefact.json", "card.md"}
    rows = rows_of(tmp_path / "s" / "manifest.csv")
    assert [row["label"] for row in rows] == ["a"] * 5 + ["b"] * 4
    assert all(row["patient"].startswith("synthetic:") for row in rows)
    found = augury("check", tmp_path / "s", "--json")
    assert found.status == 0, found.err
    assert found.facts["images"] == 9


def test_samples_are_a_function_of_the_seed_and_remember_who_was_seen(
    augury: Augury, generator: Path, tmp_path: Path
) -> None:
    for name, seed in {"one": 1, "same": 1, "other": 2}.items():
        argv = ["sample", generator, "-n", 4, "--label", "b", "--out", tmp_path / name, "--seed", seed]
        assert augury(*argv).status == 0
    images = {name: (tmp_path / name / "images" / "000002.png").read_bytes() for name in ("one", "same", "other")}
    assert images["one"] == images["same"]
    assert images["one"] != images["other"]
    assert {row["label"] for row in rows_of(tmp_path / "one" / "manifest.csv")} == {"b"}
    ids = [json.loads((place / "artefact.json").read_text())["ids"] for place in (generator, tmp_path / "one")]
    assert ids[0] == ids[1]


def test_a_set_is_not_overwritten(augury: Augury, generator: Path, tmp_path: Path) -> None:
    assert augury("sample", generator, "-n", 4, "--out", tmp_path / "s").status == 0
    assert augury("sample", generator, "-n", 4, "--out", tmp_path / "s").status == 0
    augury("sample", generator, "-n", 5, "--out", tmp_path / "s").expect_one_line("something else", "--out")


def test_predictions_have_one_row_an_image_and_a_column_a_class(
    augury: Augury, classifier: Path, tmp_path: Path
) -> None:
    data = write_manifest(tmp_path / "set", patients(7))
    (data / "5.png").write_text("no image")
    done = augury("predict", classifier, data, "--out", tmp_path / "p.csv", "--json")
    assert done.status == 0, done.err
    assert done.facts["images"] == 6
    assert [item["image"] for item in done.facts["unreadable"]] == ["5.png"]
    rows = rows_of(tmp_path / "p.csv")
    assert list(rows[0]) == ["image", "patient", "prediction", "p_a", "p_b"]
    assert [row["image"] for row in rows] == [f"{i}.png" for i in (0, 1, 2, 3, 4, 6)]
    assert [row["patient"] for row in rows] == [f"p{i}" for i in (0, 1, 2, 3, 4, 6)]
    for row in rows:
        assert abs(float(row["p_a"]) + float(row["p_b"]) - 1) < 1e-5
        assert row["prediction"] == ("a" if float(row["p_a"]) >= float(row["p_b"]) else "b")


def test_predictions_for_images_seen_in_training_are_flagged(
    augury: Augury, classifier: Path, fitted: Path, tmp_path: Path
) -> None:
    done = augury("predict", classifier, fitted / "set", "--out", tmp_path / "p.csv", "--json")
    assert done.facts["seen_in_training"] == 30
    assert "30 of 30" in done.err
    assert "patient" not in rows_of(tmp_path / "p.csv")[0]


def test_a_classifier_learns(augury: Augury, tmp_path: Path, fitted: Path) -> None:
    argv = ["fit", "classifier", fitted / "set", "--out", tmp_path / "m", "--steps", 60, "--batch", 16, "--size", 32]
    assert augury(*argv).status == 0
    assert augury("predict", tmp_path / "m", fitted / "set", "--out", tmp_path / "p.csv").status == 0
    rows = rows_of(tmp_path / "p.csv")
    right = sum(row["image"].startswith(row["prediction"] + "/") for row in rows)
    assert right >= 0.9 * len(rows)


def test_weights_are_a_function_of_the_seed(augury: Augury, classes: Path, tmp_path: Path) -> None:
    for name, seed in {"one": 1, "same": 1, "other": 2}.items():
        argv = ["fit", "classifier", classes, "--out", tmp_path / name, "--steps", 3, "--size", 32, "--seed", seed]
        assert augury(*argv).status == 0
    files = {name: (tmp_path / name / "weights.safetensors").read_bytes() for name in ("one", "same", "other")}
    assert files["one"] == files["same"]
    assert files["one"] != files["other"]
    assert load_file(tmp_path / "one" / "weights.safetensors")


def test_a_phantom_is_a_data_set_with_patients_and_masks(augury: Augury, tmp_path: Path) -> None:
    argv = ["phantom", "brain", "-n", 10, "--out", tmp_path / "p", "--seed", 3, "--size", 48, "--json"]
    drawn = augury(*argv, "--set", "slices_per_patient=2")
    assert drawn.status == 0, drawn.err
    assert drawn.facts["images"] == 10
    assert drawn.facts["patients"] == 5
    rows = rows_of(tmp_path / "p" / "manifest.csv")
    assert {"image", "label", "patient", "mask", "site"} <= set(rows[0])
    with Image.open(tmp_path / "p" / rows[0]["image"]) as image:
        assert image.size == (48, 48)
    augury(*argv).expect_one_line("not empty", "another")


def test_check_writes_what_it_found(augury: Augury, classes: Path, tmp_path: Path) -> None:
    done = augury("check", classes, "--out", tmp_path / "found", "--json")
    assert json.loads((tmp_path / "found" / "check.json").read_text()) == done.facts


KEYS = {
    "images", "classes", "patients", "unreadable", "exact_duplicates", "near_duplicates", "conflicting_labels", "leaks",
    "shortcuts", "nearest_neighbour_accuracy", "smallest_detectable_difference",
}  # fmt: skip


def test_check_says_what_the_contract_lists(augury: Augury, classes: Path) -> None:
    done = augury("check", classes, "--json")
    assert done.status == 0
    assert set(done.facts) >= KEYS
    assert done.facts["classes"] == {"a": 6, "b": 6}
    assert set(done.facts["exact_duplicates"]) == {"groups", "files"}
    assert 0 < done.facts["smallest_detectable_difference"] < 1


def test_check_finds_a_twin_and_a_conflict(augury: Augury, classes: Path) -> None:
    (classes / "b" / "twin.png").write_bytes((classes / "a" / "000.png").read_bytes())
    found = augury("check", classes, "--json").facts
    assert found["exact_duplicates"] == {"groups": 1, "files": 2}
    assert found["conflicting_labels"] == {"groups": 1, "files": 2}


def test_check_reads_for_people(augury: Augury, classes: Path) -> None:
    done = augury("check", classes)
    assert done.status == 0
    for words in ("images", "12", "a 6, b 6", "exact duplicates", "detectable difference"):
        assert words in done.out


@pytest.mark.real
def test_check_finds_the_known_truths_of_the_brain_tumour_set(augury: Augury, real_data: Path) -> None:
    found = augury("check", real_data / "brain_tumor_mri", "--json").facts
    assert found["images"] == 3264
    assert found["exact_duplicates"] == {"groups": 300, "files": 694}
    assert found["leaks"]["test<-train"]["exact"] == 251
    assert found["patients"] is None

"""augury audit, as a user types it: copies are found, fresh patients are not, and what cannot be told is not told."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.app.conftest import Augury

from augury.studies.audit import copies, detector, labels, planted

TRAIN, HELD = "phantom:breast?n=90&size=32&seed=1", "phantom:breast?n=150&size=32&seed=2"


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that an audit learns, in a few steps."""
    monkeypatch.setattr(detector, "STEPS", 15)
    monkeypatch.setattr(detector, "BATCH", 48)
    monkeypatch.setattr(planted, "STEPS", 30)
    monkeypatch.setattr(labels, "STEPS", 8)
    monkeypatch.setattr("augury.studies.audit.run.PLANTED", 16)
    monkeypatch.setattr(copies, "REPEATS", 20)


def made_of(data: str, folder: Path, *, n: int, noise: float) -> Path:
    """A set that says it is synthetic: the first n images of a phantom, with noise."""
    from augury.data.importers import load

    manifest, rng = load(data), np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label", "patient", "origin"])
        for place, sample in enumerate(manifest[:n]):
            pixels = np.asarray(Image.open(sample.image)).astype(float)
            noisy = np.clip(pixels + rng.normal(0, noise, pixels.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / "images" / f"{place}.png")
            label = manifest.classes[sample.label or 0]
            writer.writerow([f"images/{place}.png", label, f"synthetic:{place}", "somebody's generator"])
    return folder


def lines(folder: Path) -> list[list[str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_copies_are_found_shown_and_hinder_the_export(augury: Augury, tmp_path: Path) -> None:
    made = made_of(TRAIN, tmp_path / "copies", n=60, noise=6.0)
    found = augury("audit", made, "--train", TRAIN, "--holdout", HELD, "--json", "--quiet")
    assert found.status == 0, found.err
    facts = found.facts
    assert facts["verdict"] == "COPIES FOUND"
    assert facts["tests"]["copies"]["p_adjusted"] < 0.05
    assert len(facts["flagged"]) > 50
    assert {one["train_image"] for one in facts["flagged"]} <= {f"images/{i:06d}.png" for i in range(90)}
    assert facts["metrics"]["internal"]["kid"]["floor"]["n"] > 10
    assert (made / "audit" / "audit.json").is_file()
    assert "COPIES FOUND" in (made / "audit" / "audit.html").read_text()
    augury("export", made, "--to", "monai", "--out", tmp_path / "out").expect_one_line("--despite-copies")


def test_fresh_patients_are_no_copies_and_few_images_clear_nobody(augury: Augury, tmp_path: Path) -> None:
    made = made_of("phantom:breast?n=60&size=32&seed=3", tmp_path / "fresh", n=60, noise=0.0)
    found = augury("audit", made, "--train", TRAIN, "--holdout", HELD, "--json", "--quiet", "--no-images")
    assert found.status == 0, found.err
    assert found.facts["verdict"] == "NOT TESTABLE"  # so few images would hide a copy in a hundred
    assert found.facts["power"]["at"]["0.01"]["value"] < 0.8
    assert "data:image" not in (made / "audit" / "audit.html").read_text()
    # Audited, it may go out, and its card says what is known.
    assert augury("export", made, "--to", "monai", "--out", tmp_path / "out", "--quiet").status == 0
    assert "NOT TESTABLE" in (tmp_path / "out" / "card.md").read_text()


def test_the_release_filter_drops_the_copies_and_is_audited_again(augury: Augury, tmp_path: Path) -> None:
    copied = made_of(TRAIN, tmp_path / "part", n=20, noise=6.0)
    made_of("phantom:breast?n=60&size=32&seed=3", tmp_path / "rest", n=60, noise=0.0)
    rows = lines(copied)
    for row in lines(tmp_path / "rest")[1:]:
        name = f"images/fresh_{Path(row[0]).name}"
        (tmp_path / "rest" / row[0]).rename(copied / name)
        rows.append([name, row[1], f"synthetic:fresh_{row[0]}", row[3]])
    with (copied / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    released = tmp_path / "released"
    found = augury("audit", copied, "--train", TRAIN, "--holdout", HELD, "--release", released, "--json", "--quiet")
    assert found.status == 0, found.err
    assert found.facts["released"]["before"] == "COPIES FOUND"
    assert found.facts["released"]["dropped"] >= 20
    assert found.facts["verdict"] != "COPIES FOUND"
    assert found.facts["set"]["images"] == 80 - found.facts["released"]["dropped"]
    assert (released / "audit" / "audit.json").is_file()


def test_without_held_out_images_nothing_is_cleared(augury: Augury, tmp_path: Path) -> None:
    made = made_of("phantom:breast?n=40&size=32&seed=3", tmp_path / "fresh", n=40, noise=0.0)
    found = augury("audit", made, "--train", TRAIN, "--json", "--quiet")
    assert found.status == 0, found.err
    assert found.facts["holdout"] is None
    assert found.facts["verdict"] == "NOT TESTABLE"
    assert set(found.facts["tests"]) == {"copies", "registered_correlation"}


def test_what_a_model_drew_is_compared_with_what_it_saw(augury: Augury, tmp_path: Path) -> None:
    data, model, made = "phantom:breast?n=160&size=32&seed=1", tmp_path / "model", tmp_path / "set"
    assert augury("fit", "cvae", data, "--out", model, "--steps", 20, "--holdout", 0.4, "--quiet").status == 0
    assert augury("sample", model, "-n", 60, "--out", made, "--quiet").status == 0
    found = augury("audit", made, "--train", data, "--model", model, "--encoder", model, "--quiet")
    found.expect_one_line("cvae")  # a generator is no encoder
    found = augury("audit", made, "--train", data, "--model", model, "--json", "--quiet")
    assert found.status == 0, found.err
    facts = found.facts
    assert facts["train"]["images"] == 96
    assert facts["holdout"]["images"] + facts["holdout"]["learned_from"] == 64
    assert facts["set"]["method"] == "cvae"
    assert "score" in facts["tests"]["membership"]["says"]
    assert facts["metrics"]["classifier"]["label_fidelity"]["set"]["n"] == 60
    other = tmp_path / "other"
    assert augury("fit", "cvae", data, "--out", other, "--steps", 2, "--quiet").status == 0
    augury("audit", made, "--train", data, "--model", other).expect_one_line("the set was drawn by")


def test_mistakes_are_said_in_one_line(augury: Augury, tmp_path: Path) -> None:
    made = made_of("phantom:breast?n=8&size=32&seed=3", tmp_path / "fresh", n=3, noise=0.0)
    augury("audit", made, "--train", TRAIN).expect_one_line("at least 4 of each")
    augury("audit", tmp_path / "none", "--train", TRAIN).expect_one_line("none")
    augury("audit", made, "--train", TRAIN, "--holdout", TRAIN).expect_one_line("held-out images")
    augury("audit", made, "--train", "phantom:brain?n=12&size=32").expect_one_line("unknown class")
    made = made_of("phantom:breast?n=8&size=32&seed=3", tmp_path / "more", n=8, noise=0.0)
    augury("audit", made, "--train", TRAIN, "--canaries", 3).expect_one_line("--model MODEL")
    augury("audit", made, "--train", TRAIN, "--model", made).expect_one_line("artefact.json")
    augury("audit", made, "--train", TRAIN, "--weights", made / "none.safetensors").expect_one_line(
        "no backbone 'none'"
    )

"""What a model is told and how that steers its drawings, through the command line, with a flow of a few steps."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.app.conftest import Augury, rows_of

from augury.app.cli import main
from augury.data.importers import load
from augury.data.masks import read_mask
from augury.errors import UserError
from augury.studies.audit.nearness import white_box
from augury.studies.audit.subjects import Asked, gather
from augury.studies.canaries import canaries

SIDE = 24
TINY = ["--steps", "3", "--batch", "8", "--size", str(SIDE), "--quiet", "--set", "net.widths=[8,16]",
        "--set", "student_share=0", "--set", "sampling.steps=2"]  # fmt: skip
NAMES = ("one", "same", "other")
TOLD = ["--condition", "edges,label,mask,prompt,boxes", "--edges", "gradient"]


def write_set(folder: Path, count: int, *, first: int = 0, masks: bool = True) -> Path:
    """Bright ellipses on grain, two classes by brightness; every fifth image without a lesion."""
    (folder / "masks").mkdir(parents=True)
    y_HW, x_HW = np.mgrid[:SIDE, :SIDE]
    rows = []
    for i in range(first, first + count):
        rng = np.random.default_rng(i)
        inside_HW = ((y_HW - rng.integers(8, 16)) / 3) ** 2 + ((x_HW - rng.integers(8, 16)) / 5) ** 2 <= 1
        inside_HW &= i % 5 > 0
        pixels_HW = 90 + (60 + 60 * (i % 2)) * inside_HW + rng.normal(0, 12, (SIDE, SIDE))
        Image.fromarray(np.clip(pixels_HW, 0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        row = {"image": f"{i}.png", "label": "ab"[i % 2], "patient": f"p{i // 2}", "modality": "ultrasound"}
        row["text"] = "a faint lesion" if i % 2 == 0 else "a bright lesion"
        row["mask"] = ""
        if inside_HW.any() and masks:
            row["mask"] = f"masks/{i}.png"
            Image.fromarray(inside_HW.astype(np.uint8) * np.uint8(255)).save(folder / row["mask"])
        rows.append(row)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """Sets, a flow told everything, a flow told labels and words."""
    folder = tmp_path_factory.mktemp("told")
    write_set(folder / "set", 24)
    write_set(folder / "more", 10, first=50)
    write_set(folder / "bare", 10, first=80, masks=False)
    assert main(["fit", "flow", str(folder / "set"), "--out", str(folder / "model"), *TINY, *TOLD]) == 0
    words = ["--condition", "label,prompt"]
    assert main(["fit", "flow", str(folder / "set"), "--out", str(folder / "words"), *TINY, *words]) == 0
    return folder


def test_a_model_remembers_what_it_was_told_and_by_whom(place: Path) -> None:
    told = json.loads((place / "model" / "artefact.json").read_text())["facts"]["told"]
    assert told["conditions"] == ["label", "prompt", "edges", "mask", "boxes"]
    assert told["edges"] == {"finder": "gradient", "sha256": None, "revision": 1}
    assert told["contour"] is True
    assert told["words"] == ["a", "b", "bright", "faint", "lesion", "ultrasound"]
    assert "edges by gradients" in (place / "model" / "card.md").read_text()
    assert (place / "model" / "samples.png").exists()


def test_a_steered_set_has_masks_words_sources_and_their_patients(augury: Augury, place: Path, tmp_path: Path) -> None:
    drawn = augury("sample", place / "model", "-n", 15, "--out", tmp_path / "s", "--like", place / "more", "--json")
    assert drawn.status == 0, drawn.err
    assert drawn.facts["like"]["data"] == "more"
    real = {sample.id: sample for sample in load(place / "more")}
    manifest = load(tmp_path / "s", no_patients=True)
    assert len(manifest) == 15
    assert {sample.source for sample in manifest} == set(real), "all images take their turn"
    for sample in manifest:
        source = real[str(sample.source)]
        assert sample.patient == source.patient
        assert manifest.classes[sample.label or 0] == "ab"[source.label or 0]
        assert sample.text is not None
        assert sample.text.startswith("ultrasound, ")
        asked = read_mask(source, size=(SIDE, SIDE))
        assert np.array_equal(read_mask(sample, size=(SIDE, SIDE)), asked), "the mask is the one that was told"
    seen = set(json.loads((tmp_path / "s" / "artefact.json").read_text())["ids"])
    assert seen >= set(real), "who steered was seen"


@pytest.mark.parametrize("edit", ["mirror", "rotate+new", "none,swap,move"])
def test_edited_masks_are_new_and_a_drawing_is_a_function_of_the_seed(
    edit: str, augury: Augury, place: Path, tmp_path: Path
) -> None:
    argv = ["sample", place / "model", "-n", 6, "--like", place / "set", "--edit", edit, "--label", "b", "--quiet"]
    for name, seed in {"one": 1, "same": 1, "other": 2}.items():
        assert augury(*argv, "--out", tmp_path / name, "--seed", seed).status == 0
    files = {name: {path.name: path.read_bytes() for path in (tmp_path / name / "images").iterdir()} for name in NAMES}
    assert files["one"] == files["same"]
    assert files["one"] != files["other"]
    assert {row["label"] for row in rows_of(tmp_path / "one" / "manifest.csv")} == {"b"}
    if edit == "mirror":
        real = {sample.id: sample for sample in load(place / "set")}
        for sample in load(tmp_path / "one", no_patients=True):
            asked = read_mask(real[str(sample.source)], size=(SIDE, SIDE))
            assert np.array_equal(read_mask(sample, size=(SIDE, SIDE)), asked[:, ::-1])


def test_words_alone_draw_without_real_images(augury: Augury, place: Path, tmp_path: Path) -> None:
    assert augury("sample", place / "words", "-n", 4, "--out", tmp_path / "s").status == 0
    rows = rows_of(tmp_path / "s" / "manifest.csv")
    assert [row["label"] for row in rows] == ["a", "a", "b", "b"]
    assert [row["text"] for row in rows] == ["ultrasound, a, a faint lesion"] * 2 + [
        "ultrasound, b, a bright lesion"
    ] * 2
    argv = ["sample", place / "words", "-n", 2, "--prompt", "Faint Ultrasound", "--guidance", 2, "--steps", 3]
    assert augury(*argv, "--out", tmp_path / "t").status == 0
    assert {row["text"] for row in rows_of(tmp_path / "t" / "manifest.csv")} == {"Faint Ultrasound"}
    assert "guidance 2" in (tmp_path / "t" / "card.md").read_text()


# Bad input: one line each, and nothing is left behind


def test_what_a_drawing_may_not_ask(augury: Augury, place: Path, tmp_path: Path) -> None:
    out = tmp_path / "s"
    told, words = ["sample", place / "model", "-n", 2, "--out", out], ["sample", place / "words", "-n", 2, "--out", out]
    like = ["--like", place / "more"]
    augury(*words, "--prompt", "a fant leson").expect_one_line("'fant', 'leson'", "faint", "lesion")
    augury(*words, "--guidance", 100).expect_one_line("guidance=100", "from 0")
    augury(*words, "--steps", 0).expect_one_line("steps=0")
    augury(*words, "--sampler", "magic").expect_one_line("sampler", "magic")
    augury(*words, "--edit", "mirror").expect_one_line("--edit got 'mirror'", "no map to steer it")
    augury(*words, *like).expect_one_line("--like", "no map to steer it")
    augury(*told).expect_one_line("expected --like DATA", "set")
    augury(*told, *like, "--edit", "flip").expect_one_line("'flip'", "mirror, rotate")
    augury(*told, *like, "--label", "c").expect_one_line("--label got 'c'")
    augury(*told, "--like", place / "bare").expect_one_line("no image of 'bare' has one")
    augury(*told, "--like", tmp_path / "nowhere").expect_one_line("there is no")
    assert not out.exists()


def test_edges_of_another_finder_are_refused(augury: Augury, place: Path, real_weights: Path, tmp_path: Path) -> None:
    weights = real_weights / "hed_bsds500.fp16.safetensors"
    argv = ["sample", place / "model", "-n", 2, "--out", tmp_path / "s", "--like", place / "more"]
    augury(*argv, "--edges", weights).expect_one_line("edges by HED", "told edges by gradients")
    augury(*argv, "--edges", tmp_path / "no.safetensors").expect_one_line("no such file")


def test_a_mask_of_another_size_is_refused(augury: Augury, place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "more", tmp_path / "set")
    Image.fromarray(np.zeros((SIDE, SIDE + 1), np.uint8)).save(tmp_path / "set" / "masks" / "51.png")
    argv = ["sample", place / "model", "-n", 10, "--out", tmp_path / "s", "--like", tmp_path / "set"]
    augury(*argv).expect_one_line("51.png", f"{SIDE + 1}x{SIDE} pixels")


def test_weights_of_another_size_are_refused(augury: Augury, place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "words", tmp_path / "m")
    argv = ["fit", "flow", place / "set", "--out", tmp_path / "wide", *TINY, "--set", "net.widths=[16,16]"]
    assert augury(*argv).status == 0
    shutil.copyfile(tmp_path / "wide" / "weights.safetensors", tmp_path / "m" / "weights.safetensors")
    augury("sample", tmp_path / "m", "-n", 2, "--out", tmp_path / "s").expect_one_line(
        "weights.safetensors", "expected"
    )


def test_who_cannot_hear_is_told_nothing(augury: Augury, place: Path, classes: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "m", "--steps", 2]
    augury("fit", "cvae", place / "set", *out, "--condition", "label,edges").expect_one_line(
        "cvae", "labels alone", "flow"
    )
    augury("fit", "flow", place / "set", *out, "--condition", "label,outline").expect_one_line("label,outline", "edges")
    augury("fit", "flow", classes, *out, "--condition", "mask").expect_one_line("mask", "no image")
    augury("fit", "flow", classes, *out, "--condition", "boxes").expect_one_line("boxes", "no image")
    augury("fit", "flow", classes, *out, "--set", "conditions=[edges]").expect_one_line("--condition edges")
    augury("fit", "flow", classes, *out, "--condition", "cam").expect_one_line("cam", "heat maps")


def test_an_older_generator_takes_no_guidance(augury: Augury, generator: Path, tmp_path: Path) -> None:
    argv = ["sample", generator, "-n", 2, "--out", tmp_path / "s"]
    augury(*argv, "--guidance", 2).expect_one_line("--guidance", "cvae draws in one step")
    augury(*argv, "--prompt", "a").expect_one_line("--prompt", "fitted with label")


# What else looks at a model must tell it as much


def test_a_told_model_is_watched_audited_and_fitted_with_canaries(augury: Augury, place: Path, tmp_path: Path) -> None:
    model, made = tmp_path / "m", tmp_path / "s"
    fit = ["fit", "flow", place / "set", "--out", model, "--holdout", 0.4, *TINY, *TOLD]
    assert augury(*fit).status == 0
    assert (model / "neighbours.png").exists()
    assert any("watch_p" in line for line in (model / "log.jsonl").read_text().splitlines())
    assert augury("sample", model, "-n", 12, "--like", place / "set", "--out", made, "--quiet").status == 0
    found = canaries(model, str(place / "set"), k=2, seed=0, samples=8)
    assert found["planted"] == 2
    subjects = gather(Asked(data=str(made), train=str(place / "set"), holdout=str(place / "more")))
    estimate, p = white_box(model, subjects, unit="group", seed=0)
    assert 0 <= estimate.value <= 1
    assert 0 < p <= 1
    subjects = gather(Asked(data=str(made), train=str(place / "set"), holdout=str(place / "bare")))
    with pytest.raises(UserError, match="no image of 'bare' has one"):
        white_box(model, subjects, unit="group", seed=0)


def test_a_model_without_labels_learns_from_and_is_steered_by_unlabelled_images(
    augury: Augury, place: Path, tmp_path: Path
) -> None:
    shutil.copytree(place / "set", tmp_path / "set")
    rows = rows_of(tmp_path / "set" / "manifest.csv")
    with (tmp_path / "set" / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "label": "" if i % 3 else row["label"]} for i, row in enumerate(rows))
    fit = [
        "fit",
        "flow",
        tmp_path / "set",
        "--out",
        tmp_path / "m",
        *TINY,
        "--condition",
        "edges",
        "--edges",
        "gradient",
    ]
    assert augury(*fit).status == 0
    assert len(json.loads((tmp_path / "m" / "artefact.json").read_text())["ids"]) == 24
    argv = [
        "sample",
        tmp_path / "m",
        "-n",
        3,
        "--like",
        tmp_path / "set",
        "--edit",
        "new,none",
        "--out",
        tmp_path / "s",
    ]
    assert augury(*argv).status == 0
    assert {row["label"] for row in rows_of(tmp_path / "s" / "manifest.csv")} >= {"", "a"}

"""fit --holdout and --stop-at-memorisation: what is kept unseen, what is refused, what is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.app.conftest import Augury, patients, write_manifest

from augury.data.importers import load
from augury.data.provenance import read, refuse_if_seen

FIT = ["--steps", 10, "--batch", 8, "--size", 16, "--set", "features=8", "--set", "latent=8", "--json"]


def two_each(count: int, *, name: str = "p") -> list[dict[str, str]]:
    """Two images a patient."""
    rows = patients(2 * count)
    return [
        {**row, "image": f"{name}{row['image']}", "patient": f"{name}{i // 2}", "label": "ab"[i // 2 % 2]}
        for i, row in enumerate(rows)
    ]


def test_a_share_of_the_patients_is_never_seen(augury: Augury, tmp_path: Path) -> None:
    data = write_manifest(tmp_path / "set", two_each(20))
    done = augury("fit", "cvae", data, "--out", tmp_path / "m", "--holdout", "0.2", *FIT)
    assert done.status == 0, done.err
    assert done.facts["images"] == 32
    assert done.facts["stopped_at"] is None
    model, whole = read(tmp_path / "m"), load(data)
    unseen = [s for s in whole if s.id not in model.ids]
    assert len(model.ids) == 32
    assert len(unseen) == 8
    assert not model.groups & {s.group for s in unseen}
    assert {s.label for s in unseen} == {0, 1}
    refuse_if_seen(model, whole.subset([i for i, s in enumerate(whole) if s.id not in model.ids]))
    held = model.facts["holdout"]
    assert (held["share"], held["images"], held["groups"], held["watched"]) == (0.2, 8, 4, 0)
    assert sum(model.facts["counts"]) == 32
    log = [json.loads(line) for line in (tmp_path / "m" / "log.jsonl").read_text().splitlines()]
    assert sum("watch_copy_rate" in line for line in log) == 10
    card = (tmp_path / "m" / "card.md").read_text()
    assert "fitted on 32 images" in card
    assert "held out, never fitted to: 8 images" in card
    assert (tmp_path / "m" / "neighbours.png").is_file()


def test_images_that_may_end_the_fit_count_as_seen(augury: Augury, tmp_path: Path) -> None:
    data = write_manifest(tmp_path / "set", two_each(60))
    argv = ["fit", "cvae", data, "--out", tmp_path / "m", "--holdout", "0.4", "--stop-at-memorisation", *FIT]
    assert augury(*argv).status == 0
    model = read(tmp_path / "m")
    held = model.facts["holdout"]
    assert held["groups"] == 24
    assert 20 <= held["watched"] <= 28
    assert len(model.ids) == 120 - held["images"] + held["watched"]
    assert "count as seen" in (tmp_path / "m" / "card.md").read_text()
    again = augury(*argv)
    assert again.facts["digest"] == model.digest


def test_another_set_is_held_out_whole(augury: Augury, tmp_path: Path) -> None:
    data = write_manifest(tmp_path / "set", two_each(10))
    other = write_manifest(tmp_path / "other", two_each(5, name="q"))
    done = augury("fit", "cvae", data, "--out", tmp_path / "m", "--holdout", other, *FIT)
    assert done.status == 0, done.err
    assert done.facts["images"] == 20
    assert done.facts["holdout"]["images"] == 10
    assert done.facts["holdout"]["data"] == "other"


def test_a_held_out_set_that_shares_images_twins_or_patients_is_refused(augury: Augury, tmp_path: Path) -> None:
    rows = two_each(10)
    data = write_manifest(tmp_path / "set", rows)
    argv = ["fit", "cvae", data, "--out", tmp_path / "m", *FIT]
    copied = write_manifest(tmp_path / "copied", two_each(5, name="q"))
    shutil.copy(data / rows[0]["image"], copied / "qq.png")
    with (copied / "manifest.csv").open("a") as file:
        file.write("qq.png,a,stranger\n")
    augury(*argv, "--holdout", copied).expect_one_line("1 of 11 held-out images", "qq.png", "are images to fit to")
    named = write_manifest(tmp_path / "named", [{**r, "patient": "p3"} for r in two_each(3, name="q")])
    augury(*argv, "--holdout", named).expect_one_line("6 of 6", "same patient")


def test_a_near_twin_in_the_held_out_set_is_refused(augury: Augury, tmp_path: Path) -> None:
    from PIL import Image, ImageEnhance

    rows = two_each(10)
    data = write_manifest(tmp_path / "set", rows)
    other = write_manifest(tmp_path / "other", two_each(3, name="q"))
    with Image.open(data / rows[4]["image"]) as image:
        ImageEnhance.Brightness(image).enhance(1.1).save(other / "q1.png")
    asked = augury("fit", "cvae", data, "--out", tmp_path / "m", "--holdout", other, *FIT)
    asked.expect_one_line("1 of 6", "near duplicates")


def test_what_cannot_be_held_out_is_refused_in_one_line(augury: Augury, tmp_path: Path) -> None:
    data = write_manifest(tmp_path / "set", two_each(10))
    argv = ["fit", "cvae", data, "--out", tmp_path / "m", *FIT]
    augury(*argv, "--stop-at-memorisation").expect_one_line("--holdout 0.2")
    augury(*argv, "--holdout", "1.5").expect_one_line("share between 0 and 1")
    augury(*argv, "--holdout", "0.05").expect_one_line("expected at least 4")
    augury(*argv, "--holdout", "0.3", "--stop-at-memorisation").expect_one_line("expected at least 20", "one half")
    classifier = augury("fit", "classifier", data, "--out", tmp_path / "c", "--holdout", "0.2", "--steps", 2)
    classifier.expect_one_line("sets a fifth")


def test_a_private_fit_promises_in_its_card_and_is_not_watched(augury: Augury, tmp_path: Path) -> None:
    data = write_manifest(tmp_path / "set", two_each(20))
    argv = ["fit", "cvae", data, "--out", tmp_path / "m", "--holdout", "0.2", "--set", "dp.epsilon=8", *FIT]
    assert augury(*argv).status == 0
    facts = read(tmp_path / "m").facts["dp"]
    assert (facts["unit"], facts["units"], facts["most_images_of_a_unit"], facts["releases"]) == ("patient", 16, 2, 10)
    assert facts["epsilon"] <= 8
    card = (tmp_path / "m" / "card.md").read_text()
    assert "for each patient, with all images (at most 2)" in card
    log = [json.loads(line) for line in (tmp_path / "m" / "log.jsonl").read_text().splitlines()]
    assert not [line for line in log if "loss" in line or "watch_p" in line]
    assert {path.name for path in (tmp_path / "m").iterdir()}.isdisjoint({"neighbours.png", "noise.key"})
    assert augury("sample", tmp_path / "m", "-n", 4, "--out", tmp_path / "drawn").status == 0
    assert read(tmp_path / "drawn").facts["generator"]["dp"] == facts
    assert "differentially private model: epsilon" in (tmp_path / "drawn" / "card.md").read_text()
    augury(*argv, "--set", "dp.unit=image").expect_one_line("another model")


def test_images_of_nobody_in_particular_are_not_promised_as_patients(augury: Augury, tmp_path: Path) -> None:
    rows = [{"image": row["image"], "label": row["label"]} for row in two_each(10)]
    data = write_manifest(tmp_path / "set", rows)
    argv = ["fit", "cvae", data, "--out", tmp_path / "m", "--no-patients", "--set", "dp.epsilon=8", *FIT]
    assert augury(*argv).status == 0
    facts = read(tmp_path / "m").facts["dp"]
    assert (facts["unit"], facts["units"]) == ("image", 20)
    assert "for each image; patients are not known" in (tmp_path / "m" / "card.md").read_text()

"""A whole study of masks through the command line: verdict, page, model; once with everything, once at an odd size."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.app.conftest import Augury

from augury.app.cli import main
from augury.data import provenance
from augury.data.importers import load
from augury.predictors import load as load_predictor
from augury.studies import plan
from augury.studies.best import hand_over
from augury.studies.predictions import read
from augury.studies.runner import workspace
from augury.studies.study import Study

DATA = "phantom:breast?n=60&size=32"
SMALL = [
    "--task", "segment", "--preset", "quick", "--size", "32", "--arms", "real,mixed:flow:1,merged:flow", "--seed", "1",
    "--set", "steps=3", "--set", "flow.steps=4", "--set", "seeds=1", "--set", "siblings=2",
    "--set", "candidates=[standard,nnunet]", "--set", "segmenter.validations=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study: read it, never change it."""
    out = tmp_path_factory.mktemp("studies") / "masks"
    assert main(["study", DATA, "--out", str(out), *SMALL, "--workers", "1", "--quiet"]) == 0
    return out


def test_the_folder_holds_what_the_contract_says(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names >= {"plan.json", "results.json", "predictions.csv", "report.html", "best", "artefacts", "log.jsonl",
                     "environment.json", "gallery"}  # fmt: skip
    results = json.loads((finished / "results.json").read_text())
    assert set(results["arms"]) == {"augmented", "real", "mixed:flow:1", "merged:flow", "duplicated:1"}
    assert results["primary"] == {"metric": "dice", "reference": "augmented", "contrast": "merged:flow",
                                  "control": "duplicated:1", "smallest_effect": 0.02}  # fmt: skip
    assert results["headline"]["verdict"] == "INCONCLUSIVE"  # all that one split may say
    assert results["leaks"]["patients_shared"] == results["leaks"]["duplicates_shared"] == 0
    assert any("have no mask: taken as without a lesion" in sentence for sentence in results["limits"])


def test_each_row_of_the_predictions_is_a_case_with_its_measures(finished: Path) -> None:
    with (finished / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    facts = ["item", "unit", "patient", "group", "label", "arm", "fold", "repeat", "seed"]
    measures = ["dice", "jaccard", "hd95", "assd", "pixel_precision", "pixel_recall", "pixel_accuracy"]
    assert list(rows[0]) == [*facts, *measures]
    assert len(rows) == 5 * len({row["item"] for row in rows})
    table = read(finished / "predictions.csv")
    dice_R, jaccard_R = table.value_RK[:, 0].astype(float), table.value_RK[:, 1].astype(float)
    np.testing.assert_allclose(jaccard_R, dice_R / (2 - dice_R), atol=1e-5)
    results = json.loads((finished / "results.json").read_text())
    real = table.take(table.arm_R == "real")
    assert results["arms"]["real"]["metrics"]["dice"]["value"] == pytest.approx(real.value_RK[:, 0].mean(), rel=1e-5)


def test_the_published_claim_stands_beside_what_was_found(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    table, maps = read(finished / "predictions.csv"), np.load(finished / "artefacts" / "maps.npy")
    rows = [sample.row for sample in load(DATA)]
    lesions = table.take(np.isin(table.item_R, [rows[i] for i in np.flatnonzero(maps[:, 0].any(axis=(1, 2)))]))
    value = {arm: lesions.value_RK[lesions.arm_R == arm, 0].astype(float).mean() for arm in lesions.arms}
    assert len(lesions) < len(table)
    for arm, found in results["claim"]["arms"].items():
        assert found["points"]["value"] == pytest.approx(value[arm] - value["real"], abs=1e-6)
        assert found["ratio"]["value"] == pytest.approx(value[arm] / value["real"] - 1, abs=1e-6)
        assert found["ratio"]["low"] <= found["ratio"]["value"] <= found["ratio"]["high"]
    page = (finished / "report.html").read_text()
    assert "13.87" in page
    assert "Asked and found" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_siblings_of_a_merged_arm_keep_their_masks_and_others_move(finished: Path) -> None:
    kept, moved = (
        next(f for f in sorted((finished / "artefacts").glob("draw-*")) if bool(_facts(f).get("moved")) == way)
        for way in (False, True)
    )
    maps = np.load(finished / "artefacts" / "maps.npy")
    ids = list(np.load(kept / "source.npy"))
    seen = provenance.read(finished / "artefacts" / f"generator-{provenance.read(kept).parents['generator']}")
    assert set(ids) <= seen.ids  # siblings of training images only
    own = {mask_HW.tobytes() for mask_HW in maps[:, 0]}
    assert all(mask_HW.tobytes() in own for mask_HW in np.load(kept / "mask.npy"))
    strange = [mask_HW for mask_HW in np.load(moved / "mask.npy") if mask_HW.any()]
    assert sum(mask_HW.tobytes() not in own for mask_HW in strange) > len(strange) / 2


def _facts(folder: Path) -> dict[str, object]:
    return dict(provenance.read(folder).facts)


def test_the_best_model_is_a_segmenter_that_predicts(augury: Augury, finished: Path, tmp_path: Path) -> None:
    artefact = provenance.read(finished / "best")
    assert artefact.facts["method"] == "segmenter"
    assert len(artefact.ids) == 60
    noise = np.random.default_rng(0).integers(0, 256, (2, 1, 32, 32), dtype=np.uint8)
    assert load_predictor(finished / "best").predict(noise).shape == (2, 32, 32)
    done = augury("predict", finished / "best", "phantom:breast?n=6&size=40", "--out", tmp_path / "p.csv", "--json")
    assert done.status == 0, done.err
    assert len(list((tmp_path / "p.masks").iterdir())) == 6


def test_a_merging_arm_can_be_handed_over(finished: Path, tmp_path: Path) -> None:
    """Its generator, its siblings and itself are made anew on all images."""
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    results = json.loads((copy / "results.json").read_text())
    results["gate"]["chosen"] = "merged:flow"
    space, graph = workspace(Study(data=DATA, out=copy, task="segment"), plan.read(copy / "plan.json"), load(DATA))
    hand_over(results, graph, space, copy / "best")
    fitted = provenance.read(copy / "best")
    assert (fitted.facts["arm"], len(fitted.ids)) == ("merged:flow", 60)


def test_a_finished_study_returns_at_once(augury: Augury, finished: Path, tmp_path: Path) -> None:
    before = (finished / "results.json").read_bytes()
    again = augury("study", DATA, "--out", finished, *SMALL, "--json")
    assert again.status == 0, again.err
    assert "no mask" in again.err
    assert (finished / "results.json").read_bytes() == before
    found = plan.read(finished / "plan.json")
    assert (found.task, found.maps, found.moved, found.siblings) == ("segment", ("mask", "edges"), True, 2)


def test_an_odd_size_in_colour_without_labels_with_a_mask_of_three_pixels(augury: Augury, tmp_path: Path) -> None:
    folder, random = tmp_path / "set", np.random.default_rng(0)
    folder.mkdir()
    for i in range(18):
        picture, mask_HW = random.integers(0, 90, (48, 80, 3), dtype=np.uint8), np.zeros((48, 80), dtype=np.uint8)
        mask_HW[20 : 21 + i % 4 * 4, 30:33] = 255  # the smallest: three pixels
        picture[mask_HW > 0] += np.array([120, 20, 60], dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{i}.png")
        if i % 3:
            Image.fromarray(mask_HW).save(folder / f"{i}_mask.png")
    done = augury(
        "study", folder, "--out", tmp_path / "s", "--task", "segment", "--preset", "quick", "--size", "96x160",
        "--arms", "real", "--no-patients", "--set", "steps=2", "--set", "batch=4", "--set", "seeds=1",
        "--set", "candidates=[standard]", "--set", "segmenter.validations=1", "--workers", 1, "--json",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert done.facts["data"]["classes"] == {}
    assert "6 of 18 images have no mask" in done.err
    assert set(done.facts["arms"]) == {"real", "augmented"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--task", "grade"], ("--task", "segment")),
        (["--task", "segment", "--metric", "auroc_macro"], ("--metric", "dice")),
        (["--task", "segment", "--arms", "probe"], ("probe", "expected one of")),
        (["--task", "segment", "--generators", "cvae"], ("cvae", "flow")),
        (["--task", "segment", "--set", "classifier.width=8"], ("classifier.width", "segmenter")),
        (["--task", "segment", "--set", "candidates=[light]"], ("light", "standard")),
        (["--task", "segment", "--set", "flow.conditions=[cam]"], ("cam", "mask")),
    ],
)
def test_a_mistake_is_one_line(augury: Augury, tmp_path: Path, more: list[str], words: tuple[str, ...]) -> None:
    augury("study", DATA, "--out", tmp_path / "s", *more).expect_one_line(*words)
    assert not (tmp_path / "s" / "plan.json").exists()


def test_a_set_without_masks_is_refused(augury: Augury, tmp_path: Path) -> None:
    done = augury("study", "phantom:brain?n=40&size=32&lesions=0", "--out", tmp_path / "s", "--task", "segment")
    done.expect_one_line("with masks", "column `mask`")

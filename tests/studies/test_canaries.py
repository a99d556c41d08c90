"""Canaries: marks are found where they are, not where they are not, and come out of a generator that memorises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.studies.phantom_pairs import phantom_pairs

from augury.app.cli import main
from augury.errors import UserError
from augury.studies.canaries import (
    DECOYS,
    SHIFT,
    came_out,
    canaries,
    draw_marks,
    exposure,
    found_M,
    plant,
    stamped,
)

DATA = "phantom:brain?n=24&seed=1&slices_per_patient=1&size=32"


def fit(out: Path, *, data: str = DATA, steps: int) -> Path:
    small = ["--set", "features=16", "--set", "latent=32", "--size", "16", "--batch", "24", "--quiet"]
    assert main(["fit", "cvae", data, "--out", str(out), "--steps", str(steps), *small]) == 0
    return out


def test_planting_adds_marked_copies_of_patients_of_their_own() -> None:
    train = phantom_pairs(20, seed=1)
    planted, marks = plant(train, 3, seed=0)
    assert len(planted) == 23
    assert np.array_equal(planted.pixels_NCHW[:20], train.pixels_NCHW)
    assert planted.group_N is not None
    assert len(set(planted.group_N.tolist())) == 23
    image_KCHW = planted[torch.arange(20, 23)][0]
    for image_CHW, mark in zip(image_KCHW, marks, strict=True):
        side = len(mark.sign_PP)
        patch = image_CHW[0, mark.y : mark.y + side, mark.x : mark.x + side].numpy()
        assert np.array_equal(patch, mark.sign_PP)
    again, _ = plant(train, 3, seed=0)
    assert np.array_equal(planted.pixels_NCHW, again.pixels_NCHW)
    assert not np.array_equal(planted.pixels_NCHW, plant(train, 3, seed=1)[0].pixels_NCHW)


@pytest.mark.parametrize("size", [16, 32, 64])
def test_a_mark_is_found_shifted_dim_and_noisy_but_not_where_it_is_not(size: int) -> None:
    image_SCHW = phantom_pairs(30, seed=2, size=size)[torch.arange(30)][0]
    marks, decoys = draw_marks(10, (size, size), seed=0), draw_marks(DECOYS, (size, size), seed=1)
    marked = torch.stack([stamped(image_SCHW[i], mark) for i, mark in enumerate(marks)])
    dim = torch.roll(0.6 * marked - 0.2, (SHIFT - 1, -1), (2, 3)) + 0.1 * torch.randn(marked.shape)
    level = found_M(image_SCHW, decoys)
    assert came_out(found_M(torch.cat([image_SCHW, marked]), marks), level).all()
    assert came_out(found_M(dim, marks), level).mean() >= 0.7  # some are rolled over the edge
    assert came_out(found_M(image_SCHW, marks), level).sum() <= 1
    assert found_M(torch.full((1, 1, size, size), -1.0), marks).max() < 1e-3


def test_exposure_is_what_its_paper_says() -> None:
    best_D = np.linspace(0, 0.5, 7)
    assert exposure(np.array([0.9, 0.5, -1.0]), best_D) == pytest.approx([3.0, 2.0, 0.0])


def test_they_come_out_of_a_fit_that_memorises(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    model = fit(tmp_path / "m", steps=2)
    record = json.loads((model / "artefact.json").read_text())
    record["facts"]["steps"] = 250  # the recipe alone counts: its own weights are not looked at
    (model / "artefact.json").write_text(json.dumps(record))
    found = canaries(model, DATA, k=6, seed=0, samples=500, progress=lambda *args: seen.append(args))
    assert found["planted"] == 6
    assert found["images"] == 24
    assert found["out"] >= 2
    assert found["share"]["low"] > 0.0
    assert found["exposure_bits"] > 3.0
    assert {"fitting with canaries", "looking for canaries"} == {stage for stage, _, _ in seen}


def test_they_stay_in_where_little_was_learnt_of_much(tmp_path: Path) -> None:
    data = DATA.replace("n=24", "n=200")
    found = canaries(fit(tmp_path / "m", data=data, steps=20), data, k=6, seed=0, samples=500)
    assert found["out"] == 0
    assert found["share"]["high"] < 0.5


def test_strangers_data_and_other_models_are_refused(tmp_path: Path, own_cache: None) -> None:
    model = fit(tmp_path / "m", steps=2)
    with pytest.raises(UserError, match="holds 0 of the images"):
        canaries(model, DATA.replace("seed=1", "seed=9"), k=2, seed=0)
    with pytest.raises(UserError, match="at least 1 image"):
        canaries(model, DATA, k=0, seed=0)

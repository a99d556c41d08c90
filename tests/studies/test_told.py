"""Maps of a set as a model is told them: on any size, with tiny masks and none. N images, K maps, H height, W width."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.app.conftest import write_manifest

from augury.conditions.edges import contour, gradient_edges
from augury.conditions.pairs import to_unit
from augury.data.importers import load
from augury.data.preparation.preparation import Preparation
from augury.data.sample import Manifest
from augury.data.store import Store, prepare
from augury.errors import UserError
from augury.studies.edge_finder import edge_maps, finder, finder_of
from augury.studies.told import Raw, parsed, raw_maps, stored_map, whole_map

SIZE = (24, 40)
MAPS = ("edges", "mask", "boxes")


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> tuple[Manifest, Store, Raw]:
    """Four images of 48 x 80 in colour: a large mask, one of three pixels, an empty one, none."""
    folder, rng = tmp_path_factory.mktemp("coloured"), np.random.default_rng(0)
    mask_NHW = np.zeros((3, 48, 80), dtype=np.uint8)
    mask_NHW[0, 8:30, 10:50] = 255
    mask_NHW[1, 20, 60:63] = 255
    rows = []
    for i in range(4):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 10, 3), dtype=np.uint8))
        coarse.resize((80, 48), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
        rows.append({"image": f"{i}.png", "label": "ab"[i % 2], "mask": f"m{i}.png" if i < 3 else ""})
        if i < 3:
            Image.fromarray(mask_NHW[i]).save(folder / f"m{i}.png")
    manifest = load(write_manifest(folder, rows, images=False), no_patients=True)
    store = prepare(manifest, Preparation(size=SIZE))
    return manifest, store, raw_maps(manifest, store, MAPS, finder=finder("gradient"), stage=lambda _: None)


def test_each_channel_is_what_it_says(coloured: tuple[Manifest, Store, Raw]) -> None:
    manifest, store, raw = coloured
    map_NKHW = whole_map(raw, manifest.label_N, MAPS, contour=True)
    assert map_NKHW.shape == (4, 3, *SIZE)
    edge_N1HW, mask_NHW = gradient_edges(to_unit(np.array(store.pixels_NCHW))), map_NKHW[:, 1]
    lines_N1HW = contour(torch.from_numpy(mask_NHW / 255).float()[:, None])
    wanted_NHW = (edge_N1HW + lines_N1HW).clamp(0, 1)[:, 0].mul(255).numpy()
    assert np.abs(map_NKHW[:, 0] - wanted_NHW).max() <= 1.01  # edges were kept as bytes
    assert (mask_NHW > 0).sum((1, 2)).tolist() == [11 * 20, (mask_NHW[1] > 0).sum(), 0, 0]
    assert 1 <= (mask_NHW[1] > 0).sum() <= 3, "a mask of three pixels is not lost"
    assert np.array_equal(map_NKHW[0, 2], mask_NHW[0]), "the box of a rectangle is the rectangle"
    assert not map_NKHW[2:, 1:].any()
    plain = whole_map(raw, manifest.label_N, ("edges",), contour=False)
    assert np.abs(plain[:, 0] - edge_N1HW[:, 0].mul(255).numpy()).max() <= 0.51


def test_maps_are_made_once(coloured: tuple[Manifest, Store, Raw]) -> None:
    manifest, store, raw = coloured
    facts = {"edges": dict(finder("gradient").facts), "contour": True}
    first = stored_map(raw, manifest, store, MAPS, facts=facts)
    assert np.array_equal(first, whole_map(raw, manifest.label_N, MAPS, contour=True))
    seen: list[int] = []
    edge_maps(store, finder("gradient"), progress=lambda *done: seen.append(done[0]))
    assert not seen, "edges found before are not found again"
    other = stored_map(raw, manifest, store, MAPS, facts={**facts, "contour": False})
    assert not np.array_equal(first, other)


def test_a_model_is_told_by_its_own_finder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGURY_CACHE", str(tmp_path))
    told = finder("gradient").facts
    assert finder_of(told, asked=None).facts == told
    with pytest.raises(UserError, match=r"weights abcdef012345, which are not in .*name it by --edges"):
        finder_of({"finder": "hed", "sha256": "abcdef0123456789", "revision": 1}, asked=None)
    with pytest.raises(UserError, match="the model was told edges by HED, weights abcdef012345"):
        finder_of({"finder": "hed", "sha256": "abcdef0123456789", "revision": 1}, asked="gradient")
    with pytest.raises(UserError, match="other edges would steer it elsewhere"):
        finder_of({**told, "revision": 0}, asked=None)
    with pytest.raises(UserError, match="no such file"):
        finder(str(tmp_path / "hed.safetensors"))


def test_weights_that_lie_ready_are_taken(real_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGURY_CACHE", str(tmp_path))
    assert finder(None).facts["finder"] == "gradient"
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "hed.safetensors").symlink_to(real_weights / "hed_bsds500.fp16.safetensors")
    ready = finder(None)
    assert ready.facts["finder"] == "hed"
    assert finder_of(ready.facts, asked=None).facts == ready.facts


def test_conditions_are_named_once_and_known() -> None:
    assert parsed("mask, label,prompt") == ("label", "prompt", "mask")
    for text in ("label,label", "", "outline"):
        with pytest.raises(UserError, match="expected some of label, prompt"):
            parsed(text)

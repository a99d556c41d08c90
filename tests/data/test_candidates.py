"""Laws of the sieves that stand before registration: cells partition the images, copies come to one cell."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from augury.data import cells
from augury.data.candidates import Thumbs, candidates
from augury.data.codes import best_fit, codes_of, detail, oriented_code, similarity, views
from augury.data.registration import WHOLE, oriented
from augury.data.shifts import packed, slid, small_textures


def textures(count: int, *, seed: int = 0) -> NDArray[np.uint16]:
    """Thumbnails of random fields, coarse and fine."""
    rng = np.random.default_rng(seed)
    total = np.zeros((count, 64, 64), dtype=np.float32)
    for size in (5, 12, 30):
        fields = rng.normal(0, 6000, (count, size, size)).astype(np.float32)
        total += np.stack([np.asarray(Image.fromarray(f).resize((64, 64), Image.Resampling.BICUBIC)) for f in fields])
    return np.clip(total + 32768, 0, 65535).astype(np.uint16)


def turned(thumb_HW: NDArray[np.uint16], i: int) -> NDArray[np.uint16]:
    return np.rot90(np.fliplr(thumb_HW) if i % 2 else thumb_HW, i // 2 % 4)


def whole(thumb_NHW: NDArray[np.uint16]) -> Thumbs:
    return Thumbs(all_NHW=thumb_NHW, index_U=np.arange(len(thumb_NHW)))


def test_cells_hold_every_image_once_and_no_blank_one() -> None:
    thumb_NHW = textures(60)
    thumb_NHW[7] = 12345
    code_ND = codes_of(detail(thumb_NHW), views()[:1])[0].astype(np.float16)
    found = cells.build(code_ND, workers=1)
    inside = np.concatenate([found.order_N[found.members(k)] for k in range(len(found.anchor_KD))])
    assert sorted(inside.tolist()) == [i for i in range(60) if i != 7]


def test_small_cells_still_find_turned_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "MEMBERS", 6)
    monkeypatch.setattr(cells, "VISITS", 4)
    originals = textures(400)
    copies = np.stack([turned(thumb_HW, i) for i, thumb_HW in enumerate(originals[:80])])
    found = candidates(whole(np.concatenate([originals, copies])), workers=2)
    pairs = {frozenset(pair) for pair in zip(found.fixed_P.tolist(), found.moving_P.tolist(), strict=True)}
    asked = [{i, 400 + i} for i in range(1, 80) if not np.array_equal(originals[i], copies[i])]
    assert all(pair in pairs for pair in asked)
    assert len(found) <= 4 * 480


def test_nothing_is_a_candidate_of_a_blank_image() -> None:
    assert len(candidates(whole(np.full((3, 64, 64), 9, dtype=np.uint16)), workers=1)) == 0


def test_the_best_fit_names_the_turn_and_the_view() -> None:
    thumb_NHW = textures(8)
    query_VND = codes_of(detail(thumb_NHW), views())
    for orientation in range(8):
        seen_ND = oriented_code(query_VND[5], (orientation))
        view_N, turn_N = best_fit(query_VND, seen_ND / 1.0)
        back = [oriented_code(seen_ND[None, i], int(t))[0] for i, t in enumerate(turn_N)]
        assert view_N.tolist() == [5] * 8
        assert np.allclose(back, query_VND[5], atol=1e-5)
    assert np.allclose(similarity(query_VND, query_VND[0]).diagonal(), 1, atol=1e-5)


def test_a_slide_is_found_and_a_byte_texture_is_close() -> None:
    detail_NHW = detail(textures(6))
    small_Nhw = small_textures(detail_NHW, WHOLE)
    kept_Nhw, scale_N = packed(small_Nhw)
    turn_N = np.arange(6)
    still, y, x = slid(kept_Nhw * scale_N[:, None, None], oriented(small_Nhw, turn_N), np.zeros(6, dtype=np.int64))
    assert still[0] > 0.997
    assert (y[0], x[0]) == (0, 0)
    moved_Nhw = small_textures(detail_NHW, WHOLE + np.array([2 / 32, 0, 0, -1 / 32, 0, 0], dtype=np.float32))
    score_N, y_N, x_N = slid(small_Nhw, moved_Nhw, np.zeros(6, dtype=np.int64))
    assert score_N.min() > 0.75
    assert set(zip(y_N.tolist(), x_N.tolist(), strict=True)) == {(2, -1)}

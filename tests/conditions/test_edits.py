"""Laws of edits: what stays, what moves, what is new. N images of the pool, H height, W width."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from augury.conditions.edits import EDITS, Pool, Steer, as_steer, edited, parsed
from augury.conditions.mask_shapes import MaskShapes
from augury.errors import UserError

COUNT, SIZE = 24, (32, 40)


def whole(*, boxes: bool = False) -> Steer:
    """Discs of two classes, a frame of edges about each, one image without a lesion; edge values tell who is whose."""
    rng = np.random.default_rng(0)
    y_HW, x_HW = np.mgrid[: SIZE[0], : SIZE[1]]
    mask_NHW = np.zeros((COUNT, *SIZE), dtype=np.uint8)
    edge_NHW = np.zeros_like(mask_NHW)
    for i in range(1, COUNT):
        radius_HW = np.hypot(y_HW - rng.integers(9, 23), x_HW - rng.integers(9, 30))
        mask_NHW[i] = 255 * (radius_HW <= 4)
        edge_NHW[i] = (100 + i) * (np.abs(radius_HW - 5) < 1)
    edge_NHW[:, 0] = 50 + np.arange(COUNT)[:, None]  # a line that no edit of lesions may touch
    return as_steer(
        np.arange(COUNT) % 2, np.arange(COUNT), edge_NHW=edge_NHW, mask_NHW=mask_NHW,
        box_NHW=mask_NHW if boxes else None,
    )  # fmt: skip


def pool(steer: Steer) -> Pool:
    assert steer.mask_BHW is not None
    mask_NHW: NDArray[np.uint8] = (steer.mask_BHW.numpy() * 255).astype(np.uint8)
    return Pool(whole=steer, shapes=MaskShapes.fit(mask_NHW, steer.label_B.numpy(), classes=2))


def apply(name: str, steer: Steer, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    after = edited(steer, parsed(name), pool(steer), first=0, seed=seed)
    assert after.edge_BHW is not None
    assert after.mask_BHW is not None
    return after.edge_BHW, after.mask_BHW


@pytest.mark.parametrize("name", [*EDITS, "mirror+move", "none,new,rotate+new"])
def test_maps_stay_maps_and_an_edit_is_a_function_of_place_and_seed(name: str) -> None:
    steer = whole()
    edge, mask = apply(name, steer)
    assert edge.shape == mask.shape == (COUNT, *SIZE)
    assert 0 <= float(edge.min()) <= float(edge.max()) <= 1
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    again = apply(name, steer)
    assert torch.equal(edge, again[0])
    turns, one = parsed(name), replace(
        steer.each(lambda _, map_BHW: map_BHW[5:7]), label_B=steer.label_B[5:7], place_B=steer.place_B[5:7]
    )  # fmt: skip
    alone = edited(one, turns, pool(steer), first=5, seed=0).edge_BHW
    assert alone is not None
    assert torch.equal(alone, edge[5:7]), "what else is in the batch must not matter"
    if name not in ("none", "mirror"):
        assert not torch.equal(apply(name, steer, seed=1)[1], mask)


def test_none_and_twice_mirrored_are_the_identity() -> None:
    steer = whole()
    for name in ("none", "mirror+mirror"):
        edge, mask = apply(name, steer)
        assert torch.equal(edge, steer.edge_BHW)  # type: ignore[arg-type]
        assert torch.equal(mask, steer.mask_BHW)  # type: ignore[arg-type]


def test_a_moved_lesion_keeps_its_shape_and_takes_its_edges_along() -> None:
    steer = whole()
    edge, mask = apply("move", steer)
    assert steer.mask_BHW is not None
    assert torch.equal(mask.sum((1, 2)), steer.mask_BHW.sum((1, 2)))
    gone = (mask != steer.mask_BHW).any(2).any(1)
    assert int(gone.sum()) >= COUNT - 3
    grown = torch.nn.functional.max_pool2d(mask[:, None], 5, 1, 2)[:, 0] > 0
    rings = torch.arange(COUNT)[:, None, None] + 100
    assert bool(((edge * 255).round()[1:] == rings[1:])[grown[1:] & (mask[1:] == 0)].float().mean() > 0.5)


def test_a_swapped_lesion_is_another_images_of_the_class() -> None:
    steer = whole()
    edge, mask = apply("swap", steer)
    assert steer.mask_BHW is not None
    for i in range(COUNT):
        whose = [j for j in range(1, COUNT) if torch.equal(mask[i], steer.mask_BHW[j])]
        assert whose
        assert all(j % 2 == i % 2 for j in whose)
        assert i not in whose
        rings = set((edge[i, 1:] * 255).round().unique().int().tolist()) - {0}
        assert rings <= {100 + j for j in whose}, "its own edges must be gone"
        assert float(edge[i, 0, 0] * 255) == pytest.approx(50 + i, abs=0.01), "the rest stays"


def test_a_new_lesion_leaves_no_old_edges() -> None:
    steer = whole()
    edge, mask = apply("new", steer)
    assert steer.mask_BHW is not None
    assert not (edge[:, 1:] > 0).any()
    assert float(edge[3, 0, 0] * 255) == pytest.approx(53, abs=0.01)
    changed = [not torch.equal(mask[i], steer.mask_BHW[j]) for i in range(COUNT) for j in range(1, COUNT)]
    assert np.mean(changed) > 0.9


def test_boxes_follow_the_lesion_and_stay_upright() -> None:
    steer = whole(boxes=True)
    for name in ("rotate", "swap", "new", "move"):
        after = edited(steer, parsed(name), pool(steer), first=0, seed=3)
        assert after.mask_BHW is not None
        assert after.box_BHW is not None
        for mask_HW, box_HW in zip(after.mask_BHW, after.box_BHW, strict=True):
            places = torch.nonzero(mask_HW)
            if len(places) and name != "rotate":  # one component: its box
                (top, left), (bottom, right) = places.amin(0).tolist(), places.amax(0).tolist()
                assert float(box_HW.sum()) == (bottom - top + 1) * (right - left + 1)
            assert bool((box_HW >= mask_HW).all())


def test_what_cannot_be_edited_is_one_line() -> None:
    steer = replace(whole(), mask_BHW=None)
    for name in ("move", "swap", "new"):
        with pytest.raises(UserError, match="have no masks"):
            edited(steer, parsed(name), Pool(whole=steer), first=0, seed=0)
    with pytest.raises(UserError, match="expected some of none, mirror"):
        parsed("mirror,flip")

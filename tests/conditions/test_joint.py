"""Laws of moving an image and its maps together. B batch, K map channels, H height, W width."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from augury.conditions.condition import Condition
from augury.conditions.edges import contour, gradient_edges
from augury.conditions.joint import Moves, Placement, moved_image, moved_maps, moved_pair
from augury.errors import UserError

STILL = {"turn_B": torch.zeros(1), "window_B": torch.ones(1), "shift_B2": torch.zeros(1, 2),
         "mirror_B": torch.zeros(1, dtype=torch.bool)}  # fmt: skip


def placement(**changes: Tensor) -> Placement:
    return Placement(**{**STILL, **changes})


def blobs(count: int, size: tuple[int, int]) -> Tensor:
    """mask_B1HW: an ellipse each, in the middle half."""
    height, width = size
    y_H1, x_W = torch.arange(height)[:, None] + 0.5, torch.arange(width) + 0.5
    at = torch.rand(count, 4, generator=torch.Generator().manual_seed(5))
    planes = [
        ((y_H1 - height * (0.4 + 0.2 * a)) / (height * (0.1 + 0.1 * c))) ** 2
        + ((x_W - width * (0.4 + 0.2 * b)) / (width * (0.1 + 0.1 * d))) ** 2
        <= 1
        for a, b, c, d in at.tolist()
    ]
    return torch.stack(planes)[:, None].float()


@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_image_edges_and_mask_stay_on_each_other(size: tuple[int, int]) -> None:
    mask_B1HW = blobs(12, size)
    image_BCHW = mask_B1HW * 1.2 - 0.6
    edge_B1HW = gradient_edges(image_BCHW)
    moves = Moves(mirror=True, shift=0.05)
    placed = Placement.draw(12, moves, generator=torch.Generator().manual_seed(1))
    condition = Condition(map_BKHW=torch.cat([edge_B1HW, mask_B1HW], 1), maps=("edges", "mask"))
    image, after = moved_pair(image_BCHW, condition, placed)
    assert after.map_BKHW is not None
    moved_edge, moved_mask = after.map_BKHW.split(1, 1)
    brightness_B1HW = (image > 0).float()
    assert float((brightness_B1HW - moved_mask).abs().mean()) < 0.002
    assert set(moved_mask.unique().tolist()) == {0.0, 1.0}
    anew = gradient_edges(image)
    for found_1HW, wanted_1HW in zip(anew, moved_edge, strict=True):
        assert torch.corrcoef(torch.stack([found_1HW.flatten(), wanted_1HW.flatten()]))[0, 1] > 0.93
    along_B1HW = contour(moved_mask) > 0
    assert float(moved_edge[along_B1HW].mean()) > 5 * float(moved_edge[~along_B1HW].mean())


def test_no_move_is_the_identity() -> None:
    mask_B1HW = blobs(1, (24, 40))
    assert torch.allclose(moved_image(mask_B1HW, placement()), mask_B1HW, atol=1e-5)
    assert torch.equal(moved_maps(mask_B1HW, ("mask",), placement()), mask_B1HW)


def test_each_parameter_does_what_it_says() -> None:
    mask_B1HW = torch.zeros(1, 1, 32, 64)
    mask_B1HW[..., 4:8, 40:48] = 1
    mirrored = moved_maps(mask_B1HW, ("mask",), placement(mirror_B=torch.tensor([True])))
    assert torch.equal(mirrored, mask_B1HW.flip(3))
    shifted = moved_maps(mask_B1HW, ("mask",), placement(shift_B2=torch.tensor([[0.125, 0.25]])))
    assert torch.equal(shifted, mask_B1HW.roll((8, 8), (2, 3)))
    square = torch.zeros(1, 1, 32, 32)
    square[..., 4:8, 20:28] = 1
    turned = moved_maps(square, ("mask",), placement(turn_B=torch.tensor([torch.pi / 2])))
    assert torch.equal(turned, square.rot90(1, (2, 3)))
    halved = moved_maps(square, ("mask",), placement(window_B=torch.tensor([2.0])))
    assert float(halved.sum()) == pytest.approx(float(square.sum()) / 4)


def test_a_turn_is_rigid_in_an_image_that_is_not_square() -> None:
    y_H1, x_W = torch.arange(48)[:, None] - 23.5, torch.arange(96) - 47.5
    disc = ((y_H1**2 + x_W**2) <= 15**2).float()[None, None]
    turned = moved_maps(disc, ("mask",), placement(turn_B=torch.tensor([0.6])))
    assert float((turned - disc).abs().sum()) <= 0.02 * float(disc.sum())


def test_each_image_has_its_own_parameters_within_the_bounds() -> None:
    placed = Placement.draw(500, Moves(), generator=torch.Generator().manual_seed(2))
    degrees_B = placed.turn_B.rad2deg()
    assert len(degrees_B.unique()) > 400
    assert float(degrees_B.abs().max()) <= 20.0001
    assert float(degrees_B.max()) > 18
    assert 0.75 <= float(placed.window_B.min()) < 0.78
    assert 1.02 < float(placed.window_B.max()) <= 1.05
    assert not bool(placed.mirror_B.any())


def test_a_mask_of_one_pixel_is_not_lost() -> None:
    mask_B1HW = torch.zeros(60, 1, 32, 32)
    mask_B1HW[..., 12, 18] = 1
    placed = Placement.draw(60, Moves(), generator=torch.Generator().manual_seed(3))
    assert bool((moved_maps(mask_B1HW, ("mask",), placed).sum((1, 2, 3)) >= 1).all())
    assert float(moved_maps(torch.zeros_like(mask_B1HW), ("mask",), placed).max()) == 0


@pytest.mark.parametrize("bad", [{"crop": (0.0, 1.0)}, {"crop": (1.0, 0.9)}, {"turn": 200.0}, {"shift": 1.0}])
def test_moves_out_of_bounds_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UserError, match="expected 0 to 180 degrees"):
        Moves(**bad)  # type: ignore[arg-type]

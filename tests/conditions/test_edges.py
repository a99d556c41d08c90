"""Laws of edges: HED against a second writing of it, what any finder must do, contours. B batch, H height, W width."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from augury.conditions.edges import Edges, contour, enlarged, gradient_edges, with_contour
from augury.data.weights import load_weights
from augury.nets.hed import HED

HED_FILE = "hed_bsds500.fp16.safetensors"


@pytest.fixture(scope="module")
def hed(real_weights: Path) -> HED:
    net = HED().eval()
    load_weights(net, real_weights / HED_FILE)
    return net.requires_grad_(False)


def step_edge(side: int, *, at: int, low: float = -0.6, high: float = 0.6) -> Tensor:
    """image_1CHW, dark left of column `at` and bright from there on."""
    image_11HW = torch.full((1, 1, side, side), low)
    image_11HW[..., at:] = high
    return image_11HW


def second_hed(image_BCHW: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """Xie and Tu 2015 from the words of ../shared/data/README.md, by functional calls alone."""
    red, green, blue = image_BCHW.expand(-1, 3, -1, -1).unbind(1)
    means = (104.00699, 116.66877, 122.67892)
    x = torch.stack([(plane * 127.5 + 127.5) - mean for plane, mean in zip((blue, green, red), means, strict=True)], 1)
    sides = []
    for block, count in enumerate((2, 2, 3, 3, 3), start=1):
        if block > 1:
            x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((-1, -2))
        for i in range(1, count + 1):
            name = f"conv{block}_{i}"
            x = torch.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1))
        side = torch.einsum("bchw,c->bhw", x, weights[f"dsn{block}.weight"].flatten()) + weights[f"dsn{block}.bias"]
        sides.append(F.interpolate(side[:, None], size=image_BCHW.shape[-2:], mode="bilinear"))
    fused = sum(side * w for side, w in zip(sides, weights["fuse.weight"].flatten(), strict=True))
    return torch.sigmoid(fused + weights["fuse.bias"])


@pytest.mark.parametrize(("channels", "size"), [(1, (32, 48)), (3, (36, 32))])
def test_hed_is_what_its_description_says(channels: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = HED().eval()
    image_BCHW = torch.rand(2, channels, *size) * 2 - 1
    with torch.no_grad():
        found = net(image_BCHW)
        assert torch.allclose(found, second_hed(image_BCHW, dict(net.state_dict())), atol=1e-5)


def test_the_given_weights_are_its_own_and_give_the_same_edges(hed: HED, real_weights: Path) -> None:
    weights = {name: value.float() for name, value in load_file(real_weights / HED_FILE).items()}
    image_BCHW = torch.rand(1, 3, 48, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert torch.allclose(hed(image_BCHW), second_hed(image_BCHW, weights), atol=1e-4)


@pytest.mark.parametrize("bad", [(1, 2, 32, 32), (1, 1, 8, 32)])
def test_hed_refuses_what_it_cannot_read(bad: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected 1 or 3, from 16 px"):
        HED()(torch.zeros(bad))


@pytest.mark.parametrize("side", [32, 64])
def test_hed_sees_a_step_where_it_is(hed: HED, side: int) -> None:
    expect_step_found(enlarged(hed), side=side)


@pytest.mark.parametrize("side", [16, 32, 64])
def test_gradients_see_a_step_where_it_is(side: int) -> None:
    expect_step_found(gradient_edges, side=side)


def expect_step_found(find: Edges, *, side: int) -> None:
    at = side // 2 + side // 8
    profile_W = find(step_edge(side, at=at)).mean((0, 1, 2))
    assert int(profile_W.argmax()) in (at - 1, at)
    assert float(profile_W.max()) > 0.5
    assert float(profile_W[: side // 4].max()) < 0.2


def test_no_edge_where_nothing_changes(hed: HED) -> None:
    flat_BCHW = torch.full((1, 1, 32, 32), 0.3)
    assert float(gradient_edges(flat_BCHW).max()) < 1e-9
    assert float(enlarged(hed)(flat_BCHW).max()) < 0.1


@pytest.mark.parametrize("size", [(12, 20), (33, 47)])
@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_edges_turn_with_the_image_and_know_no_sign(size: tuple[int, int], channels: int) -> None:
    image_BCHW = torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(3)) * 2 - 1
    edge_B1HW = gradient_edges(image_BCHW)
    assert edge_B1HW.shape == (2, 1, *size)
    assert 0 <= float(edge_B1HW.min()) <= float(edge_B1HW.max()) < 1
    assert torch.allclose(gradient_edges(image_BCHW.rot90(1, (2, 3))), edge_B1HW.rot90(1, (2, 3)), atol=1e-5)
    assert torch.allclose(gradient_edges(-image_BCHW), edge_B1HW, atol=1e-5)
    assert torch.allclose(gradient_edges(image_BCHW[:1]), edge_B1HW[:1], atol=1e-6), "images must not mix"


def test_a_ramp_has_its_slope_everywhere_inside() -> None:
    ramp = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)
    edge_HW = gradient_edges(ramp)[0, 0, 12:-12, 12:-12]
    assert float(edge_HW.max() - edge_HW.min()) < 1e-4


@pytest.mark.parametrize("size", [(32, 32), (20, 44), (96, 160)])
def test_an_enlarged_finder_keeps_size_and_place(size: tuple[int, int]) -> None:
    seen: list[tuple[int, ...]] = []

    def brightness(image_BCHW: Tensor) -> Tensor:
        seen.append(tuple(image_BCHW.shape[-2:]))
        return (image_BCHW.mean(1, keepdim=True) + 1) / 2

    image_BCHW = F.interpolate(torch.rand(1, 1, 5, 5) * 2 - 1, size=size, mode="bilinear")
    found = enlarged(brightness)(image_BCHW)
    assert found.shape == (1, 1, *size)
    assert float((found - (image_BCHW + 1) / 2).abs().max()) < 0.05
    assert all(side % 16 == 0 and side >= 128 for side in seen[0])


def test_a_contour_runs_along_the_mask_and_only_there() -> None:
    mask_B1HW = torch.zeros(1, 1, 20, 20)
    mask_B1HW[..., 5:13, 6:15] = 1
    found_HW = contour(mask_B1HW)[0, 0] > 0
    inner = F.max_pool2d(-mask_B1HW, 3, 1, 1)[0, 0] == -1
    outer = F.max_pool2d(mask_B1HW, 3, 1, 1)[0, 0] == 0
    assert torch.equal(found_HW, ~(inner | outer))
    assert set(contour(mask_B1HW).unique().tolist()) == {0.0, 1.0}


def test_a_contour_of_one_pixel_of_all_and_of_none() -> None:
    mask_B1HW = torch.zeros(1, 1, 9, 9)
    assert float(contour(mask_B1HW).max()) == 0
    assert float(contour(1 - mask_B1HW).max()) == 0
    mask_B1HW[..., 4, 4] = 1
    assert np.argwhere(contour(mask_B1HW)[0, 0].numpy() > 0).min(0).tolist() == [3, 3]
    both = with_contour(torch.full((1, 1, 9, 9), 0.4), mask_B1HW)
    assert float(both.max()) == 1
    assert float(both[0, 0, 0, 0]) == pytest.approx(0.4)

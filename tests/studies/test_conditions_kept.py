"""Obedience measured on generators whose obedience is known. N images, H height, W width."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from augury.conditions.condition import Condition
from augury.conditions.edges import gradient_edges
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.generators.generator import Generator
from augury.studies.conditions_kept import Judges, conditions_kept, mean_of, ratio_of
from augury.studies.edge_finder import edges_of
from augury.training import Run

COUNT, SIDE = 40, 24


class Painter(Generator):
    """Paints the mask that it is told, the brighter the higher the label, on grain; a deaf one paints its own."""

    method: ClassVar[str] = "painter"

    def __init__(self, *, deaf: bool) -> None:
        self.deaf, self.config = deaf, None
        self.shape = Shape(channels=1, height=SIDE, width=SIDE, classes=2)
        self.nets = nn.ModuleDict({"none": nn.Linear(1, 1)})

    def fit(self, train: Pairs, run: Run) -> Self:
        raise NotImplementedError

    def membership(self, image_BCHW: Tensor, condition: Condition, *, seed: int) -> Tensor:
        raise NotImplementedError

    def sample(self, condition: Condition, *, seed: int) -> Tensor:
        random = torch.Generator().manual_seed(seed)
        assert condition.map_BKHW is not None
        mask_B1HW, label_B = condition.map_BKHW[:, condition.maps.index("mask")][:, None], condition.labels()
        if self.deaf:
            order = torch.randperm(len(label_B), generator=random)
            mask_B1HW, label_B = mask_B1HW[order], label_B[order]
        return painted(mask_B1HW, label_B, random)


def painted(mask_B1HW: Tensor, label_B: Tensor, random: torch.Generator) -> Tensor:
    grain = torch.randn(mask_B1HW.shape, generator=random) * 0.03
    return (mask_B1HW * (0.5 + 0.4 * label_B[:, None, None, None]) - 0.5 + grain).clamp(-1, 1)


@pytest.fixture(scope="module")
def held() -> Pairs:
    rng = np.random.default_rng(0)
    mask_NHW = np.zeros((COUNT, SIDE, SIDE), dtype=np.uint8)
    for mask_HW in mask_NHW[4:]:  # four have no lesion
        y, x = rng.integers(2, SIDE - 8, 2)
        mask_HW[y : y + 6, x : x + 6] = 255
    label_N = torch.arange(COUNT) % 2
    image = painted(torch.from_numpy(mask_NHW[:, None] / 255).float(), label_N, torch.Generator().manual_seed(1))
    return Pairs(
        pixels_NCHW=image.numpy(), condition=Condition(label_B=label_N), classes=2, group_N=torch.arange(COUNT) // 2,
        map_NKHW=mask_NHW[:, None], maps=("mask",),
    )  # fmt: skip


def unit(pixels_NCHW: NDArray[Any]) -> NDArray[np.floating]:
    return pixels_NCHW if pixels_NCHW.dtype == np.float32 else pixels_NCHW.astype(np.float32) / 127.5 - 1


JUDGES = Judges(
    segment=lambda pixels: unit(pixels)[:, 0] > -0.25,
    classify=lambda pixels: (unit(pixels).max((1, 2, 3)) > 0.2).astype(np.int64),
    edges=gradient_edges,
)


def kept(held: Pairs, *, deaf: bool) -> dict[str, Any]:
    edge_NHW = edges_of(torch.from_numpy(held.pixels_NCHW), gradient_edges).mul(255).round().byte().numpy()
    return conditions_kept(Painter(deaf=deaf), held, JUDGES, edge_NHW=edge_NHW, seed=3)


def test_an_obedient_model_keeps_everything(held: Pairs) -> None:
    found = kept(held, deaf=False)
    for name in ("dice_real", "dice_drawn", "dice_ratio", "edge_f1"):
        assert found[name].value > (0.85 if name == "edge_f1" else 0.97), name
    assert found["dice_shuffled"].value < 0.3
    assert found["edge_f1_shuffled"].value < 0.7 * found["edge_f1"].value
    assert found["label_ratio"].value == pytest.approx(1, abs=0.11)
    assert found["dice_real"].n == (COUNT - 4) // 2, "images without a lesion are not asked for one"


def test_a_deaf_model_is_at_chance(held: Pairs) -> None:
    found = kept(held, deaf=True)
    assert found["dice_real"].value > 0.97
    assert found["dice_drawn"].value < 0.3
    assert found["dice_drawn"].low < found["dice_shuffled"].value < found["dice_drawn"].high + 0.1
    assert found["label_drawn"].value < 0.75
    assert found["dice_ratio"].high < 0.5


def test_ratios_are_of_means_and_leave_out_what_was_not_asked() -> None:
    above, below = np.array([1.0, 2.0, np.nan, 4.0]), np.array([2.0, 2.0, 5.0, np.nan])
    found = ratio_of(above, below, np.array([0, 1, 2, 3]))
    assert found.value == pytest.approx(3 / 4)
    assert found.n == 2
    assert mean_of(np.array([0.2, 0.4, np.nan]), np.array([0, 0, 1])).value == pytest.approx(0.3)
    with pytest.raises(ValueError, match="nothing to take a ratio of"):
        mean_of(np.full(3, np.nan), np.arange(3))

"""Pairs give images with all that is known of each, aligned whatever is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs


def pairs(count: int = 6) -> Pairs:
    """Image i is i everywhere; its first map 10 i, its second 20 i."""
    number_N = np.arange(count, dtype=np.uint8)
    full_NHW = np.ones((count, 4, 5), dtype=np.uint8) * number_N[:, None, None]
    return Pairs(
        pixels_NCHW=full_NHW[:, None], condition=Condition(label_B=torch.arange(count)), classes=count,
        map_NKHW=np.stack([10 * full_NHW, 20 * full_NHW], axis=1), maps=("edges", "mask"),
    )  # fmt: skip


def test_images_labels_and_maps_stay_together() -> None:
    whole = pairs()
    for some in (whole[torch.tensor([4, 1])], whole.subset(torch.tensor([5, 4, 1]))[torch.tensor([1, 2])]):
        image_BCHW, condition = some
        assert torch.allclose((image_BCHW[:, 0, 0, 0] + 1) * 127.5, torch.tensor([4.0, 1.0]))
        assert condition.labels().tolist() == [4, 1]
        assert condition.maps == ("edges", "mask")
        assert condition.map_BKHW is not None
        assert condition.map_BKHW.dtype == torch.float32
        assert torch.allclose(condition.map_BKHW[:, :, 3, 4] * 255, torch.tensor([[40.0, 80.0], [10.0, 20.0]]))


def test_a_channel_is_found_by_its_name() -> None:
    assert (pairs().channel("mask")[3] == 60).all()
    with pytest.raises(ValueError, match="no map 'boxes'"):
        pairs().channel("boxes")


def test_maps_that_do_not_fit_their_images_are_refused() -> None:
    image = pairs()
    with pytest.raises(ValueError, match="give each a name"):
        Pairs(pixels_NCHW=image.pixels_NCHW, condition=image.condition, classes=6, map_NKHW=image.map_NKHW)
    with pytest.raises(ValueError, match="give each a name"):
        Pairs(pixels_NCHW=image.pixels_NCHW, condition=image.condition, classes=6, maps=("mask",),
              map_NKHW=np.zeros((6, 1, 5, 5), dtype=np.uint8))  # fmt: skip

"""Laws of boxes and heat as maps. K boxes, H height, W width."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augury.conditions.maps import box_map, boxes_of, heat_map, placed_boxes
from augury.data.sample import Box

PATIENT = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # of a loaded machine
PLACE = st.floats(0, 20, allow_nan=False)


@PATIENT
@given(PLACE, PLACE, PLACE, PLACE)
def test_a_box_adds_up_to_its_area(x: float, y: float, width: float, height: float) -> None:
    left, right, top, bottom = min(x, width), max(x, width), min(y, height), max(y, height)
    map_HW = box_map([(left, top, right, bottom)], size=(20, 24))
    assert float(map_HW.sum()) == pytest.approx((right - left) * (bottom - top), abs=1e-3)
    assert float(map_HW.max(initial=0)) <= 1


def test_what_lies_outside_is_cut_and_overlaps_count_once() -> None:
    assert float(box_map([(-5, -5, 2, 3)], size=(8, 8)).sum()) == 6
    assert float(box_map([(0, 0, 4, 4), (2, 2, 6, 6)], size=(8, 8)).max()) == 1
    assert float(box_map([], size=(8, 8)).sum()) == 0


def test_a_box_goes_where_its_pixels_go() -> None:
    facts = {"crop": [10, 20, 100, 50], "placed": [0, 16, 64, 32]}
    (corners,) = placed_boxes([Box(x=60, y=30, width=25, height=10)], facts)
    assert corners == pytest.approx((32, 16 + 6.4, 48, 16 + 12.8))


def test_boxes_of_a_mask_are_tight() -> None:
    mask_HW = np.zeros((12, 16), dtype=np.uint8)
    mask_HW[2:5, 3:9] = 255
    mask_HW[9, 12] = 255
    assert boxes_of(mask_HW) == [(3, 2, 9, 5), (12, 9, 13, 10)]
    assert float(box_map(boxes_of(mask_HW), size=(12, 16)).sum()) == float((mask_HW > 0).sum())


def test_heat_is_squashed_alike_for_all_images() -> None:
    heat = heat_map(lambda image_BCHW: torch.zeros(len(image_BCHW), 1, 4, 4), torch.zeros(2, 1, 16, 16))
    assert heat.shape == (2, 1, 16, 16)
    assert bool((heat == 0.5).all())
    assert float(heat_map(lambda _: torch.full((1, 1, 4, 4), 1e6), torch.zeros(1, 1, 16, 16)).min()) == 1

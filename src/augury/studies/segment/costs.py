"""Seconds on one core of what a segmentation study does, from a few steps on noise."""

from __future__ import annotations

import time

import numpy as np
import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.data.sample import Manifest
from augury.predictors.segmenter import Segmenter, SegmenterConfig
from augury.studies.budget import generator_costs, on_one_thread, seconds_a_step
from augury.studies.doing import phases_of
from augury.studies.graph import Costs
from augury.studies.plan import Plan
from augury.studies.segment.steps import PLAIN, cases, told
from augury.training import Run

IMAGES = 64


def measure(plan: Plan, manifest: Manifest, *, device: str) -> Costs:
    """Of a segmenter's and a generator's step, of a case scored and of an image drawn."""
    height, width = plan.size
    shape = Shape(channels=plan.channels, height=height, width=width, classes=len(manifest.classes) + 1)
    pairs = _pairs(plan, shape)
    _, condition = pairs[torch.arange(16)]
    return on_one_thread(
        plan, device=device, predictor=lambda: _predictor(plan, pairs, shape, device),
        generator=lambda name, g: generator_costs(
            name, g, pairs, shape, device=device, asked=told(condition, g.config["conditions"])
        ),
    )  # fmt: skip


def _pairs(plan: Plan, shape: Shape) -> Pairs:
    """Noise with a square for a mask."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (IMAGES, shape.channels, shape.height, shape.width), dtype=np.uint8)
    map_NKHW = np.zeros((IMAGES, len(plan.maps), shape.height, shape.width), dtype=np.uint8)
    map_NKHW[:, :, shape.height // 4 : shape.height // 2, shape.width // 4 : shape.width // 2] = 255
    condition = Condition(label_B=torch.arange(IMAGES) % shape.classes)
    return Pairs(
        pixels_NCHW=pixels, condition=condition, classes=shape.classes, group_N=torch.arange(IMAGES),
        map_NKHW=map_NKHW, maps=plan.maps,
    )  # fmt: skip


def _predictor(plan: Plan, pairs: Pairs, shape: Shape, device: str) -> tuple[float, float]:
    net = Segmenter(SegmenterConfig(**{**plan.segmenter, "augmentation": plan.candidates[-1]}), shape)

    def steps(count: int) -> None:
        run = Run(seed=0, steps=count, batch=plan.batch, device=device)
        net.fit(phases_of(PLAIN, pairs, None, steps=count), run, validation=None)

    train = seconds_a_step(steps, least=3)
    start = time.monotonic()
    cases(net, pairs)
    return train, (time.monotonic() - start) / len(pairs)

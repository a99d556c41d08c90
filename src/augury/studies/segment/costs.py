"""Seconds on one core of what a segmentation study does, from a few steps on noise."""

from __future__ import annotations

import time

import numpy as np
import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.data.sample import Manifest
from augury.generators import GENERATORS
from augury.predictors.segmenter import Segmenter, SegmenterConfig
from augury.studies.budget import CONTENTION, seconds_a_step
from augury.studies.doing import phases_of
from augury.studies.graph import Costs
from augury.studies.plan import GeneratorPlan, Plan
from augury.studies.segment.steps import PLAIN, cases, told
from augury.studies.settings import configured
from augury.training import Run

IMAGES = 64


def measure(plan: Plan, manifest: Manifest, *, device: str) -> Costs:
    """Of a segmenter's and a generator's step, of a case scored and of an image drawn."""
    height, width = plan.size
    shape = Shape(channels=plan.channels, height=height, width=width, classes=len(manifest.classes) + 1)
    pairs, threads = _pairs(plan, shape), torch.get_num_threads()
    torch.set_num_threads(1 if device == "cpu" else threads)
    try:
        train, score = _predictor(plan, pairs, shape, device)
        drawn = {name: _generator(name, g, pairs, shape, device) for name, g in plan.generators.items()}
    finally:
        torch.set_num_threads(threads)
    share = CONTENTION if plan.workers > 1 else 1.0
    return Costs(
        train=share * train, score=share * score, start=0.3,
        fit={name: share * fit for name, (fit, _) in drawn.items()},
        draw={name: share * draw for name, (_, draw) in drawn.items()},
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


def _generator(name: str, plan: GeneratorPlan, pairs: Pairs, shape: Shape, device: str) -> tuple[float, float]:
    kind, config = GENERATORS[name]
    net = kind(configured(config, plan.config), shape)

    def steps(count: int) -> None:
        net.fit(pairs, Run(seed=0, steps=count, batch=plan.batch, device=device))

    fit = seconds_a_step(steps, least=3)
    _, condition = pairs[torch.arange(16)]
    start = time.monotonic()
    net.sample(told(condition, net.config.conditions), seed=0)
    return fit, (time.monotonic() - start) / 16

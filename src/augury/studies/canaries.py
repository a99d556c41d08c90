"""Canaries: marked images planted in a throw-away fit, and how many of their marks the generator draws (Carlini 2019).

Each canary is a training image with a chequered patch that nothing in nature has, of its own pattern at its own place.
A generator of the model's very recipe is fitted to the training images and the canaries; in its samples every patch is
looked for by matched filter, and so are decoys: as many patterns at as many places as give a level, never planted. A
mark came out where it is found better than every decoy. N images, K canaries, D decoys, M marks, S samples, C channels,
H height, W width, P side of a patch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs, to_uint8
from augury.conditions.shape import Shape
from augury.data import provenance
from augury.data.importers import load
from augury.data.provenance import Artefact
from augury.errors import UserError
from augury.generators import GENERATORS
from augury.generators.generator import Generator
from augury.metrics.privacy import share_of
from augury.studies.drawing import labels
from augury.studies.settings import configured
from augury.studies.told import told_again
from augury.training import Run

CELLS = 5  # squares along a patch: 25 signs tell one pattern from another
CELL = 0.06  # of the image's smaller side
DECOYS = 199
SHIFT = 2  # pixels, either way: a generator may have learnt from shifted images
PER_IMAGE = 4  # samples for each training image: one that copies at random draws 98 % of all images so
SAMPLES = (1_000, 20_000)  # at least, at most

Progress = Callable[[str, int, int], None]  # stage, done, in all


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A chequered patch: its upper left corner and its signs."""

    y: int
    x: int
    sign_PP: NDArray[np.float32]  # -1 and 1


def canaries(
    model: Path,
    data: str,
    *,
    k: int,
    seed: int,
    samples: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """How many of `k` canaries come out of a fit by the recipe of `model`, on its own images in `data`; a JSON value.

    It takes as long as the model's own fit. `samples` None: four for each training image. Raises UserError where the
    model is no generator or `data` holds none of its images.
    """
    source, start = provenance.read(model), time.monotonic()
    if k < 1:
        raise UserError(f"--canaries got {k}, expected at least 1 image to plant; try 20")
    train = _fitted_to(source, data)
    planted, marks = plant(train, k, seed=seed)
    generator = _fit(source, planted, seed=seed, device=device, progress=progress)
    count = samples or int(np.clip(PER_IMAGE * len(planted), *SAMPLES))
    asked = _asked(source, planted, count, seed=seed)
    decoys = draw_marks(DECOYS, train.shape[1:], seed=seed + 1)
    best_M = _best(generator, asked, count, [*marks, *decoys], seed=seed, progress=progress)
    out_K = came_out(best_M[:k], best_M[k:])
    return {
        "planted": k, "out": int(out_K.sum()), "share": share_of(int(out_K.sum()), k).as_json(),
        "exposure_bits": float(exposure(best_M[:k], best_M[k:]).mean()), "decoys": DECOYS, "samples": count,
        "level": float(best_M[k:].max()), "found": [round(float(value), 4) for value in best_M[:k]],
        "method": source.facts["method"], "steps": source.facts["steps"], "images": len(train), "seed": seed,
        "seconds": time.monotonic() - start,
    }  # fmt: skip


def plant(train: Pairs, k: int, *, seed: int) -> tuple[Pairs, list[Mark]]:
    """The pairs and `k` marked copies of some of them, each of a patient of its own; and the marks."""
    marks = draw_marks(k, train.shape[1:], seed=seed)
    chosen = np.random.default_rng([seed, 1]).choice(len(train), k, replace=k > len(train))
    image_KCHW, _ = train[torch.from_numpy(chosen)]
    marked_KCHW = torch.stack([stamped(image, mark) for image, mark in zip(image_KCHW, marks, strict=True)])
    whole_NCHW = torch.cat([train[torch.arange(len(train))][0], marked_KCHW])
    same = train.pixels_NCHW.dtype == np.uint8  # then the bytes of an image are what they were
    place_n = torch.cat([torch.arange(len(train)), torch.from_numpy(chosen)])
    group_N = train.group_N if train.group_N is not None else torch.arange(len(train))
    # A canary is told what its image is: of its mark neither edges nor masks speak, or it would be drawn as it is told.
    planted = replace(
        train.subset(place_n), pixels_NCHW=to_uint8(whole_NCHW) if same else whole_NCHW.numpy(),
        group_N=torch.cat([group_N, int(group_N.max()) + 1 + torch.arange(k)]),
    )  # fmt: skip
    return planted, marks


def draw_marks(count: int, size: tuple[int, int], *, seed: int) -> list[Mark]:
    """Patterns of as many light as dark squares (one more light), anywhere in an image of `size`."""
    height, width = size
    cell = max(1, round(CELL * min(size)))
    rng = np.random.default_rng([seed, 2])
    signs = np.where(np.arange(CELLS * CELLS) % 2 == 0, 1.0, -1.0).astype(np.float32)
    return [
        Mark(
            y=int(rng.integers(0, height - CELLS * cell + 1)),
            x=int(rng.integers(0, width - CELLS * cell + 1)),
            sign_PP=np.kron(rng.permutation(signs).reshape(CELLS, CELLS), np.ones((cell, cell), dtype=np.float32)),
        )
        for _ in range(count)
    ]


def stamped(image_CHW: Tensor, mark: Mark) -> Tensor:
    """The image with the patch in full contrast, in all channels."""
    side = len(mark.sign_PP)
    marked_CHW = image_CHW.clone()
    marked_CHW[:, mark.y : mark.y + side, mark.x : mark.x + side] = torch.from_numpy(mark.sign_PP)
    return marked_CHW


def found_M(image_SCHW: Tensor, marks: Sequence[Mark]) -> NDArray[np.float64]:
    """For each mark the largest correlation with its place in any of the images, shifted by at most SHIFT pixels."""
    grey_S1HW = image_SCHW.float().mean(1, keepdim=True)
    return np.array([float(_correlation(grey_S1HW, mark).max()) for mark in marks])


def _correlation(grey_S1HW: Tensor, mark: Mark) -> Tensor:
    side = len(mark.sign_PP)
    top, left = max(0, mark.y - SHIFT), max(0, mark.x - SHIFT)
    near = grey_S1HW[:, :, top : mark.y + side + SHIFT, left : mark.x + side + SHIFT]
    pattern_PP = torch.from_numpy(mark.sign_PP - mark.sign_PP.mean())
    product = F.conv2d(near, (pattern_PP / pattern_PP.norm())[None, None])
    mean, square = F.avg_pool2d(near, side, 1), F.avg_pool2d(near.square(), side, 1)
    # A flat patch has no contrast to be correlated with; below a hundredth of the range it is noise.
    spread = ((square - mean.square()).clamp(min=1e-4) * side**2).sqrt()
    return product / spread


def came_out(best_K: NDArray[np.float64], best_D: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which marks are found better than every decoy: each by chance once in D + 1."""
    out_K: NDArray[np.bool_] = best_K > best_D.max()
    return out_K


def exposure(best_K: NDArray[np.float64], best_D: NDArray[np.float64]) -> NDArray[np.float64]:
    """log2 of how much nearer to the top than by chance: log2(D + 1) - log2 rank (Carlini 2019, definition 3)."""
    rank_K = 1 + (best_D[None, :] >= best_K[:, None]).sum(1)
    bits_K: NDArray[np.float64] = math.log2(len(best_D) + 1) - np.log2(rank_K)
    return bits_K


def _fitted_to(source: Artefact, data: str) -> Pairs:
    """The images of `data` that the model was fitted to, prepared as they were then."""
    if source.facts.get("method") not in GENERATORS:
        raise UserError(
            f"{str(source.folder)!r} holds a {source.facts.get('method', source.kind)}; expected one of "
            f"{', '.join(GENERATORS)}; name the generator of the set"
        )
    manifest = load(data, no_patients=True, classes=source.facts["classes"]).labelled()
    known = manifest.subset([i for i, sample in enumerate(manifest) if sample.id in source.ids])
    if len(known) < 2:
        raise UserError(
            f"{data!r} holds {len(known)} of the images that {str(source.folder)!r} was fitted to; expected its "
            "training set; name that"
        )
    return told_again(source.facts, known)


def _asked(source: Artefact, planted: Pairs, count: int, *, seed: int) -> Callable[[slice], Condition]:
    """What the samples are asked for: classes as frequent as in training, or what training images were told."""
    if "told" not in source.facts:
        label_S = torch.from_numpy(labels(source, count, label=None))
        return lambda part: Condition(label_B=label_S[part])
    rng = np.random.default_rng([seed, 3])
    rounds = -(-count // len(planted))
    place_S = torch.from_numpy(np.concatenate([rng.permutation(len(planted)) for _ in range(rounds)])[:count])
    return lambda part: planted[place_S[part]][1]


def _fit(source: Artefact, train: Pairs, *, seed: int, device: str, progress: Progress | None) -> Generator:
    facts = source.facts
    kind, config = GENERATORS[facts["method"]]
    channels, height, width = train.shape
    run = Run(
        seed=seed, steps=facts["steps"], batch=min(facts["batch"], len(train)), device=device,
        report=None if progress is None else lambda done, total: progress("fitting with canaries", done, total),
    )  # fmt: skip
    with run.seeded("networks"):
        shape = Shape(channels=channels, height=height, width=width, classes=train.classes)
        generator: Generator = kind(configured(config, facts["config"]), shape)
    return generator.fit(train, run)


def _best(
    generator: Generator,
    asked: Callable[[slice], Condition],
    count: int,
    marks: Sequence[Mark],
    *,
    seed: int,
    progress: Progress | None,
) -> NDArray[np.float64]:
    """The best find of every mark, over all samples, a few hundred at a time."""
    best_M = np.full(len(marks), -1.0)
    for first in range(0, count, 256):
        last = min(first + 256, count)
        image_SCHW = generator.sample(asked(slice(first, last)).to(generator.device()), seed=seed * 1_000_003 + first)
        best_M = np.maximum(best_M, found_M(image_SCHW, marks))
        if progress is not None:
            progress("looking for canaries", last, count)
    return best_M

"""Which obeys its mask better after how many steps: maps beside the image, or a branch on a finished trunk?

    python experiments/control_or_concat.py [--steps 800] [--trunk 400] [--seed 0]

`flow` at 32 px on phantom:breast without difficulty. Asked: the masks of held-out patients. Found: by a segmenter
fitted to the training images. Dice of found and asked, mean over images; by chance, of found and another image's mask.
Both are judged during one training of `--steps` steps, by the averaged weights and eight steps of Heun's method.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from numpy.typing import NDArray

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs, to_uint8
from augury.conditions.shape import Shape
from augury.data.phantoms import PHANTOMS, render
from augury.generators.flow import Flow
from augury.generators.flow_settings import FlowConfig
from augury.metrics.condition_fidelity import mask_dice
from augury.predictors.phases import Phase, Source
from augury.predictors.segmenter import Segmenter, SegmenterConfig
from augury.training import Run

LOOKS = (50, 100, 200, 400, 800, 1600)  # steps after which both are judged
SIZE, TRAINED, HELD = 32, 400, 160  # pixels a side; images


def gather(seed: int) -> tuple[Pairs, Pairs]:
    """Training images, and held-out ones that have a lesion."""
    phantom = render(PHANTOMS["breast"](size=SIZE, difficulty=0.0), n=TRAINED + HELD, seed=seed)
    whole = Pairs(
        pixels_NCHW=phantom.image_NHWC.transpose(0, 3, 1, 2),
        condition=Condition(label_B=torch.from_numpy(phantom.truth_N)), classes=len(phantom.classes),
        map_NKHW=(255 * phantom.mask_NHW[:, None]).astype(np.uint8), maps=("mask",),
    )  # fmt: skip
    place_N = torch.arange(len(whole))
    marked_N = torch.from_numpy(phantom.mask_NHW.any((1, 2)))
    return whole.subset(place_N[:TRAINED]), whole.subset(place_N[TRAINED:][marked_N[TRAINED:]])


def judge_of(train: Pairs, held: Pairs) -> tuple[Segmenter, float]:
    """A segmenter of the real images, and its mean Dice on real held-out ones."""
    run = Run(seed=0, steps=300, batch=16)
    with run.seeded("networks"):
        judge = Segmenter(SegmenterConfig(), shape_of(train))
    judge.fit([Phase(sources=(Source(pairs=train),), steps=run.steps)], run)
    return judge, float(mask_dice(found(judge, held.pixels_NCHW), held.channel("mask") > 0).mean())


def found(judge: Segmenter, pixels_NCHW: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where it sees a lesion."""
    return judge.predict(pixels_NCHW) >= 0.5


def shape_of(pairs: Pairs) -> Shape:
    channels, height, width = pairs.shape
    return Shape(channels=channels, height=height, width=width, classes=pairs.classes)


def course(generator: Flow, train: Pairs, held: Pairs, judge: Segmenter, *, steps: int, seed: int) -> dict[int, str]:
    """Fit it and note, after each look, Dice (by chance) and processor seconds spent in training."""
    run, told = Run(seed=seed, steps=steps, batch=32), held[torch.arange(len(held))][1]
    asked_NHW = held.channel("mask") > 0
    looks: dict[int, str] = {}
    spent = [time.process_time()]

    def look(step: int) -> None:
        if step not in LOOKS or run.drawn is None:
            return
        start = time.process_time()
        seen_NHW = found(judge, to_uint8(run.drawn(told, 1)))
        obeyed, chance = (float(mask_dice(seen_NHW, asked).mean()) for asked in (asked_NHW, np.roll(asked_NHW, 7, 0)))
        looks[step] = f"{obeyed:.2f} ({chance:.2f}), {start - spent[0]:.0f} s"
        spent[0] += time.process_time() - start

    run.watch(LOOKS[0], look)
    generator.fit(train, run)
    return looks


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--trunk", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    train, held = gather(asked.seed)
    judge, real = judge_of(train, held)
    print(f"{len(train)} training images, {len(held)} held out with a lesion; the segmenter's Dice on real: {real:.2f}")
    common = {"student_share": 0.0, "snapshots": 0}
    start = time.process_time()
    trunk = Flow(FlowConfig(**common), shape_of(train)).fit(train, Run(seed=asked.seed, steps=asked.trunk, batch=32))
    print(f"the trunk: {asked.trunk} steps without maps, {time.process_time() - start:.0f} s")
    names = list(map(str, range(train.classes)))
    table: dict[str, dict[int, str]] = {}
    for control, begun in (("concat", False), ("branch", True), ("concat", True)):
        config = FlowConfig(conditions=("label", "mask"), control=control, **common)  # type: ignore[arg-type]
        generator = Flow(config, shape_of(train))
        if begun:
            generator.start_from(trunk, parent_classes=names, classes=names)
        row = f"{control}, {'from the trunk' if begun else 'from nothing'}"
        table[row] = course(generator, train, held, judge, steps=asked.steps, seed=asked.seed)
        print(row, table[row], flush=True)
    looks = [step for step in LOOKS if step <= asked.steps]
    print("\n| | " + " | ".join(f"{step} steps" for step in looks) + " |\n|---" * 1 + "|---" * len(looks) + "|")
    for row, values in table.items():
        print(f"| {row} | " + " | ".join(values[step] for step in looks) + " |")


if __name__ == "__main__":
    main()

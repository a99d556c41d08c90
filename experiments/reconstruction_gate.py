"""What latent space leaves of small lesions: contrast after the round trip, by size, factor, channels and steps.

    python experiments/reconstruction_gate.py DATA [--steps 400,1600] [--size 128]

Trains the autoencoder of `flow` (generators/latent_training.py) and prints a table for masked lesions and planted
discs, on images that it was not trained on.
"""

from __future__ import annotations

import argparse
import time

import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.data.importers import load
from augury.data.mask_store import prepare_masks
from augury.data.store import Preparation, prepare
from augury.generators.latent_space import Latent, LatentSpace
from augury.generators.latent_training import LatentCourse
from augury.generators.reconstruction_gate import survival
from augury.training import Run

SPACES = ((4, 4), (4, 8), (8, 8), (8, 16))  # factor, latent channels


def gather(data: str, *, size: int) -> Pairs:
    """Pixels and masks of a set."""
    manifest = load(data, no_patients=True)
    store = prepare(manifest, Preparation(size=(size, size)))
    return Pairs(
        pixels_NCHW=store.pixels_NCHW, condition=Condition(label_B=torch.from_numpy(manifest.label_N)),
        classes=len(manifest.classes), group_N=torch.from_numpy(manifest.group_N),
        map_NKHW=prepare_masks(manifest, store)[:, None], maps=("mask",),
    )  # fmt: skip


def row(train: Pairs, latent: Latent, *, steps: int) -> str:
    """One line of the table."""
    run = Run(seed=0, steps=steps + 1, batch=latent.batch)
    with run.seeded("networks"):
        space = LatentSpace(latent, channels=train.shape[0])
    course = LatentCourse(latent, space, train=train, run=run)
    start = time.process_time()
    for step in run.loop():
        if step < course.steps:
            course.take(step)
    seconds = time.process_time() - start
    masked, image_NCHW = course.survival(), train[course.held_n][0]
    discs = [
        survival(course.round_trip, image_NCHW, None, radius=radius, seed=0).smallest for radius in (1.0, 1.5, 2.0)
    ]
    planted = " | ".join(f"{share:.2f}" for share in discs)
    return (
        f"| {latent.factor} | {latent.channels} | {steps} | {seconds:.0f} | {masked.lesions} | {masked.every:.2f} "
        f"| {masked.smallest:.2f} (<= {masked.largest} px) | {planted} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--steps", default="400,1600")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--spaces", default=",".join(f"{f}x{z}" for f, z in SPACES))
    asked = parser.parse_args()
    train = gather(asked.data, size=asked.size)
    print(f"{asked.data}, {len(train)} images of {train.shape}")
    print("| factor | channels | steps | s | lesions | all | smallest third | disc r=1 | r=1.5 | r=2 |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for space in asked.spaces.split(","):
        factor, channels = map(int, space.split("x"))
        for steps in map(int, asked.steps.split(",")):
            latent = Latent(factor=factor, channels=channels, share=steps / (steps + 1))  # type: ignore[arg-type]
            print(row(train, latent, steps=steps), flush=True)


if __name__ == "__main__":
    main()

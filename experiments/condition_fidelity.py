"""Does flow draw what it is told? Dice, edges and labels of drawings by held-out maps, beside their real figures.

    .venv/bin/python experiments/condition_fidelity.py phantom:breast?n=600 --size 64 --out rows.jsonl
    .venv/bin/python experiments/condition_fidelity.py ../shared/data/busi --edges HED.safetensors --size 64

A third of the groups is held out. On the others a flow is fitted (told label, edges with the contours of masks, mask),
and, as judges, a segmenter and a classifier on real images alone. Every held-out image gives one drawing by its own
label and maps (studies/conditions_kept.py). Asked of step 4: dice_ratio and label_ratio at least 0.8, shuffled at
chance. The row of a data set, with all that was set, is one line of --out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from augury.conditions.condition import Condition
from augury.conditions.edges import Edges
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.data.importers import load
from augury.data.splits import grouped_folds
from augury.data.store import prepare
from augury.generators.flow import Flow
from augury.generators.flow_settings import FlowConfig, Sampling, UNet
from augury.predictors.classifier import Classifier, ClassifierConfig
from augury.predictors.phases import Phase, Source
from augury.predictors.segmenter import THRESHOLD, Segmenter, SegmenterConfig
from augury.studies.conditions_kept import Judges, conditions_kept, drawn_like
from augury.studies.edge_finder import GRADIENT, finder
from augury.studies.preparing import chosen, preparation_of
from augury.studies.told import raw_maps, whole_map
from augury.training import Run

FOLDS = 3
TOLD = ("label", "edges", "mask")


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Training and held-out pairs with their maps, and the edges of the held-out ones without contours."""

    train: Pairs
    held: Pairs
    edge_NHW: NDArray[np.uint8]
    edges: Edges

    @property
    def shape(self) -> Shape:
        """Of the images."""
        channels, height, width = self.train.shape
        return Shape(channels=channels, height=height, width=width, classes=self.train.classes)


def main() -> None:
    asked = _asked()
    torch.set_num_threads(1)
    started, clock = time.monotonic(), time.process_time()
    ground = ground_of(asked.data, size=asked.size, edges=asked.edges, seed=asked.seed)
    print(f"{len(ground.train)} training and {len(ground.held)} held-out images", flush=True)
    judges = judges_of(ground, asked)
    flow = flow_of(ground, asked)
    found = conditions_kept(flow, ground.held, judges, edge_NHW=ground.edge_NHW, seed=asked.seed)
    figures = {name: estimate.as_json() for name, estimate in found.items()}
    for name, figure in figures.items():
        print(f"{name:18} {figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}] n {figure['n']}")
    row = {
        **{name: str(value) for name, value in vars(asked).items()}, "figures": figures,
        "processor_seconds": round(time.process_time() - clock), "seconds": round(time.monotonic() - started),
        "train": len(ground.train), "held": len(ground.held), "flow": json.loads(json.dumps(asdict(flow.config))),
    }  # fmt: skip
    with asked.out.open("a") as file:
        file.write(json.dumps(row) + "\n")
    if asked.picture is not None:
        sheet(ground.held, drawn_like(ground.held.subset(torch.arange(16)), flow, seed=asked.seed)).save(asked.picture)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--edges", default=GRADIENT, help="gradient, or a file of HED's weights")
    parser.add_argument("--steps", type=int, default=3000, help="of the flow")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--widths", default="32,64,128")
    parser.add_argument("--segmenter-steps", type=int, default=500)
    parser.add_argument("--classifier-steps", type=int, default=600)
    parser.add_argument("--draw-steps", type=int, default=12)
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("condition_fidelity.jsonl"))
    parser.add_argument("--work", type=Path, help="a folder for checkpoints: the same command goes on from there")
    parser.add_argument("--picture", type=Path, help="a sheet of real images, their masks and drawings")
    return parser.parse_args()


def ground_of(data: str, *, size: int, edges: str, seed: int) -> Ground:
    """The labelled images in their maps, a third of the groups apart."""
    manifest = load(data, no_patients=True).labelled()
    own = chosen(manifest, named=None, asked={}).preparation
    store = prepare(manifest, preparation_of({"size": (size, size), **own}))
    found = finder(edges)
    raw = raw_maps(manifest, store, TOLD, finder=found, stage=lambda _: None)
    assert raw.edge_NHW is not None
    whole = Pairs(
        pixels_NCHW=np.array(store.pixels_NCHW), condition=Condition(label_B=torch.from_numpy(manifest.label_N)),
        classes=len(manifest.classes), group_N=torch.from_numpy(manifest.group_N), maps=TOLD[1:],
        map_NKHW=whole_map(raw, manifest.label_N, TOLD[1:], contour=True),
    )  # fmt: skip
    fold_N = grouped_folds(manifest.label_N, manifest.group_N, count=FOLDS, seed=seed)
    held = np.flatnonzero(fold_N == 0)
    return Ground(
        train=whole.subset(torch.from_numpy(np.flatnonzero(fold_N != 0))), held=whole.subset(torch.from_numpy(held)),
        edge_NHW=np.array(raw.edge_NHW[held]), edges=found.find,
    )  # fmt: skip


def judges_of(ground: Ground, asked: argparse.Namespace) -> Judges:
    """A segmenter and a classifier of the real training images."""
    source = (Source(pairs=ground.train),)
    run = _run(asked, "segmenter", asked.segmenter_steps, batch=16)
    segmenter = Segmenter(SegmenterConfig(), ground.shape)
    segmenter.fit([Phase(sources=source, steps=asked.segmenter_steps)], run)
    run = _run(asked, "classifier", asked.classifier_steps, batch=32)
    classifier = Classifier(ClassifierConfig(), ground.shape)
    classifier.fit([Phase(sources=source, steps=asked.classifier_steps)], run)
    return Judges(
        segment=lambda pixels: segmenter.predict(pixels) >= THRESHOLD,
        classify=lambda pixels: np.asarray(classifier.predict(pixels).argmax(1), dtype=np.int64), edges=ground.edges,
    )  # fmt: skip


def flow_of(ground: Ground, asked: argparse.Namespace) -> Flow:
    """The model under test."""
    config = FlowConfig(
        conditions=TOLD, net=UNet(widths=tuple(int(width) for width in asked.widths.split(","))), student_share=0.0,
        sampling=Sampling(steps=asked.draw_steps, guidance=asked.guidance),
    )  # fmt: skip
    run = _run(asked, "flow", asked.steps, batch=asked.batch)
    with run.seeded("networks"):
        flow = Flow(config, ground.shape)
    return flow.fit(ground.train, run)


def _run(asked: argparse.Namespace, name: str, steps: int, *, batch: int) -> Run:
    return Run(
        seed=asked.seed, steps=steps, batch=batch, device=asked.device, save_every=200, report=_report(name),
        folder=None if asked.work is None else asked.work / name,
    )  # fmt: skip


def _report(name: str) -> Callable[[int, int], None]:
    def say(done: int, total: int) -> None:
        if done % 100 == 0 or done == total:
            print(f"{name}: {done} of {total}, {time.process_time():.0f} s of processor", flush=True)

    return say


def sheet(held: Pairs, drawn_NCHW: NDArray[np.uint8]) -> Image.Image:
    """Rows: real image, edges and mask asked for, drawing."""
    count = len(drawn_NCHW)
    real = np.asarray(held.pixels_NCHW[:count])[:, 0]
    rows: list[NDArray[Any]] = [real, held.channel("edges")[:count], held.channel("mask")[:count], drawn_NCHW[:, 0]]
    return Image.fromarray(np.concatenate([np.concatenate(list(row), axis=1) for row in rows]))


if __name__ == "__main__":
    main()

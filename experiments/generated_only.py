"""Is a generator's output of use? A classifier trained on synthetic images alone, scored on real ones of other groups.

.venv/bin/python experiments/generated_only.py --seeds 0 1 2 3 4 --out rows.jsonl

Seed s tests on fold s of five grouped folds of brain_tumor_mri (duplicates kept together), 32 px, grey; generators and
classifiers are fitted on the other four, without validation, so no number was chosen on anything. As many synthetic
images as real ones, with the same labels. Rows that stand in `--out` are not computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs, to_uint8
from augury.conditions.shape import Shape
from augury.data.importers import load
from augury.data.splits import grouped_folds
from augury.data.store import Preparation, prepare
from augury.generators import GENERATORS
from augury.metrics.classification import METRICS
from augury.metrics.fidelity import kid
from augury.predictors.classifier import Classifier, ClassifierConfig
from augury.predictors.phases import Phase, Source
from augury.studies.planner import GENERATOR_STEPS
from augury.training import Run

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "brain_tumor_mri"
SIDE, FOLDS, CLASSIFIER_STEPS = 32, 5, 900


def fold(number: int) -> tuple[Pairs, Pairs]:
    """(the other four folds, fold `number`)."""
    manifest = load(DATA, no_patients=True)
    store = prepare(manifest, Preparation(size=(SIDE, SIDE), channels=1))
    fold_N = grouped_folds(manifest.label_N, manifest.group_N, count=FOLDS, seed=0)
    pairs = Pairs(
        pixels_NCHW=np.array(store.pixels_NCHW),
        condition=Condition(label_B=torch.from_numpy(manifest.label_N)),
        classes=len(manifest.classes),
    )
    inside, outside = np.flatnonzero(fold_N != number), np.flatnonzero(fold_N == number)
    return pairs.subset(torch.from_numpy(inside)), pairs.subset(torch.from_numpy(outside))


def shape_of(pairs: Pairs) -> Shape:
    """The shape of these images and their number of classes."""
    channels, height, width = pairs.shape
    return Shape(channels=channels, height=height, width=width, classes=pairs.classes)


def classifier(train: Pairs, *, seed: int) -> Classifier:
    """The small residual network with the standard augmentation."""
    run = Run(seed=seed, steps=CLASSIFIER_STEPS, batch=64)
    phase = Phase(sources=(Source(pairs=train),), steps=CLASSIFIER_STEPS)
    with run.seeded("classifier"):
        made = Classifier(ClassifierConfig(), shape_of(train))
    return made.fit([phase], run)


def score(model: Classifier, pairs: Pairs) -> float:
    """Balanced accuracy."""
    return METRICS["balanced_accuracy"].compute(pairs.label_N.numpy(), model.predict(pairs.pixels_NCHW))


def synthetic(method: str, train: Pairs, *, seed: int, steps: int) -> tuple[Pairs, float]:
    """As many drawn images as `train` has, with its labels, and the CPU seconds of the fit."""
    kind, config = GENERATORS[method]
    start = time.process_time()
    generator = kind(config(), shape_of(train)).fit(train, Run(seed=seed, steps=steps, batch=64))
    seconds = time.process_time() - start
    drawn = to_uint8(generator.sample(train.condition, seed=seed))
    return Pairs(pixels_NCHW=drawn, condition=train.condition, classes=train.classes), seconds


def row(method: str, seed: int, train: Pairs, test: Pairs, *, real: Classifier, steps: int) -> dict[str, Any]:
    """One line of the table."""
    drawn, seconds = synthetic(method, train, seed=seed, steps=steps)
    features = {name: real.features(p.pixels_NCHW).numpy() for name, p in {"drawn": drawn, "test": test}.items()}
    return {
        "method": method,
        "seed": seed,
        "steps": steps,
        "seconds": round(seconds, 1),
        "generated": score(classifier(drawn, seed=seed), test),
        "label_fidelity": score(real, drawn),
        "kid_internal": kid(features["drawn"], features["test"], seed=0).value,
    }


def stands(out: Path, method: str, seed: int) -> bool:
    """Whether the line is there already."""
    lines = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    return any((line["method"], line["seed"]) == (method, seed) for line in lines)


def add(out: Path, line: dict[str, Any]) -> None:
    """Write and print a line."""
    with out.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(line, flush=True)


def main(arguments: argparse.Namespace) -> None:
    """Fill the table."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    for seed in arguments.seeds:
        todo = [method for method in arguments.methods if not stands(arguments.out, method, seed)]
        if not todo:
            continue
        train, test = fold(seed % FOLDS)
        real = classifier(train, seed=seed)
        if not stands(arguments.out, "real", seed):
            add(arguments.out, {"method": "real", "seed": seed, "generated": score(real, test)})
        for method in todo:
            steps = arguments.steps or GENERATOR_STEPS[method]
            add(arguments.out, row(method, seed, train, test, real=real, steps=steps))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=list(GENERATOR_STEPS), choices=list(GENERATOR_STEPS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=None, help="of every generator; left out: each method's own")
    parser.add_argument("--out", type=Path, default=Path("generated_only.jsonl"))
    main(parser.parse_args())

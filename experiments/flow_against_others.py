"""`flow` beside cgan, wgan_gp and cvae after equal training time: excess KID and label fidelity, seed by seed.

.venv/bin/python experiments/flow_against_others.py --seconds 600 --out rows.jsonl [--sets brain_tumor_mri phantom]

Grey images of 32 px. Seed s holds out fold s of four grouped folds (of brain_tumor_mri duplicates are kept together;
the phantom's patients are new ones). Every method trains for the same seconds of one processor thread (600: five
minutes of two cores), student included; its steps are found from the pace of its own first steps. KID is of
EfficientNet-Lite0's features (given weights), whole sets, as many drawn as held-out images, with the held-out images'
labels; "excess" is what is more than the KID of as many training images. Label fidelity is the balanced accuracy of a
classifier trained on real images. `flow` is also drawn with 32 steps, with its student and with guidance. Rows that
stand in `--out` are not computed again; the summary at the end is of all rows.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs, to_uint8
from augury.data.importers import load
from augury.data.phantoms import PHANTOMS, batches
from augury.data.splits import grouped_folds
from augury.data.store import Preparation, prepare
from augury.generators import GENERATORS
from augury.generators.flow_settings import Sampling
from augury.generators.generator import Generator
from augury.metrics.fidelity import squared_mmd
from augury.predictors.classifier import Classifier
from augury.studies.audit.encoders import of_weights
from augury.training import Run
from generated_only import SIDE, add, classifier, score, shape_of

SHARED = Path(__file__).resolve().parents[2] / "shared"
FOLDS, PHANTOM_IMAGES, PACE_STEPS = 4, 3000, 20
WAYS = {
    "flow": Sampling(),
    "flow, 32 steps": Sampling(steps=32),
    "flow, student": Sampling(sampler="student"),
    "flow, guidance 1.5": Sampling(guidance=1.5),
    "flow, early guide 1.5": Sampling(guidance=1.5, guide="early"),
}
Features = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def brain_tumor_mri(seed: int) -> tuple[Pairs, Pairs]:
    """(three folds, the fourth)."""
    manifest = load(SHARED / "data" / "brain_tumor_mri", no_patients=True)
    store = prepare(manifest, Preparation(size=(SIDE, SIDE), channels=1))
    fold_N = grouped_folds(manifest.label_N, manifest.group_N, count=FOLDS, seed=0)
    condition = Condition(label_B=torch.from_numpy(manifest.label_N))
    pairs = Pairs(pixels_NCHW=np.array(store.pixels_NCHW), condition=condition, classes=len(manifest.classes))
    inside, outside = np.flatnonzero(fold_N != seed % FOLDS), np.flatnonzero(fold_N == seed % FOLDS)
    return pairs.subset(torch.from_numpy(inside)), pairs.subset(torch.from_numpy(outside))


def phantom(seed: int) -> tuple[Pairs, Pairs]:
    """phantom:brain: (training patients, a third as many others)."""
    return tuple(_drawn_phantoms(n, seed=2 * seed + place) for place, n in enumerate((PHANTOM_IMAGES, 1000)))  # type: ignore[return-value]


def _drawn_phantoms(n: int, *, seed: int) -> Pairs:
    population = PHANTOMS["brain"](size=SIDE)
    parts = list(batches(population, n=n, seed=seed))
    pixels_NCHW = np.concatenate([part.image_NHWC for part in parts]).transpose(0, 3, 1, 2)
    label_N = torch.from_numpy(np.concatenate([part.label_N for part in parts]))
    return Pairs(
        pixels_NCHW=np.ascontiguousarray(pixels_NCHW),
        condition=Condition(label_B=label_N),
        classes=len(population.classes),
    )


SETS = {"brain_tumor_mri": brain_tumor_mri, "phantom": phantom}


def fitted(method: str, train: Pairs, *, seed: int, seconds: float) -> tuple[Generator, int, float]:
    """The generator after about so many processor seconds, its steps, and the seconds."""
    kind, config = GENERATORS[method]

    def fit(steps: int) -> tuple[Generator, float]:
        start = time.process_time()
        made = kind(config(), shape_of(train)).fit(train, Run(seed=seed, steps=steps, batch=64))
        return made, time.process_time() - start

    fixed = fit(1)[1]
    pace = max(1e-4, (fit(1 + PACE_STEPS)[1] - fixed) / PACE_STEPS)
    steps = max(1, round((seconds - fixed) / pace))
    generator, spent = fit(steps)
    return generator, steps, spent


def rows(method: str, generator: Generator, held: Pairs, real: Classifier, *, kid: Callable[[NDArray[np.uint8]], float],
         seed: int) -> list[dict[str, Any]]:  # fmt: skip
    """One row for each way of drawing."""
    found = []
    for way in WAYS if method == "flow" else [method]:
        if method == "flow":
            generator.sampling = WAYS[way]  # type: ignore[attr-defined]
        start = time.process_time()
        drawn = to_uint8(generator.sample(held.condition, seed=seed))
        pace = len(drawn) / (time.process_time() - start)
        pairs = Pairs(pixels_NCHW=drawn, condition=held.condition, classes=held.classes)
        found.append({
            "way": way, "excess_kid": kid(drawn), "label_fidelity": score(real, pairs), "images_a_second": round(pace),
        })  # fmt: skip
    return found


def one_seed(name: str, seed: int, options: argparse.Namespace, encoder: Features) -> None:
    """All methods on one set and seed."""
    known = _lines(options.out)
    todo = [m for m in options.methods if not any((r["set"], r["seed"], r["way"]) == (name, seed, m) for r in known)]
    if not todo:
        return
    train, held = SETS[name](seed)
    held_ND, real = encoder(held.pixels_NCHW), classifier(train, seed=seed)
    some = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[: len(held)]
    floor = squared_mmd(encoder(train.subset(some).pixels_NCHW), held_ND)
    fidelity = score(real, held)

    def kid(drawn_NCHW: NDArray[np.uint8]) -> float:
        return squared_mmd(encoder(drawn_NCHW), held_ND) - floor

    for method in todo:
        generator, steps, spent = fitted(method, train, seed=seed, seconds=options.seconds)
        facts = {"set": name, "seed": seed, "steps": steps, "seconds": round(spent), "floor": floor, "real": fidelity}
        for row in rows(method, generator, held, real, kid=kid, seed=seed):
            add(options.out, {**facts, **row})


def _lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def summary(lines: list[dict[str, Any]]) -> str:
    """Mean and range over the seeds of each way of drawing, and the two figures to reach."""
    text = [
        "| set | drawn by | seeds | excess KID (least to most) | label fidelity | images/s |",
        "|---|---|---|---|---|---|",
    ]
    excess: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name, way in dict.fromkeys((line["set"], line["way"]) for line in lines):
        here = [line for line in lines if (line["set"], line["way"]) == (name, way)]
        excess[name][way] = values = [line["excess_kid"] for line in here]
        fidelity, pace = (np.mean([line[key] for line in here]) for key in ("label_fidelity", "images_a_second"))
        text.append(
            f"| {name} | {way} | {len(here)} | {np.mean(values):.4f} ({min(values):.4f} to {max(values):.4f}) | "
            f"{fidelity:.3f} | {pace:.0f} |"
        )
    for name, ways in excess.items():
        others = [float(np.mean(values)) for way, values in ways.items() if way in GENERATORS and way != "flow"]
        if "flow" in ways and others:
            text.append(f"\n{name}: flow / best other {np.mean(ways['flow']) / min(others):.2f} (to reach: 0.33)")
            ratio = np.mean(ways["flow, student"]) / np.mean(ways["flow, 32 steps"])
            text.append(f"{name}: student / its teacher of 32 steps {ratio:.2f} (to reach: 1.15)")
    return "\n".join(text)


def main(options: argparse.Namespace) -> None:
    """Fill the rows and print the summary."""
    torch.set_num_threads(1)
    encoder = of_weights(SHARED / "weights" / "tf_efficientnet_lite0.safetensors", channels=1).compute
    for name in options.sets:
        for seed in options.seeds:
            one_seed(name, seed, options, encoder)
    print(summary(_lines(options.out)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--methods", nargs="+", choices=list(GENERATORS), default=["flow", "cgan", "wgan_gp", "cvae"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--out", type=Path, default=Path("flow_against_others.jsonl"))
    main(parser.parse_args())

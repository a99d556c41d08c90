"""Does the document's diverging pair diverge here? Generator 2 with critic 2 beside generator 1 with critic 1.

.venv/bin/python experiments/divergence.py --seeds 0 1 2 --out rows.jsonl

WGAN-GP at 32 px on brain_tumor_mri, label map in the critic, label beside the latent, five critic steps, rates of 1e-4
and no augmentation, as in the document. Printed per pair and seed: the mean size of losses and gradient norms early and
late, their growth, and the kernel distance to held-out images in the features of a real-trained classifier.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from augury.conditions.pairs import Pairs, to_uint8
from augury.generators.adversarial import Game, Networks
from augury.generators.wgan_gp import WGANGP, WGANGPConfig
from augury.metrics.fidelity import kid
from augury.predictors.classifier import Classifier
from augury.training import Diverged, Run
from generated_only import add, classifier, fold, shape_of, stands

FEATURES = 24
PAIRS = {"1+1": (1, 1), "2+2": (2, 2), "1+2": (1, 2), "2+1": (2, 1)}


def config(generator: Any, critic: Any) -> WGANGPConfig:
    """The document's setting for a pair of networks."""
    return WGANGPConfig(
        networks=Networks(
            generator=generator,
            critic=critic,
            latent=128,
            generator_label="concat",
            critic_label="map",
            last="tanh",
            generator_features=FEATURES,
            critic_features=FEATURES,
            dropout=0.25,
        ),
        game=Game(critic_steps=5, generator_rate=1e-4, critic_rate=1e-4, betas=(0.5, 0.9), anchor=0.0, jitter=0.0),
        penalty_share=1.0,
        drift=0.0,
    )


def row(name: str, seed: int, train: Pairs, test: Pairs, *, real: Classifier, steps: int) -> dict[str, Any]:
    """One line of the table."""
    run = Run(seed=seed, steps=steps, batch=64, log_every=max(1, steps // 100))
    start = time.process_time()
    try:
        generator = WGANGP(config(*PAIRS[name]), shape_of(train)).fit(train, run)
    except Diverged as error:
        return {"method": name, "seed": seed, "steps": steps, "stopped": str(error), **course(run.history)}
    drawn = to_uint8(generator.sample(train.condition, seed=seed))
    distance = kid(real.features(drawn).numpy(), real.features(test.pixels_NCHW).numpy(), seed=0)
    seconds = round(time.process_time() - start, 1)
    found = {"kid_internal": distance.value, "seconds": seconds, **course(run.history)}
    return {"method": name, "seed": seed, "steps": steps, **found}


def course(history: list[dict[str, float]]) -> dict[str, Any]:
    """Losses and gradient norms: mean size in the second tenth and in the last tenth of the run, and their ratio."""
    tenth = max(1, len(history) // 10)
    found: dict[str, Any] = {}
    for name in ("critic", "painter", "critic_gradient", "painter_gradient"):
        early = float(np.mean([abs(line[name]) for line in history[tenth : 2 * tenth]]))
        late = float(np.mean([abs(line[name]) for line in history[-tenth:]]))
        found[name] = {"early": round(early, 3), "late": round(late, 3), "growth": round(late / max(early, 1e-9), 2)}
    return found


def main(arguments: argparse.Namespace) -> None:
    """Fill the table."""
    torch.set_num_threads(1)
    for seed in arguments.seeds:
        train, test = fold(seed)
        real = classifier(train, seed=seed)
        for name in arguments.pairs:
            if not stands(arguments.out, name, seed):
                add(arguments.out, row(name, seed, train, test, real=real, steps=arguments.steps))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", nargs="+", default=["1+1", "2+2"], choices=list(PAIRS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("divergence.jsonl"))
    main(parser.parse_args())

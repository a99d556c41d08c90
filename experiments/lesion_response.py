"""Are the tumours visible in what a generator draws? A lesion detector's response on samples against real images.

.venv/bin/python experiments/lesion_response.py --methods cvae cgan wgan_gp --out rows.jsonl

Phantom brains with exact masks. A small convolutional detector learns the lesion's pixels on 3,000 phantoms of its own
patients; its threshold lets 5 % of other tumour-free phantoms pass. Generators are fitted on 2,000 phantoms of further
patients. Printed: the share of images with a response above the threshold, by class, for held-out phantoms and for
samples. A generator that draws brains without tumours has the rate of `no_tumor` everywhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs, to_unit
from augury.data.phantoms import BrainConfig, Phantom, render
from augury.generators import GENERATORS
from augury.studies.planner import GENERATOR_STEPS
from augury.training import Run
from generated_only import add, shape_of, stands

DETECTOR_STEPS = 1200
PASS = 0.05  # share of tumour-free images that may pass the threshold


def phantom(n: int, *, seed: int, size: int, difficulty: float) -> Phantom:
    """n brains of the patients of a seed."""
    return render(BrainConfig(size=size, difficulty=difficulty), n=n, seed=seed)


def images(made: Phantom) -> Tensor:
    """image_N1HW in [-1, 1]."""
    return to_unit(made.image_NHW[:, None])


def detector(made: Phantom, *, seed: int) -> nn.Module:
    """logit_B1HW of the lesion, from a stack of dilated convolutions."""
    run = Run(seed=seed, steps=DETECTOR_STEPS, batch=32)
    with run.seeded("detector"):
        sizes = [(1, 24, 1), (24, 24, 2), (24, 24, 4), (24, 24, 8)]
        layers = [
            m for a, b, d in sizes for m in (nn.Conv2d(a, b, 3, padding=d, dilation=d), nn.BatchNorm2d(b), nn.ReLU())
        ]
        net = nn.Sequential(*layers, nn.Conv2d(24, 1, 1))
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    image_N1HW, mask_N1HW = images(made), torch.from_numpy(made.mask_NHW[:, None]).float()

    def loss(image_B1HW: Tensor, mask_B1HW: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(net(image_B1HW), mask_B1HW, pos_weight=torch.tensor(4.0))

    for step in run.loop(net=net, optimizer=optimizer):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / run.steps)
        index_B = run.indices(len(made))
        run.update(net, optimizer, loss, image_N1HW[index_B], mask_N1HW[index_B])
    return net.eval()


@torch.no_grad()
def response(net: nn.Module, image_N1HW: Tensor) -> np.ndarray:
    """response_N: the largest mean logit over 3 x 3 pixels."""
    parts = [F.avg_pool2d(net(image_B1HW), 3, 1, 1).flatten(1).amax(1) for image_B1HW in image_N1HW.split(256)]
    return torch.cat(parts).numpy()


def rates(
    response_N: np.ndarray, label_N: np.ndarray, *, threshold: float, classes: tuple[str, ...]
) -> dict[str, float]:
    """Share of each class above the threshold."""
    return {name: round(float((response_N[label_N == k] > threshold).mean()), 3) for k, name in enumerate(classes)}


def main(arguments: argparse.Namespace) -> None:
    """Fill the table."""
    torch.set_num_threads(1)
    kind = {"size": arguments.size, "difficulty": arguments.difficulty}
    net = detector(phantom(3000, seed=101, **kind), seed=0)
    held_out, train = phantom(2000, seed=102, **kind), phantom(2000, seed=103, **kind)
    free = held_out.classes.index("no_tumor")
    real_N = response(net, images(held_out))
    threshold = float(np.quantile(real_N[held_out.label_N == free], 1 - PASS))
    told: dict[str, Any] = {"threshold": threshold, "classes": held_out.classes}
    if not stands(arguments.out, "real", 0):
        area = roc_auc_score(held_out.label_N != free, real_N)
        add(arguments.out, {"method": "real", "seed": 0, "auroc": area, **rates(real_N, held_out.label_N, **told)})
    pairs = Pairs(
        pixels_NCHW=train.image_NHW[:, None], condition=Condition(label_B=torch.from_numpy(train.label_N)), classes=4
    )
    for method in arguments.methods:
        if stands(arguments.out, method, 0):
            continue
        made, config = GENERATORS[method]
        steps = arguments.steps or GENERATOR_STEPS[method]
        generator = made(config(), shape_of(pairs)).fit(pairs, Run(seed=0, steps=steps, batch=64))
        drawn_N = response(net, generator.sample(pairs.condition, seed=1))
        area = roc_auc_score(train.label_N != free, drawn_N)
        add(arguments.out, {"method": method, "seed": 0, "auroc": area, **rates(drawn_N, train.label_N, **told)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=list(GENERATOR_STEPS), choices=list(GENERATOR_STEPS))
    parser.add_argument("--steps", type=int, default=None, help="of every generator; left out: each method's own")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--difficulty", type=float, default=0.3)
    parser.add_argument("--out", type=Path, default=Path("lesion_response.jsonl"))
    main(parser.parse_args())

"""How much does a small network learn from how many phantom patients? The learning curve of `phantom:brain`.

Every network takes the same number of steps on the same architecture with the same augmentation; only the patients
differ. Scored on 20,000 images of 5,000 other patients (another seed), enough for the truth to half a point or better.
Checkpoints are not chosen: the last step counts. Rendered sets are cached under the cache folder.

    python experiments/phantom_curve.py --size 32 --difficulty 0.5 --patients 50 100 500 5000 --seeds 3
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from augury.conditions.pairs import to_unit
from augury.data.augmentation import PRESETS, augment
from augury.data.cache import cache_folder
from augury.data.phantoms.brain import CLASSES, BrainConfig, render
from augury.data.sample import digest_of

TEST_IMAGES = 20_000
TEST_SEED = 2**40  # far from the seeds that anyone trains on
Set = tuple[NDArray[np.uint8], NDArray[np.int64]]


def rendered(config: BrainConfig, *, n: int, seed: int) -> Set:
    """image_NHW and label_N, from the cache where they lie there already."""
    folder = cache_folder() / "phantom_curve"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{digest_of([asdict(config), n, seed, _source()])}.npz"
    if not file.exists():
        phantom = render(config, n=n, seed=seed)
        partial = file.with_suffix(".partial.npz")
        np.savez(partial, image=phantom.image_NHW, label=phantom.label_N)
        partial.replace(file)
    with np.load(file) as stored:
        return stored["image"], stored["label"]


def _source() -> str:
    """The rendering code itself is part of what names a cached set."""
    import augury.data.phantoms.brain as module

    folder = Path(module.__file__).parent
    return digest_of([file.read_text() for file in sorted(folder.glob("*.py"))])


def network(classes: int) -> nn.Module:
    """A small convolutional network: 0.2 M parameters, most of its work at a quarter of the resolution."""

    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

    body = [*block(1, 24, 1), nn.MaxPool2d(2), *block(24, 48, 1), nn.MaxPool2d(2), *block(48, 96, 1), *block(96, 96, 2)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(96, classes))


def train(data: Set, *, steps: int, seed: int, batch: int = 64) -> nn.Module:
    """The network after `steps` steps of AdamW with a one-cycle learning rate."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net = network(len(CLASSES))
    image_NHW, label_N = data
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    for _ in range(steps):
        index_B = torch.randint(len(label_N), (batch,), generator=generator).numpy()
        image_BCHW = augment(to_unit(image_NHW[index_B][:, None]), PRESETS["light"], generator=generator)
        loss = F.cross_entropy(net(image_BCHW), torch.from_numpy(label_N[index_B]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


@torch.inference_mode()
def recalls(net: nn.Module, data: Set) -> Tensor:
    """recall_K of each class; their mean is the balanced accuracy."""
    image_NHW, label_N = data
    guess = [net(to_unit(image_NHW[i : i + 500][:, None])).argmax(1) for i in range(0, len(label_N), 500)]
    right_N = torch.cat(guess) == torch.from_numpy(label_N)
    return torch.stack([right_N[torch.from_numpy(label_N == k)].float().mean() for k in range(len(CLASSES))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--difficulty", type=float, default=BrainConfig().difficulty)
    parser.add_argument("--patients", type=int, nargs="+", default=[50, 100, 250, 1000, 5000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1500)
    options = parser.parse_args()
    config = BrainConfig(size=options.size, difficulty=options.difficulty)
    test = rendered(config, n=TEST_IMAGES, seed=TEST_SEED)
    print(f"{options.size} px, difficulty {options.difficulty}, {options.steps} steps of 64, test {TEST_IMAGES} images")
    print(f"{'patients':>8} {'balanced accuracy':>18} {'sd':>6} {'s':>5}   recall of {', '.join(CLASSES)}")
    for patients in options.patients:
        start = time.perf_counter()
        recall_SK = []
        for seed in range(options.seeds):
            data = rendered(config, n=patients * config.slices_per_patient, seed=seed)
            recall_SK.append(recalls(train(data, steps=options.steps, seed=seed), test))
        table = torch.stack(recall_SK)
        score_S = table.mean(1)
        spread = float(score_S.std()) if len(score_S) > 1 else float("nan")
        each = " ".join(f"{value:.3f}" for value in table.mean(0).tolist())
        seconds = (time.perf_counter() - start) / options.seeds
        print(f"{patients:>8} {float(score_S.mean()):>18.3f} {spread:>6.3f} {seconds:>5.0f}   {each}", flush=True)


if __name__ == "__main__":
    main()

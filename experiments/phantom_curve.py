"""How much does a small network learn from how many phantom patients? The learning curve of a kind of phantom.

Every network takes the same number of steps on the same architecture with the same augmentation; only the patients
differ. Scored on images of 5,000 other patients (another seed). Checkpoints are not chosen: the last step counts.
Of `amd` one modality is shown (--modality). `--render` draws at this size and shrinks to --size: what a camera saw and
the network may not. One line of JSON a network goes to --rows; a network whose line is there is not trained again, so
an interrupted run goes on. Prints a Markdown table.

    python experiments/phantom_curve.py --kind fundus --size 64 --render 256 --patients 50 100 250 1000 5000 --seeds 3
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

import augury.data.phantoms as module
from augury.conditions.pairs import to_unit
from augury.data.augmentation import PRESETS, augment
from augury.data.cache import cache_folder
from augury.data.phantoms import PHANTOMS, Population, batches
from augury.data.sample import digest_of

TEST_PATIENTS = 5_000
TEST_SEED = 2**40  # far from the seeds that anyone trains on
Set = tuple[NDArray[np.uint8], NDArray[np.int64]]


def rendered(config: Population, *, patients: int, seed: int, size: int, modality: str) -> Set:
    """image_NCHW of size x size and label_N, from the cache where they lie there already."""
    folder = cache_folder() / "phantom_curve"
    folder.mkdir(parents=True, exist_ok=True)
    facts = [config.kind, asdict(config), patients, seed, size, modality, _source()]
    file = folder / f"{digest_of(facts)}.npz"
    if not file.exists():
        images, labels = [], []
        for batch in batches(config, n=patients * config.images_per_patient, seed=seed):
            keep_N = np.array([one == modality for one in batch.modalities] or [True] * len(batch))
            images.append(_shrunk(batch.image_NHWC[keep_N], size))
            labels.append(batch.label_N[keep_N])
        partial = file.with_suffix(".partial.npz")
        np.savez(partial, image=np.concatenate(images), label=np.concatenate(labels))
        partial.replace(file)
    with np.load(file) as stored:
        return stored["image"], stored["label"]


def _shrunk(image_NHWC: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """image_NCHW, each pixel the mean of those it replaces."""
    image_NCHW = torch.from_numpy(np.ascontiguousarray(image_NHWC.transpose(0, 3, 1, 2)))
    if image_NCHW.shape[-1] != size:
        image_NCHW = F.adaptive_avg_pool2d(image_NCHW.float(), size).round().to(torch.uint8)
    return image_NCHW.numpy()


def _source() -> str:
    """The rendering code itself is part of what names a cached set."""
    folder = Path(module.__file__).parent
    return digest_of([file.read_text() for file in sorted(folder.rglob("*.py"))])


def network(classes: int, *, channels: int) -> nn.Module:
    """A small convolutional network: 0.2 M parameters, most of its work at a quarter of the resolution."""

    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

    body = [
        *block(channels, 24, 1),
        nn.MaxPool2d(2),
        *block(24, 48, 1),
        nn.MaxPool2d(2),
        *block(48, 96, 1),
        *block(96, 96, 2),
    ]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(96, classes))


def train(data: Set, *, classes: int, steps: int, seed: int, batch: int = 64) -> nn.Module:
    """The network after `steps` steps of AdamW with a one-cycle learning rate."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    image_NCHW, label_N = data
    net = network(classes, channels=image_NCHW.shape[1])
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    for _ in range(steps):
        index_B = torch.randint(len(label_N), (batch,), generator=generator).numpy()
        image_BCHW = augment(to_unit(image_NCHW[index_B]), PRESETS["light"], generator=generator)
        loss = F.cross_entropy(net(image_BCHW), torch.from_numpy(label_N[index_B]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


@torch.inference_mode()
def recalls(net: nn.Module, data: Set, *, classes: int) -> list[float]:
    """recall_K of each class; their mean is the balanced accuracy."""
    image_NCHW, label_N = data
    guess = [net(to_unit(image_NCHW[i : i + 500])).argmax(1) for i in range(0, len(label_N), 500)]
    right_N = torch.cat(guess) == torch.from_numpy(label_N)
    return [float(right_N[torch.from_numpy(label_N == k)].float().mean()) for k in range(classes)]


def measured(options: argparse.Namespace, rows: Path) -> list[dict[str, object]]:
    """A row for each number of patients and seed, from the file of rows where it is there."""
    config = PHANTOMS[options.kind](size=options.render or options.size)
    if options.difficulty is not None:
        config = replace(config, difficulty=options.difficulty)
    show = {"size": options.size, "modality": options.modality if options.kind == "amd" else ""}
    classes = len(config.classes)
    known = [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []
    out = []
    for patients in options.patients:
        for seed in range(options.seeds):
            key = {"kind": options.kind, "config": asdict(config), **show, "patients": patients, "seed": seed,
                   "steps": options.steps, "test": options.test, "code": _source()}  # fmt: skip
            found = next((row for row in known if all(row.get(name) == value for name, value in key.items())), None)
            if found is None:
                test = rendered(config, patients=options.test, seed=TEST_SEED, **show)
                data = rendered(config, patients=patients, seed=seed, **show)
                start = time.perf_counter()
                net = train(data, classes=classes, steps=options.steps, seed=seed)
                found = key | {"recall": recalls(net, test, classes=classes), "seconds": time.perf_counter() - start}
                with rows.open("a") as file:
                    file.write(json.dumps(found) + "\n")
            out.append(found)
    return out


def table(options: argparse.Namespace, found: list[dict[str, object]]) -> str:
    """Markdown: mean and sd over seeds of the balanced accuracy, the mean recall of each class."""
    classes = PHANTOMS[options.kind].classes
    lines = [
        f"| patients | balanced accuracy | sd | {' | '.join(classes)} | s a network |",
        "|---|" + "---|" * (3 + len(classes)),
    ]
    for patients in options.patients:
        rows = [row for row in found if row["patients"] == patients]
        recall_SK = np.array([row["recall"] for row in rows], dtype=np.float64)
        spread = f"{recall_SK.mean(1).std(ddof=1):.3f}" if len(rows) > 1 else ""
        each = " | ".join(f"{value:.3f}" for value in recall_SK.mean(0))
        seconds = np.mean([float(str(row["seconds"])) for row in rows])
        lines.append(f"| {patients:,} | {recall_SK.mean():.3f} | {spread} | {each} | {seconds:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=sorted(PHANTOMS), default="brain")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--render", type=int, default=0, help="side that is drawn, before shrinking; 0: --size")
    parser.add_argument("--modality", choices=("cfp", "oct"), default="oct")
    parser.add_argument("--difficulty", type=float)
    parser.add_argument("--patients", type=int, nargs="+", default=[50, 100, 250, 1000, 5000])
    parser.add_argument("--test", type=int, default=TEST_PATIENTS, help="other patients, to score on")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rows", type=Path, default=Path("phantom_curve.jsonl"))
    options = parser.parse_args()
    print(
        f"phantom:{options.kind}, {options.size} px (drawn at {options.render or options.size}), {options.steps} steps"
    )
    print(table(options, measured(options, options.rows)))


if __name__ == "__main__":
    main()

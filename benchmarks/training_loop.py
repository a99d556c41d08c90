"""Throughput of training.Run against a bare PyTorch loop: same network, same optimiser, tensors in memory.

    python benchmarks/training_loop.py [--device cuda]

The two take turns in short stretches of one run, so that whatever else the machine does weighs on both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from augury.nets.resnet import ResNet
from augury.training import Run

BATCH, STRETCH = 64, 10
TARGET = 0.95


def network(device: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The small classifier and its optimiser."""
    torch.manual_seed(0)
    backbone = ResNet(1)
    net = nn.Sequential(backbone, nn.Linear(backbone.dim, 4)).to(device)
    return net, torch.optim.AdamW(net.parameters(), 1e-3)


def bare(image_NCHW: Tensor, label_N: Tensor, *, device: str) -> Callable[[], None]:
    """Ten steps of a loop that can do nothing but train."""
    net, optimizer = network(device)

    def stretch() -> None:
        for _ in range(STRETCH):
            index_B = torch.randint(len(image_NCHW), (BATCH,), device=device)
            loss = functional.cross_entropy(net(image_NCHW[index_B]), label_N[index_B])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        _wait(device)

    return stretch


def ours(image_NCHW: Tensor, label_N: Tensor, *, device: str, steps: int) -> Callable[[], None]:
    """Ten steps of Run.loop."""
    net, optimizer = network(device)
    run = Run(seed=0, steps=steps, batch=BATCH, device=device)
    loop = run.loop(net=net, optimizer=optimizer)

    def loss(image_BCHW: Tensor, label_B: Tensor) -> Tensor:
        return functional.cross_entropy(net(image_BCHW), label_B)

    def stretch() -> None:
        for _ in range(STRETCH):
            next(loop)
            index_B = run.indices(len(image_NCHW)).to(device)
            run.log(loss=run.update(net, optimizer, loss, image_NCHW[index_B], label_N[index_B]))
        _wait(device)

    return stretch


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def _seconds(work: Callable[[], None], *, device: str) -> float:
    clock = time.process_time if device == "cpu" else time.perf_counter  # not what other processes took
    start = clock()
    work()
    return clock() - start


def main() -> int:
    """Print one JSON line; status 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--stretches", type=int, default=25)
    asked = parser.parse_args()
    if asked.device == "cpu":
        torch.set_num_threads(1)
    image_NCHW = torch.randn(1024, 1, asked.side, asked.side, device=asked.device)
    label_N = torch.arange(1024, device=asked.device) % 4
    works = {
        "bare": bare(image_NCHW, label_N, device=asked.device),
        "run": ours(image_NCHW, label_N, device=asked.device, steps=STRETCH * (asked.stretches + 1) + 1),
    }
    for work in works.values():
        work()
    rounds = [
        {name: _seconds(work, device=asked.device) for name, work in works.items()} for _ in range(asked.stretches)
    ]
    speed = {name: BATCH * STRETCH / statistics.median(each[name] for each in rounds) for name in works}
    ratio = speed["run"] / speed["bare"]
    print(json.dumps({"benchmark": "training_loop", "device": asked.device, "side": asked.side,
                      "ratio": round(ratio, 3), "target": TARGET,
                      "images_per_second": {name: round(value) for name, value in speed.items()}}))  # fmt: skip
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())

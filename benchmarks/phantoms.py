"""Phantom brains a second, against the 300 of 128 px that two cores must reach. `per core` is by processor time."""

from __future__ import annotations

import time

import torch

from augury.data.phantoms import BrainConfig, render

TARGET = 300


def rates(size: int, n: int) -> tuple[float, float]:
    """(images a second of wall time, images a second of processor time), the best of three runs."""
    config = BrainConfig(size=size)
    render(config, n=16, seed=0)
    wall, processor = [], []
    for seed in range(3):
        start, used = time.perf_counter(), time.process_time()
        render(config, n=n, seed=seed)
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return n / min(wall), n / min(processor)


def main() -> None:
    print(f"phantom:brain, {torch.get_num_threads()} threads; target at 128 px: {TARGET} images/s on two cores")
    print(f"{'side':>5} {'images/s':>9} {'per core':>9} {'ratio to target':>16}")
    for size, n in ((32, 1024), (64, 512), (128, 256)):
        rate, per_core = rates(size, n)
        ratio = f"{rate / TARGET:>16.2f}" if size == 128 else ""
        print(f"{size:>5} {rate:>9.0f} {per_core:>9.0f} {ratio}")


if __name__ == "__main__":
    main()

"""Phantom images a second, against the 300 of 128 px that two cores must reach. `per core` is by processor time."""

from __future__ import annotations

import time

import torch

from augury.data.phantoms import PHANTOMS, render

TARGET = 300


def rates(kind: str, size: int, n: int) -> tuple[float, float]:
    """(images a second of wall time, images a second of processor time), the best of three runs."""
    config = PHANTOMS[kind](size=size)
    render(config, n=16, seed=0)
    wall, processor = [], []
    for seed in range(3):
        start, used = time.perf_counter(), time.process_time()
        render(config, n=n, seed=seed)
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return n / min(wall), n / min(processor)


def main() -> None:
    print(f"phantoms, {torch.get_num_threads()} threads; target at 128 px: {TARGET} images/s on two cores")
    print(f"{'kind':>8} {'side':>5} {'images/s':>9} {'per core':>9} {'two cores to target':>20}")
    for kind in PHANTOMS:
        for size, n in ((64, 240), (128, 240), (256, 48)):
            rate, per_core = rates(kind, size, n)
            ratio = f"{2 * per_core / TARGET:>20.2f}" if size == 128 else ""
            print(f"{kind:>8} {size:>5} {rate:>9.0f} {per_core:>9.0f} {ratio}", flush=True)


if __name__ == "__main__":
    main()

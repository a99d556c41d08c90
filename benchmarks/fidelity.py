"""Copies and fidelity of large sets: seconds on two threads, and beside torch-fidelity and prdc in the same run.

    python benchmarks/fidelity.py [--threads 2]

1. The nearest training image of 50,000 x 5,000 features of 512 numbers (a copy audit; target 10 s).
2. KID, precision, recall, density and coverage of 10,000 x 10,000 such features (target 5 s), then the same by
   torch-fidelity and prdc, whose figures must agree; ours must be at least 3 times faster.

Seconds of the wall and of processors: on a loaded machine the second, divided by the threads, is the one to compare.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from prdc import compute_prdc
from threadpoolctl import threadpool_limits
from torch_fidelity.metric_kid import kid_features_to_metric

from augury.metrics.fidelity import kid, squared_mmd
from augury.metrics.manifold import manifold
from augury.metrics.neighbours import nearest

WIDTH, NEIGHBOURS = 512, 5
TARGET_COPIES, TARGET_FIDELITY, TARGET_RATIO = 10.0, 5.0, 3.0
Table = NDArray[np.float32]


def features(count: int, *, seed: int, shift: float = 0.0) -> Table:
    """Positive and correlated, as a network gives them."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(0).normal(size=(64, WIDTH)) / 8
    hidden = rng.normal(size=(count, 64)) + shift
    return np.maximum(hidden @ mix + 0.3 * rng.normal(size=(count, WIDTH)), 0).astype(np.float32)


def timed(work: Callable[[], dict[str, float]]) -> tuple[dict[str, float], float, float]:
    """What the work gave, its seconds, and its seconds of processors."""
    wall, processor = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - processor


def ours(real: Table, synthetic: Table) -> dict[str, float]:
    """KID of 100 subsets of 1,000 and the four shares."""
    shares = manifold(real, synthetic, k=NEIGHBOURS)
    return {"kid": kid(real, synthetic, seed=0).value, "precision": shares.precision, "recall": shares.recall,
            "density": shares.density, "coverage": shares.coverage}  # fmt: skip


def theirs(real: Table, synthetic: Table) -> dict[str, float]:
    """The same by the packages that people use."""
    distance = kid_features_to_metric(
        torch.from_numpy(real), torch.from_numpy(synthetic), kid_subsets=100, kid_subset_size=1000, verbose=False
    )
    with contextlib.redirect_stdout(io.StringIO()):
        shares = compute_prdc(real, synthetic, nearest_k=NEIGHBOURS)
    return {"kid": distance["kernel_inception_distance_mean"], **{name: float(v) for name, v in shares.items()}}


def main() -> int:
    """Print one JSON line; status 1 where a target is missed or a figure differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--count", type=int, default=10_000)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with threadpool_limits(asked.threads):
        queries, base = features(5 * asked.count, seed=1), features(asked.count // 2, seed=2)
        _, wall, processor = timed(lambda: {"mean": float(nearest(queries, base)[0].mean())})
        copies = {"seconds": wall, "processor": processor, "target": TARGET_COPIES}
        real, synthetic = features(asked.count, seed=3), features(asked.count, seed=4, shift=0.05)
        mine, my_wall, my_processor = timed(lambda: ours(real, synthetic))
        other, other_wall, other_processor = timed(lambda: theirs(real, synthetic))
    whole = squared_mmd(real, synthetic)
    agree = all(mine[name] == other[name] for name in other if name != "kid")
    near = all(abs(value / whole - 1) < 0.05 for value in (mine["kid"], other["kid"]))  # both draw their subsets
    fidelity = {
        "seconds": my_wall, "processor": my_processor, "target": TARGET_FIDELITY, "theirs_seconds": other_wall,
        "theirs_processor": other_processor, "ratio": other_wall / my_wall,
        "ratio_processor": other_processor / my_processor, "target_ratio": TARGET_RATIO, "shares_equal": agree,
        "kid": mine["kid"], "theirs_kid": other["kid"], "kid_of_all": whole,
    }  # fmt: skip
    print(json.dumps({"benchmark": "fidelity", "threads": asked.threads, "count": asked.count,
                      "copies": rounded(copies), "fidelity": rounded(fidelity)}))  # fmt: skip
    within = (min(wall, processor / asked.threads) <= TARGET_COPIES
              and min(my_wall, my_processor / asked.threads) <= TARGET_FIDELITY)  # fmt: skip
    return 0 if within and agree and near and fidelity["ratio_processor"] >= TARGET_RATIO else 1


def rounded(row: dict[str, float]) -> dict[str, float]:
    """Four digits that count."""
    return {name: value if isinstance(value, bool) else float(f"{value:.4g}") for name, value in row.items()}


if __name__ == "__main__":
    sys.exit(main())

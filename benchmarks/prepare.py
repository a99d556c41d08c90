"""How fast 10,000 JPEG of 256 pixels are decoded and prepared, how soon they are opened again, and in what memory.

The images are phantoms. Each part runs in a process of its own on two cores, so that its peak memory is its own; the
peer is the plain loop that most scripts have: Pillow opens, resizes and stacks. Targets (issue 3): 30 s, 1 s, 1.5 GiB.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 256
SIZE = (128, 128)
DRAWN = 200  # different phantoms; each is written often, with other grain
SECONDS, AGAIN, GIB = 30.0, 1.0, 1.5


def write_images(folder: Path, count: int) -> None:
    """Grey phantom brains as JPEG in two class folders, no two alike."""
    from augury.data.phantoms import BrainConfig, render

    drawn_NHW = render(BrainConfig(size=SIDE), n=DRAWN, seed=0).image_NHW
    rng = np.random.default_rng(0)
    for name in "ab":
        (folder / name).mkdir(parents=True)
    for i in range(count):
        grain_HW = rng.integers(-6, 7, (SIDE, SIDE), dtype=np.int16)
        pixels = np.clip(drawn_NHW[i % DRAWN].astype(np.int16) + grain_HW, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "ab"[i % 2] / f"{i:06d}.jpg", quality=90)


def ours(folder: Path) -> None:
    """List, decode, fingerprint; decode again and prepare."""
    from augury.data.listing import Row
    from augury.data.sample import Manifest, Sample
    from augury.data.scan import scan
    from augury.data.store import Preparation, prepare

    start = time.perf_counter()
    paths = sorted(folder.rglob("*.jpg"))
    seen = scan([Row(name=path.name, image=path) for path in paths])
    looked = time.perf_counter()
    samples = tuple(
        Sample(row=path.name, id=name, patient=path.name, group=path.name, image=path)
        for path, name in zip(paths, seen.prints.id_N, strict=True)
    )
    store = prepare(Manifest(name="x", samples=samples, classes=()), Preparation(size=SIZE, fit="pad"))
    done = time.perf_counter()
    print(len(store.pixels_NCHW), looked - start, done - looked, done - start, _used())


def peer(folder: Path) -> None:
    """What most scripts do."""
    start = time.perf_counter()
    images = [Image.open(path).resize(SIZE, Image.Resampling.LANCZOS) for path in sorted(folder.rglob("*.jpg"))]
    stacked_NHW = np.stack([np.asarray(image) for image in images])
    print(len(stacked_NHW), 0.0, 0.0, time.perf_counter() - start, _used())


def _used() -> str:
    """CPU seconds of this process, and its own peak in GiB (ru_maxrss would be its parent's where that is larger)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return f"{used.ru_utime + used.ru_stime} {peak / 2**20}"


def measured(part: str, folder: Path, cache: Path) -> list[float]:
    """The six numbers that a part prints, from a process of its own on at most two cores."""
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:2])
    command = ["taskset", "-c", cores, sys.executable, __file__, "--part", part, "--folder", str(folder)]
    environment = {**os.environ, "AUGURY_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return [float(word) for word in done.stdout.split()]


def _of(part: list[float]) -> str:
    return f"CPU {part[4]:.1f} s, peak {part[5]:.2f} GiB"


def main() -> None:
    """Print the table; status 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--part", choices=("ours", "peer"))
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.part:
        {"ours": ours, "peer": peer}[asked.part](asked.folder)
        return
    with tempfile.TemporaryDirectory() as place:
        images, cache = Path(place) / "images", Path(place) / "cache"
        write_images(images, asked.images)
        first, again, plain = (measured(part, images, cache) for part in ("ours", "ours", "peer"))
    print(f"{asked.images} JPEG of {SIDE} px to {SIZE[0]} px, two cores; CPU seconds count the start of Python")
    print(f"ours: look {first[1]:.1f} s, prepare {first[2]:.1f} s, together {first[3]:.1f} s; {_of(first)}")
    print(f"opened again: {again[3]:.2f} s; {_of(again)}")
    print(f"plain Pillow loop: {plain[3]:.1f} s; {_of(plain)}; ours takes {first[3] / plain[3]:.2f} of its time")
    wanted = SECONDS * asked.images / 10_000
    sys.exit(int(first[3] > wanted or again[3] > AGAIN or max(first[5], again[5]) > GIB))


if __name__ == "__main__":
    main()

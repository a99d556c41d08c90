"""Fingerprints and near duplicates of 10,000 images of 256 x 256: seconds, and seconds of a processor.

    python benchmarks/duplicates.py [images]

The images are random textures over one common organ-like shape, so that nearly every image has its full number of
candidates to register: the slow case. One in a hundred is a mirrored copy of another. Decoding is not part of it.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augury.data.candidates import Thumbs, candidates
from augury.data.cells import parallel
from augury.data.duplicates import near_pairs
from augury.data.fingerprints import Fingerprints, fingerprint

SIDE = 256
TARGET = 60.0  # seconds for 10,000 images on two cores


def image(seed: int, common: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A shape that all images share, under a texture that is the image's own; each hundredth mirrors the one before."""
    rng = np.random.default_rng(seed - 1 if seed % 100 == 0 and seed else seed)
    total = common.copy()
    for cells, weight in ((6, 25.0), (16, 15.0), (48, 10.0)):
        field = Image.fromarray(rng.normal(0, weight, (cells, cells)).astype(np.float32))
        total += np.asarray(field.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    drawn = np.clip(total, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(drawn[:, ::-1]) if seed % 100 == 0 and seed else drawn


def shape() -> NDArray[np.float32]:
    """Rings around the centre."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    rings = 110 + 60 * np.cos(14 * np.hypot(y, 1.2 * x)) * (np.hypot(y, x) < 0.9)
    return rings.astype(np.float32)


def main(count: int) -> None:
    workers, common = min(2, os.cpu_count() or 1), shape()
    wall, processor, prints = 0.0, 0.0, []
    for start in range(0, count, 500):
        batch = [image(seed, common) for seed in range(start, min(start + 500, count))]
        began, used = time.perf_counter(), time.process_time()
        prints += parallel(fingerprint, batch, workers=workers)
        wall, processor = wall + time.perf_counter() - began, processor + time.process_time() - used
    print(f"fingerprints of {count} images: {wall:.1f} s, {processor:.1f} s of a processor")
    began, used = time.perf_counter(), time.process_time()
    pairs = near_pairs(Fingerprints.of(prints), workers=workers)
    wall, processor = wall + time.perf_counter() - began, processor + time.process_time() - used
    planted = range(100, count, 100)
    found = set(zip(pairs.first_P.tolist(), pairs.second_P.tolist(), strict=True))
    thumbs = Thumbs(all_NHW=Fingerprints.of(prints).thumb_NHW, index_U=np.arange(count))
    tried = len(candidates(thumbs, workers=workers))
    copies = sum((i - 1, i) in found for i in planted)
    print(f"{tried} candidates, {len(pairs)} confirmed, {copies} of {len(planted)} planted copies among them")
    print(
        f"{count} images: {wall:.1f} s on {workers} threads ({processor:.1f} s of a processor; target {TARGET:.0f} s)"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)

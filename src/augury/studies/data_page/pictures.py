"""Small pictures of images inside the page, and which of them are shown. N images, H height, W width.

A page holds at most MOST pictures of SIDE pixels and lists at most ROWS of anything, so that it stays below BOUND bytes
whatever the set.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augury.data import readers
from augury.data.in_order import map_in_order
from augury.data.preparation.windows import stretch
from augury.data.sample import Manifest, Sample
from augury.errors import UserError
from augury.studies.report.reading import Picture

SIDE = 128  # pixels of the longer side
QUALITY = 80
MONTAGE = 72  # pictures in all montages together
PER_CLASS = 8
PAIRS = {"exact": 6, "near": 12, "conflicts": 12, "leaks": 8}
MOST = MONTAGE + 2 * sum(PAIRS.values())
ROWS = 50
BOUND = 6 * 2**20  # bytes; photographs of 128 pixels take about 6 kB each, so a full page about 1.5 MB


def pictures(samples: Sequence[Sample], *, words: Sequence[str]) -> list[Picture | None]:
    """Each image in small, None where it can no longer be read; `words` say what each shows."""
    shown = map_in_order(_small, samples)
    return [None if found is None else replace(found, alt=text) for found, text in zip(shown, words, strict=True)]


def small(pixels: NDArray[Any], *, alt: str) -> Picture:
    """Pixels (H, W) or (H, W, 3) as a picture of at most SIDE pixels a side; `alt` says what it shows."""
    image = Image.fromarray(_eight_bits(pixels))
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=QUALITY)
    address = f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
    return Picture(address=address, width=image.width, height=image.height, alt=alt)


def montage(manifest: Manifest, *, seed: int) -> list[tuple[str, list[int]]]:
    """(class, positions): a few images of each class drawn with a fixed seed, of different groups while there are any.

    Images without a label stand last. The classes share MONTAGE pictures; where there are more classes than that, the
    largest are shown.
    """
    label_N, group_N = manifest.label_N, manifest.group_N
    kinds = sorted(set(label_N.tolist()), key=lambda label: (label < 0, -int((label_N == label).sum()), label))
    kinds = sorted(kinds[:MONTAGE], key=lambda label: (label < 0, label))
    each = max(1, min(PER_CLASS, MONTAGE // max(len(kinds), 1)))
    order_N = np.random.default_rng(seed).permutation(len(manifest))
    names = {label: manifest.classes[label] if label >= 0 else "no label" for label in kinds}
    return [(names[label], _of_groups(order_N[label_N[order_N] == label], group_N, each)) for label in kinds]


def _of_groups(order_n: NDArray[np.int64], group_N: NDArray[np.int64], count: int) -> list[int]:
    """The first image of each group, then the others."""
    _, first = np.unique(group_N[order_n], return_index=True)
    fresh = np.sort(first)
    rest = np.setdiff1d(np.arange(len(order_n)), fresh)
    chosen: list[int] = order_n[np.concatenate([fresh, rest])[:count]].tolist()
    return chosen


def _small(sample: Sample) -> Picture | None:
    try:
        pixels = readers.read(sample.image, sample.member).pixels
    except UserError:
        return None
    return small(pixels, alt="")


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """16 bits are spread between their percentiles 0.5 and 99.5, else most of them would be black."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = (float(value) for value in np.percentile(pixels, (0.5, 99.5)))
    spread = stretch(pixels, low, high) if high > low else pixels
    return (spread >> 8).astype(np.uint8)

"""Planted near duplicates: how many are found, and how many images are joined without one.

    python experiments/near_duplicates.py [phantom busi eyepacs_256 brain_tumor_mri]

Every set gets one altered copy of each of its chosen images, each of them altered in one way; recall is the share of
copies that end in the group of their own original, false joins are images whose group grew although neither they nor
any member of it was copied. What the set itself holds (groups without any planted copy) is printed beside it.
"""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augury.data.duplicates import NearPairs, group, near_pairs
from augury.data.fingerprints import Fingerprint, Fingerprints, fingerprint

ROOT = Path(__file__).resolve().parents[1].parent / "shared" / "data"
Pixels = NDArray[Any]
SETS = ("phantom", "busi", "eyepacs_256", "brain_tumor_mri")


def flip(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return np.ascontiguousarray(np.flip(pixels, axis=int(rng.integers(2))))


def turn(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return np.ascontiguousarray(np.rot90(pixels, int(rng.integers(1, 4))))


def crop(pixels: Pixels, rng: np.random.Generator, *, kept: float = 0.95) -> Pixels:
    """A window of 95 % of each side somewhere in the image, stretched to the old size."""
    height, width = pixels.shape[:2]
    rows, columns = round(height * kept), round(width * kept)
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    window = Image.fromarray(pixels[top : top + rows, left : left + columns])
    return np.asarray(window.resize((width, height), Image.Resampling.BILINEAR))


def smaller_crop(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return crop(pixels, rng, kept=0.9)


def brightness(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return _clipped(pixels * (1 + 0.2 * rng.choice([-1, 1])))


def contrast(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    mean = pixels.mean()
    return _clipped((pixels - mean) * (1 + 0.2 * rng.choice([-1, 1])) + mean)


def jpeg(pixels: Pixels, rng: np.random.Generator) -> Pixels:  # noqa: ARG001
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=50)
    return np.asarray(Image.open(stream))


def noise(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return _clipped(pixels + rng.normal(0, 0.02 * 255, pixels.shape))


def rotation(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    angle = float(rng.uniform(1, 4) * rng.choice([-1, 1]))
    return np.asarray(Image.fromarray(pixels).rotate(angle, Image.Resampling.BILINEAR))


def everything(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    for change in (crop, flip, turn, brightness, contrast, noise, jpeg):
        pixels = change(pixels, rng)
    return pixels


REQUIRED: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "flip": flip,
    "turn": turn,
    "crop 5 %": crop,
    "brightness 20 %": brightness,
    "contrast 20 %": contrast,
    "jpeg 50": jpeg,
    "noise 2 %": noise,
}
HARDER: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "crop 10 %": smaller_crop,
    "rotation 1-4 deg": rotation,
    "all seven": everything,
}


def _clipped(values: NDArray[Any]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def images(name: str) -> tuple[list[Pixels], list[str]]:
    """Pixels and patients ("" where unknown); 800 phantom patients of one slice each."""
    if name == "phantom":
        from augury.data.phantoms import BrainConfig, render

        phantom = render(BrainConfig(size=128), n=800, seed=0)
        return list(phantom.image_NHW), [str(p) for p in phantom.patient_N]
    with (ROOT / name / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [np.asarray(Image.open(ROOT / name / row["image"])) for row in rows], [r.get("patient", "") for r in rows]


def plant(
    pixels: list[Pixels], prints: list[Fingerprint], *, seed: int
) -> tuple[list[Fingerprint], list[int], list[str]]:
    """Copies of distinct images (no image twice), their originals and how each was altered."""
    rng = np.random.default_rng(seed)
    kinds = REQUIRED | HARDER
    distinct = np.unique([one.id for one in prints], return_index=True)[1]
    each = min(100, len(distinct) // len(kinds))
    chosen = rng.permutation(distinct)[: each * len(kinds)].tolist()
    names = [kind for kind in kinds for _ in range(each)]
    copies = [fingerprint(kinds[kind](pixels[i], rng)) for i, kind in zip(chosen, names, strict=True)]
    return copies, chosen, names


def study(name: str, *, seed: int = 0) -> None:
    pixels, patients = images(name)
    prints = [fingerprint(one) for one in pixels]
    copies, originals, kinds = plant(pixels, prints, seed=seed)
    together = Fingerprints.of([*prints, *copies])
    pairs = near_pairs(together)
    count = len(prints)
    best = best_of_copies(pairs, originals, count=count)
    own = [f"copy of {i}" for i in range(len(copies))]
    names = group([*([""] * count), *own], together.id_N, pairs)
    found = Counter(
        k for k, i, c in zip(kinds, originals, range(count, len(names)), strict=True) if names[i] == names[c]
    )
    print(f"\n{name}: {count} images, {len(copies)} planted copies")
    for kind, total in Counter(kinds).items():
        chosen = best[[k == kind for k in kinds]]
        low = " ".join(f"{q:.2f}" for q in np.quantile(chosen, [0.0, 0.02, 0.05, 0.5]))
        print(f"  {kind:18s} recall {found[kind]}/{total}   correlation: min, 2 %, 5 %, median {low}")
    sizes = alone(pairs, together, count=count, patients=patients)
    print("  the set itself:", sizes)
    strangers = joined_to_strangers(pairs, originals, patients=patients)
    print(f"  copies joined to an image that is neither its original nor near it: {strangers}")


def best_of_copies(pairs: NearPairs, originals: list[int], *, count: int) -> NDArray[np.float64]:
    """Correlation of every copy with its own original; 0: only a third image joins them, if any."""
    found = dict(
        zip(zip(pairs.first_P.tolist(), pairs.second_P.tolist(), strict=True), pairs.correlation_P, strict=True)
    )
    return np.array([found.get((original, count + i), 0.0) for i, original in enumerate(originals)])


def alone(pairs: NearPairs, prints: Fingerprints, *, count: int, patients: list[str]) -> str:
    """Groups among the real images alone, and how many pairs are of different known patients."""
    real = (pairs.first_P < count) & (pairs.second_P < count)
    first, second = pairs.first_P[real].tolist(), pairs.second_P[real].tolist()
    within = NearPairs(
        first_P=pairs.first_P[real], second_P=pairs.second_P[real], correlation_P=pairs.correlation_P[real]
    )
    sizes = Counter(group([""] * count, prints.id_N[:count], within)).values()
    across = sum(bool(patients[a]) and patients[a] != patients[b] for a, b in zip(first, second, strict=True))
    joined = [size for size in sizes if size > 1]
    near = len({*first, *second})
    return (
        f"{len(first)} near pairs of {near} images ({across} across known patients), {len(joined)} groups of "
        f"{sum(joined)} files with the exact ones, largest {max(sizes)}"
    )


def joined_to_strangers(pairs: NearPairs, originals: list[int], *, patients: list[str]) -> int:
    """Copies with a confirmed partner that is neither their original, nor its patient's, nor near it."""
    partners: dict[int, set[int]] = {}
    for a, b in zip(pairs.first_P.tolist(), pairs.second_P.tolist(), strict=True):
        partners.setdefault(a, set()).add(b)
        partners.setdefault(b, set()).add(a)
    strangers, count = 0, len(patients)
    owner = [*patients, *(patients[i] for i in originals)]
    for copy, original in enumerate(originals, start=count):
        near = {original} | partners.get(original, set())
        second = near | {c for p in near for c in partners.get(p, set())}
        others = partners.get(copy, set()) - second
        strangers += any(not owner[o] or owner[o] != owner[copy] for o in others)
    return strangers


if __name__ == "__main__":
    for chosen_set in sys.argv[1:] or SETS:
        study(chosen_set)

"""The audit from 10,000 to a million rows: seconds of a processor, memory, planted twins found, strangers joined.

    python benchmarks/audit_scale.py [10000 30000 100000]

Each size runs in a process of its own, on one thread. Nothing is decoded: fingerprints are made. Synthetic in them: an
image is a field of four octaves whose amplitude falls as 1/f (the spectrum of natural and of most medical images)
under one disc that all share, drawn at 128 px; ids are numbers; files, sizes and margins are constants. Two in a
hundred are copies of an earlier image, each altered in one of seven ways (flip, quarter turn, crop of 5 %, brightness
20 %, contrast 20 %, noise 2 %, and an exact copy, which has its original's id). Thumbnails lie in a memory-mapped
file: "held" is the anonymous memory of the process at its peak, looked at every 50 ms, without pages of that file,
kB/row what of it came with the search for pairs; RSS counts the file's pages too, which the system takes back at need.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augury.data import prints_folder
from augury.data.duplicates import NearPairs, exact_groups, group, near_pairs
from augury.data.fingerprints import Fingerprint, Fingerprints
from augury.data.leaks import check_split
from augury.data.sample import Manifest, Sample
from augury.data.shortcuts import shortcuts
from augury.data.table import list_table

SIDE, BLOCK, EVERY = 128, 1000, 50
KINDS = ("flip", "turn", "crop", "brightness", "contrast", "noise", "exact")


def drawn(seed: int) -> NDArray[np.float32]:
    """128 x 128 in 0 .. 255."""
    rng = np.random.default_rng(seed)
    total = np.full((SIDE, SIDE), 110, dtype=np.float32)
    for cells, weight in ((5, 40.0), (10, 20.0), (20, 10.0), (40, 5.0)):
        field = Image.fromarray(rng.normal(0, weight, (cells, cells)).astype(np.float32))
        total += np.asarray(field.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    place = np.linspace(-1, 1, SIDE, dtype=np.float32)
    total *= np.hypot(place[:, None], place) < 0.95
    return np.clip(total, 0, 255)


def altered(image_HW: NDArray[np.float32], kind: str, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng([seed, 1])
    if kind == "flip":
        return np.flip(image_HW, axis=seed % 2)
    if kind == "turn":
        return np.rot90(image_HW, 1 + seed % 3)
    if kind == "crop":
        kept = round(0.95 * SIDE)
        top, left = rng.integers(0, SIDE - kept + 1, 2)
        window = Image.fromarray(np.ascontiguousarray(image_HW[top : top + kept, left : left + kept]))
        return np.asarray(window.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    if kind == "brightness":
        return np.clip(image_HW * rng.choice([0.8, 1.2]), 0, 255)
    if kind == "contrast":
        return np.clip((image_HW - image_HW.mean()) * rng.choice([0.8, 1.2]) + image_HW.mean(), 0, 255)
    return np.clip(image_HW + rng.normal(0, 5.1, image_HW.shape), 0, 255) if kind == "noise" else image_HW


def original_of(row: int) -> int | None:
    """Which row this one is a copy of: any earlier one that is none itself."""
    if row % EVERY != EVERY - 1:
        return None
    chosen = int(np.random.default_rng([row, 2]).integers(row))
    return chosen - 1 if chosen % EVERY == EVERY - 1 else chosen


def kind_of(row: int) -> str:
    return KINDS[row // EVERY % len(KINDS)]


def fingerprints(count: int, folder: Path) -> Fingerprints:
    """Written image by image and mapped, as a scan does it."""
    with prints_folder.Writer(folder, most=count) as kept:
        for row in range(count):
            source = original_of(row)
            image_HW = drawn(row) if source is None else altered(drawn(source), kind_of(row), row)
            thumb_HW = np.rint(image_HW.reshape(64, 2, 64, 2).mean(axis=(1, 3)) * 257).astype(np.uint16)
            name = row if source is None or kind_of(row) != "exact" else source
            kept.add(Fingerprint(
                id=f"{name:032x}", thumb=thumb_HW, height=SIDE, width=SIDE, channels=1, file_size=1 + row % 7,
                mean=float(image_HW.mean()) / 255, spread=float(image_HW.std()) / 255, margin=(0.0, 0.0, 0.0, 0.0),
            ))  # fmt: skip
    return prints_folder.load(folder)


def manifest(prints: Fingerprints, pairs: NearPairs) -> Manifest:
    """Four images a patient; train, val and test by patient, so that copies leak and patients do not."""
    patients = [f"p{row // 4}" for row in range(len(prints))]
    groups = group(patients, prints.id_N, pairs)
    samples = tuple(
        Sample(row=f"{row}.png", id=name, patient=patients[row], group=groups[row], image=Path(f"{row}.png"),
               label=row % 3, split=("train", "train", "val", "test")[row // 4 % 4])
        for row, name in enumerate(prints.id_N)
    )  # fmt: skip
    return Manifest(name="made", samples=samples, classes=("a", "b", "c"), patients_known=True)


def measured(count: int, folder: Path) -> None:
    """One line of the curve, and what the steps besides the pairs took."""
    began = time.process_time()
    prints = fingerprints(count, folder)
    made, before = time.process_time() - began, held()
    began = time.process_time()
    with Watch() as watch:
        pairs = near_pairs(prints, workers=1)
    seconds, peak = time.process_time() - began, watch.most
    found = set(zip(pairs.first_P.tolist(), pairs.second_P.tolist(), strict=True))
    planted = {(original_of(row), row) for row in range(count) if original_of(row) is not None
               and kind_of(row) != "exact"}  # fmt: skip
    names = group([""] * count, prints.id_N, pairs)
    hit = sum(names[a] == names[b] for a, b in planted if a is not None)
    print(f"{count:9,d} {seconds:9.1f} {1e3 * seconds / count:8.2f} {1e3 * (peak - before) / count:9.2f} {peak:8.0f} "
          f"{watch.resident:8.0f} "
          f"{hit:7d} of {len(planted):6d} {_strangers(found):9d}   (making them {made:.0f} s)", flush=True)  # fmt: skip
    _rest(prints, pairs, folder)


def _strangers(found: set[tuple[int, int]]) -> int:
    """Pairs whose two images do not come of one."""
    source = {row: original_of(row) for pair in found for row in pair}
    return sum((source[a] if source[a] is not None else a) != (source[b] if source[b] is not None else b)
               for a, b in found)  # fmt: skip


def _rest(prints: Fingerprints, pairs: NearPairs, folder: Path) -> None:
    count = len(prints)
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "label", "patient", "split"])
        writer.writerows([f"{row}.png", row % 3, f"p{row // 4}", "train"] for row in range(count))
    made: list[Manifest] = []
    steps = {
        "listing the CSV": lambda: list_table(folder / "manifest.csv"),
        "groups and manifest": lambda: made.append(manifest(prints, pairs)),
        "exact groups": lambda: exact_groups(prints.id_N),
        "leaks": lambda: check_split(made[0], pairs),
        "digest": lambda: made[0].digest,
        "shortcuts": lambda: shortcuts(made[0], prints),
    }
    for name, step in steps.items():
        began = time.process_time()
        with Watch() as watch:
            step()
        seconds = time.process_time() - began
        words = f"{seconds:.1f} s, {1e6 * seconds / count:.0f} us a row; held at most {watch.most:.0f} MB"
        print(f"          {name}: {words}", flush=True)


def held(kind: str = "RssAnon") -> float:
    """MB of memory of this kind now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(kind))


class Watch:
    """The most memory that is held while it watches."""

    def __init__(self) -> None:
        self.most, self.resident, self._ended = held(), held("VmRSS"), threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            self.most, self.resident = max(self.most, held()), max(self.resident, held("VmRSS"))


def main(sizes: list[int]) -> None:
    print("   images         s   ms/row    kB/row  held MB   RSS MB     planted found  strangers")
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, __file__, "--one", str(count), folder], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measured(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main([int(size) for size in sys.argv[1:]] or [10_000, 30_000, 100_000])

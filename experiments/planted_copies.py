"""How many planted copies of training images the search for copies finds, and how many strangers it takes for copies.

    python experiments/planted_copies.py [busi eyepacs_256 phantom:brain phantom:breast] [--size 64] [--seeds 1]

Half of the groups (patients and their near duplicates) are the training images; a quarter teaches the encoder, a
quarter is held out, one half of it as the synthetic set of fresh patients, one half as controls. The threshold is
set on one half of the controls; "strangers" are those of the other half above it. Every kind of near copy is made of
100 training images. Power: the share of 200 audits of a set as large as the held-out one, its images held out, with so
many of them replaced by planted copies, in which the test rejects at 0.05 / 4.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from augury.data.importers import load
from augury.data.store import Preparation, prepare
from augury.metrics.privacy import share_of
from augury.studies.audit.copies import PLANTED, controls, judge, matches_of, one_each, power
from augury.studies.audit.detector import Detector, learned, thumbs
from augury.studies.audit.planted import fit_autoencoder, planted

ROOT = Path(__file__).resolve().parents[1].parent / "shared" / "data"
SETS = ("busi", "eyepacs_256", "phantom:brain?n=2000&size=64", "phantom:breast?n=2000&size=64")


def measure(name: str, *, size: int, seed: int) -> str:
    manifest = load(name if name.startswith("phantom") else str(ROOT / name), no_patients=True)
    pixels = np.asarray(prepare(manifest, Preparation(size=(size, size))).pixels_NCHW)
    part = manifest.split({"train": 2, "learn": 1, "held": 1}, seed=seed)
    place = {sample.row: i for i, sample in enumerate(manifest)}
    train, learn, held = (np.array([place[s.row] for s in part[side]]) for side in ("train", "learn", "held"))
    group_N, start = manifest.group_N, time.process_time()
    encoder = learned(thumbs(pixels[learn]), seed=seed)
    detector = Detector(thumbs(pixels[train]), group_N[train], encoder=encoder)
    fitted = time.process_time() - start
    rng = np.random.default_rng(seed)
    # Of the held-out images one half plays the synthetic set: fresh patients.
    fresh_H = np.isin(group_N[held], rng.permutation(np.unique(group_N[held]))[::2])
    start = time.process_time()
    found = detector.matches(thumbs(pixels[held[fresh_H]]))
    seconds = (time.process_time() - start) / fresh_H.sum()
    kept = held[~fresh_H]
    control_C = controls(detector, held_HHW=thumbs(pixels[kept]), group_H=group_N[kept], seed=seed)
    copies = judge(found, control_C, seed=seed)
    chosen = rng.permutation(train)[:PLANTED]
    made = planted(pixels[chosen], autoencoder=fit_autoencoder(pixels[train], seed=seed), seed=seed)
    stated = power(copies, matches_of(detector, made), seed=seed)
    held_c = len(one_each(group_N[kept], seed=seed))
    medians = f"{np.median(control_C[:held_c]):.3f}, {np.median(control_C[held_c:]):.3f}"
    tails = f"{np.quantile(control_C[:held_c], 0.99):.3f}, {np.quantile(control_C[held_c:], 0.99):.3f}"
    alarms = share_of(int((copies.tried_c > copies.threshold).sum()), len(copies.tried_c))
    kinds = " | ".join(f"{one.value:.2f}" for one in stated.sensitivity.values())
    at = " | ".join(f"{one.value:.2f}" for one in stated.at.values())
    whole = np.mean([one.value for one in stated.sensitivity.values()])
    return (
        f"| {name} | {size} | {len(train)}, {len(control_C)}, {len(found.score_N)} | {copies.threshold:.3f} "
        f"| {alarms.value:.4f} ({alarms.low:.4f} to {alarms.high:.4f}) | {copies.share().value:.4f} | {copies.p:.3f} "
        f"| {whole:.3f} | {kinds} | {at} | {medians} | {tails} | {fitted:.0f} | {1000 * seconds:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    print(
        "| set | px | training, controls, fresh | threshold | strangers flagged | fresh flagged | p | found "
        "| noise | crop | flip | brightness | autoencoder | power 1 % | 2 % | 5 % | 20 % "
        "| median of held-out, own controls | 99th | fit s | ms an image |\n" + "|---" * 21 + "|"
    )
    for name in options.sets:
        for seed in range(options.seeds):
            print(measure(name, size=options.size, seed=seed), flush=True)


if __name__ == "__main__":
    main()

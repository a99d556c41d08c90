"""Dice per case of segmenters on held-out groups: which network, which augmentation, how long.

    python experiments/segmenters.py ../shared/data/busi --networks small,attention --augmentations none,standard

Three grouped folds; of the groups that are not tested on, a fifth chooses the checkpoint. Of every case that is tested
on, one row goes into the CSV named by --out; means and the processor's seconds of a fit are printed.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.data.importers import load
from augury.data.mask_store import prepare_masks
from augury.data.splits import grouped_folds
from augury.data.store import prepare
from augury.metrics.segmentation import case_scores
from augury.predictors.phases import Phase, Source
from augury.predictors.segmenter import THRESHOLD, Segmenter, SegmenterConfig
from augury.studies.preparing import chosen, preparation_of
from augury.training import Run

FOLDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--networks", default="small,attention")
    parser.add_argument("--augmentations", default="none,standard")
    parser.add_argument("--overlaps", default=SegmenterConfig.overlap)
    parser.add_argument("--rates", default=str(SegmenterConfig.lr))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", default="0,1,2", help="which of the three")
    parser.add_argument("--out", type=Path, default=Path("segmenters.csv"))
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of the first fold's predictions")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    pairs = pairs_of(asked.data, size=asked.size)
    label_N, group_N = pairs.label_N.numpy(), pairs.group_N
    assert group_N is not None
    fold_N = grouped_folds(label_N, group_N.numpy(), count=FOLDS, seed=asked.seed)
    print(f"{len(pairs)} images, {int((pairs.channel('mask').max(axis=(1, 2)) > 0).sum())} with a lesion")
    with asked.out.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["network", "augmentation", "overlap", "lr", "fold", "case", "empty", "dice", "hd95", "assd"])
        scores: dict[SegmenterConfig, list[NDArray[np.float64]]] = {config: [] for config in configs(asked)}
        for fold, config in product(map(int, asked.folds.split(",")), scores):
            scores[config].append(scored(pairs, fold_N, fold, config, asked, rows))
            file.flush()
            print(f"fold {fold}: {in_words(config, scores[config][-1])}", flush=True)
    for config, parts in scores.items():
        print(in_words(config, np.concatenate(parts)))


def configs(asked: argparse.Namespace) -> Iterator[SegmenterConfig]:
    names = (asked.networks, asked.augmentations, asked.overlaps, asked.rates)
    for network, augmentation, overlap, rate in product(*(text.split(",") for text in names)):
        yield SegmenterConfig(network=network, augmentation=augmentation, overlap=overlap, lr=float(rate))


def pairs_of(data: str, *, size: int) -> Pairs:
    """The labelled images with their masks, prepared for their modality."""
    manifest = load(data, no_patients=True).labelled()
    own = chosen(manifest, named=None, asked={}).preparation
    store = prepare(manifest, preparation_of({"size": (size, size), **own}))
    return Pairs(
        pixels_NCHW=store.pixels_NCHW, condition=Condition(label_B=torch.from_numpy(manifest.label_N)),
        classes=len(manifest.classes), group_N=torch.from_numpy(manifest.group_N),
        map_NKHW=prepare_masks(manifest, store)[:, None], maps=("mask",),
    )  # fmt: skip


def scored(
    pairs: Pairs, fold_N: NDArray[np.int64], fold: int, config: SegmenterConfig, asked: argparse.Namespace, rows: object
) -> NDArray[np.float64]:
    """(empty, dice, hd95, assd, seconds of the processor) of each case of one fold."""
    rest, test = np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)
    assert pairs.group_N is not None
    part_n = grouped_folds(pairs.label_N.numpy()[rest], pairs.group_N.numpy()[rest], count=5, seed=asked.seed)
    train, choose, held = (pairs.subset(torch.from_numpy(i)) for i in (rest[part_n != 0], rest[part_n == 0], test))
    run = Run(seed=asked.seed, steps=asked.steps, batch=asked.batch)
    channels, height, width = pairs.shape
    with run.seeded("networks"):
        net = Segmenter(config, Shape(channels=channels, height=height, width=width, classes=pairs.classes))
    began = time.process_time()
    net.fit([Phase(sources=(Source(pairs=train),), steps=asked.steps)], run, validation=choose)
    seconds = time.process_time() - began
    found_NHW, truth_NHW = net.predict(held.pixels_NCHW) >= THRESHOLD, held.channel("mask") >= 128
    if asked.pictures is not None and fold == 0:
        picture(held, found_NHW, truth_NHW).save(asked.pictures / f"{config.network}_{config.augmentation}.png")
    values = []
    for case, found_HW, truth_HW in zip(test, found_NHW, truth_NHW, strict=True):
        scores, empty = case_scores(found_HW, truth_HW), not truth_HW.any()
        values.append([float(empty), scores["dice"], scores["hd95"], scores["assd"], seconds])
        rows.writerow([  # type: ignore[attr-defined]
            config.network, config.augmentation, config.overlap, config.lr, fold, case, int(empty),
            *(f"{scores[name]:.4f}" for name in ("dice", "hd95", "assd")),
        ])  # fmt: skip
    return np.array(values)


def picture(held: Pairs, found_NHW: NDArray[np.bool_], truth_NHW: NDArray[np.bool_], *, count: int = 32) -> Image.Image:
    """Every so many images with the found mask's border in red and the true one's in green."""
    chosen_n = np.linspace(0, len(found_NHW) - 1, count).round().astype(int)
    tiles = []
    for i in chosen_n:
        tile_HW3 = np.repeat(held.pixels_NCHW[i].mean(0)[..., None], 3, axis=2).astype(np.uint8)
        for mask_HW, colour in ((truth_NHW[i], (0, 255, 0)), (found_NHW[i], (255, 0, 0))):
            inner_HW = mask_HW.copy()
            inner_HW[1:-1, 1:-1] &= mask_HW[:-2, 1:-1] & mask_HW[2:, 1:-1] & mask_HW[1:-1, :-2] & mask_HW[1:-1, 2:]
            inner_HW[[0, -1]] = inner_HW[:, [0, -1]] = False
            tile_HW3[mask_HW & ~inner_HW] = colour
        tiles.append(tile_HW3)
    return Image.fromarray(np.concatenate([np.concatenate(tiles[i : i + 8], axis=1) for i in range(0, count, 8)]))


def in_words(config: SegmenterConfig, value_N5: NDArray[np.float64]) -> str:
    empty_N, dice_N = value_N5[:, 0] > 0, value_N5[:, 1]
    name = f"{config.network:10} {config.augmentation:9} {config.overlap} {config.lr:g}"
    lesions = f"with a lesion {dice_N[~empty_N].mean():.3f}, HD95 {value_N5[~empty_N, 2].mean():.1f}"
    without = f", without {dice_N[empty_N].mean():.3f} of {int(empty_N.sum())}" if empty_N.any() else ""
    return f"{name}: Dice {dice_N.mean():.3f} of {len(dice_N)} cases; {lesions}{without}; {value_N5[:, 4].mean():.0f} s"


if __name__ == "__main__":
    main()

"""Does a model draw what it is told? Judges that were trained on real images alone look at drawings of held-out maps.

N held-out images, C channels, H height, W width, G groups. For every held-out image one drawing is made, told that
image's own label and maps. A segmenter's Dice between the mask asked for and the mask found is put beside its Dice on
the real image of that mask, a classifier's accuracy on the label asked for beside its accuracy on the real image. For
chance, each drawing is judged by what another one was asked: the very figure of a model that does not listen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from augury.conditions.edges import Edges
from augury.conditions.pairs import Pairs, to_uint8, to_unit
from augury.generators.chunks import chunks
from augury.generators.generator import Generator
from augury.metrics.condition_fidelity import edge_f1, mask_dice
from augury.metrics.estimate import Estimate
from augury.metrics.intervals import estimate_of
from augury.metrics.resampling import Replicates, deletion_weights, draw_weights
from augury.studies.edge_finder import edges_of

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Judges:
    """What looks at images (uint8, N x C x H x W); each is trained on real images of other patients, or needs none."""

    segment: Callable[[Pixels], NDArray[np.bool_]] | None = None  # found_NHW
    classify: Callable[[Pixels], NDArray[np.int64]] | None = None  # label_N
    edges: Edges | None = None  # the finder that the model was told by


def conditions_kept(
    generator: Generator, held: Pairs, judges: Judges, *, edge_NHW: Pixels | None = None, seed: int = 0
) -> dict[str, Estimate]:
    """What is kept, each figure with its interval over the groups of `held` and their number.

    `held` has the maps that the model is told, and the map "mask" where there is a segmenter; `edge_NHW` are the edges
    asked for, without contours. Names: dice_real, dice_drawn, dice_shuffled, dice_ratio (drawn / real), edge_f1,
    edge_f1_shuffled, label_real, label_drawn, label_ratio. Images without anything in their mask or edges count in
    none of those figures.
    """
    drawn_NCHW = drawn_like(held, generator, seed=seed)
    group_N = np.arange(len(held)) if held.group_N is None else held.group_N.numpy()
    other_N = _others(held, seed=seed)
    found: dict[str, Estimate] = {}
    if judges.segment is not None:
        found |= _masks(judges.segment, held, drawn_NCHW, group_N, other_N)
    if judges.edges is not None and edge_NHW is not None:
        found |= _edges(judges.edges, edge_NHW, drawn_NCHW, group_N, other_N)
    if judges.classify is not None:
        label_N = held.label_N.numpy()
        real_N = (judges.classify(np.asarray(held.pixels_NCHW)) == label_N).astype(np.float64)
        hit_N = (judges.classify(drawn_NCHW) == label_N).astype(np.float64)
        found |= {
            "label_real": mean_of(real_N, group_N), "label_drawn": mean_of(hit_N, group_N),
            "label_ratio": ratio_of(hit_N, real_N, group_N),
        }  # fmt: skip
    return found


def drawn_like(held: Pairs, generator: Generator, *, seed: int) -> Pixels:
    """pixels_NCHW: one drawing for each image, told what is known of it."""
    parts = []
    for part in chunks(len(held)):
        _, condition = held[torch.arange(part.start, part.stop)]
        told = condition.to(generator.device())
        parts.append(to_uint8(generator.sample(told, seed=seed * 1_000_003 + part.start)))
    return np.concatenate(parts)


def mean_of(value_N: Floats, group_N: NDArray[np.int64]) -> Estimate:
    """The mean over items, NaN left out, with a BCa interval that resamples whole groups."""
    return ratio_of(value_N, np.ones_like(value_N), group_N)


def ratio_of(above_N: Floats, below_N: Floats, group_N: NDArray[np.int64]) -> Estimate:
    """The ratio of two means over the same items, items with a NaN left out; ValueError where none is left."""
    known_N = ~np.isnan(above_N) & ~np.isnan(below_N)
    if not known_N.any() or not below_N[known_N].any():
        raise ValueError("got nothing to take a ratio of; expected items with something asked of them")
    _, code_n = np.unique(group_N[known_N], return_inverse=True)
    above_G, below_G = (np.bincount(code_n, weights=value_N[known_N]) for value_N in (above_N, below_N))
    stratum_G = np.zeros(len(above_G), dtype=np.int64)
    drawn_GB = draw_weights(stratum_G, draws=DRAWS, rng=np.random.default_rng(0))
    deleted_GJ, stratum_J = deletion_weights(stratum_G)

    def value(weight_GB: NDArray[np.floating]) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample of nothing but zeros has no ratio
            return np.nan_to_num((above_G @ weight_GB) / (below_G @ weight_GB), posinf=0.0)

    whole = float(above_G.sum() / below_G.sum())
    replicates = Replicates(
        value=whole, draw_B=value(drawn_GB), deleted_J=value(deleted_GJ), stratum_J=stratum_J, groups=len(above_G)
    )
    return estimate_of(replicates)


def _masks(
    segment: Callable[[Pixels], NDArray[np.bool_]],
    held: Pairs,
    drawn_NCHW: Pixels,
    group_N: NDArray[np.int64],
    other_N: NDArray[np.int64],
) -> dict[str, Estimate]:
    asked_NHW = held.channel("mask") >= 128
    real_N = mask_dice(segment(np.asarray(held.pixels_NCHW)), asked_NHW)
    found_NHW = segment(drawn_NCHW)
    drawn_N = mask_dice(found_NHW, asked_NHW)
    return {
        "dice_real": mean_of(real_N, group_N), "dice_drawn": mean_of(drawn_N, group_N),
        "dice_shuffled": mean_of(mask_dice(found_NHW, asked_NHW[other_N]), group_N),
        "dice_ratio": ratio_of(drawn_N, real_N, group_N),
    }  # fmt: skip


def _edges(
    edges: Edges, asked_NHW: Pixels, drawn_NCHW: Pixels, group_N: NDArray[np.int64], other_N: NDArray[np.int64]
) -> dict[str, Estimate]:
    found_NHW = edges_of(to_unit(drawn_NCHW), edges).numpy()
    asked = np.asarray(asked_NHW, dtype=np.float32) / 255
    return {
        "edge_f1": mean_of(edge_f1(found_NHW, asked), group_N),
        "edge_f1_shuffled": mean_of(edge_f1(found_NHW, asked[other_N]), group_N),
    }


def _others(held: Pairs, *, seed: int) -> NDArray[np.int64]:
    """For each image another one at random; those with something in their mask among themselves."""
    rng = np.random.default_rng([seed, 0x0DD])
    marked_N = np.zeros(len(held), dtype=np.bool_)
    if "mask" in held.maps:
        marked_N = np.asarray((held.channel("mask") > 0).any((1, 2)), dtype=np.bool_)
    other_N = np.arange(len(held))
    for part in (np.flatnonzero(marked_N), np.flatnonzero(~marked_N)):
        order = rng.permutation(part)
        other_N[order] = np.roll(order, 1)
    return other_N

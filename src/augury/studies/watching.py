"""A watch on a generator's training: does it draw its training images rather than images of their kind?

Every tenth of the steps samples are drawn and compared with training images T and held-out ones H of other patients.
A sample of a generator that knows only what T and H have in common is as likely nearest to any of them. So the groups'
names, T or H, are dealt out anew many times (within each class, whole groups): how often does chance put as many
samples next to T? That is an exact test for any features and any number of images, provided that H was set aside at
random; it allows for hubs, images that are nearest to many samples. S samples, T, H as above, P both, G groups,
D features, B deals, C channels, y height, x width.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.special import gammaln
from torch import Tensor
from torch.nn import functional as F

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs, to_uint8
from augury.data.sample import IntArray
from augury.metrics.fidelity import kid
from augury.studies.gallery import nearest
from augury.training import Run

LOOKS = 10  # in a training
SAMPLES = 256  # of each look
LEVEL = 0.01  # of all looks together that a generator which remembers nothing is stopped
DEALS = 9_999
POOL = 4_000  # training images that a look compares with, at most: groups are drawn
SIDE = 32  # pixels of the images that are compared
COPY = 0.995  # quantile of the held-out images' likeness to training images, beyond which a sample counts as a copy

Array = NDArray[np.float64]
Encode = Callable[[Tensor], NDArray[np.floating]]  # image_BCyx in [-1, 1] -> z_BD


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What samples are compared with: training images first, then held-out ones."""

    train: Pairs
    held: Pairs
    train_group_T: IntArray
    held_group_H: IntArray


def fine_structure(image_BCyx: Tensor) -> Array:
    """z_BD: the grey image at 32 pixels at most, less its local mean of 5 x 5 pixels.

    Gross shape is common to all images of a kind; what is left is a person's own.
    """
    grey_B1yx = image_BCyx.float().mean(1, keepdim=True)
    if max(grey_B1yx.shape[2:]) > SIDE:
        grey_B1yx = F.adaptive_avg_pool2d(grey_B1yx, SIDE)
    fine_B1yx = grey_B1yx - F.avg_pool2d(grey_B1yx, 5, 1, 2, count_include_pad=False)
    fine_BD: Array = fine_B1yx.flatten(1).double().numpy()
    return fine_BD


def watch(
    ground: Ground, run: Run, *, stops: bool, encode: Encode = fine_structure, note: Callable[[str], None] | None = None
) -> None:
    """Have the run looked at LOOKS times; each look is a line of its log, whose names begin with "watch_".

    With `stops` the run ends where two looks in a row reject that it remembers nothing, each at LEVEL / LOOKS
    (Bonferroni over the looks; the second one guards against a chance that a single deal of patients makes).
    """
    every = max(1, run.steps // LOOKS)
    looks = max(1, run.steps // every)
    prepared = _Prepared(_thinned(ground, seed=run.seed), encode)

    def probe(step: int) -> bool:
        figures = prepared.look(run)
        p_values = [*(line["watch_p"] for line in run.history if "watch_p" in line), figures["p"]]
        stop = stops and len(p_values) > 1 and max(p_values[-2:]) < LEVEL / looks
        run.note(**{f"watch_{name}": value for name, value in {**figures, "stops": float(stop)}.items()})
        if note is not None:
            note(f"step {step}: {in_words(run.history[-1])}{'; the fit ends here' if stop else ''}")
        return stop

    run.watch(every, probe)


def last_look(history: Sequence[Mapping[str, float]]) -> Mapping[str, float] | None:
    """The line of the last look of a run's log; None where it had none."""
    return next((line for line in reversed(history) if "watch_p" in line), None)


def stopped_at(log: Path) -> int | None:
    """After how many steps a watch ended the run of this log.jsonl; None where none did."""
    look = last_look([json.loads(line) for line in log.read_text().splitlines()])
    return int(look["step"]) + 1 if look is not None and look["watch_stops"] else None


def told_like(train: Pairs, *, seed: int) -> Condition:
    """What SAMPLES training images, drawn at random, are told: their labels, words and maps."""
    random = torch.Generator().manual_seed(seed)
    return train[torch.randint(len(train), (SAMPLES,), generator=random)][1]


def in_words(look: Mapping[str, float]) -> str:
    """A look for the card and the terminal."""
    return (
        f"{look['watch_nearest_share']:.2f} of samples nearer to training than to held-out images of equal number "
        f"(0.50: remembers nothing; p {look['watch_p']:.2g}), copy rate {look['watch_copy_rate']:.3f}, "
        f"KID to held-out images {look['watch_kid']:.4f} (of training images: {look['watch_kid_floor']:.4f})"
    )


class _Prepared:
    """The features of both sides, taken once, and a look at samples beside them."""

    def __init__(self, ground: Ground, encode: Encode) -> None:
        self.ground, self.encode = ground, encode
        self.train_TD, self.held_HD = _features(ground.train, encode), _features(ground.held, encode)
        likeness_H = _likeness(self.held_HD, self.train_TD).max(1)
        self.copy_level = float(np.quantile(likeness_H, COPY, method="higher"))
        self.floor = _kid(self.train_TD, self.held_HD, seed=0)

    def look(self, run: Run) -> dict[str, float]:
        """copy_rate, kid, kid_floor, nearest_share and p of samples drawn now."""
        assert run.drawn is not None, "this generator offers nothing to draw from: call run.offer before the loop"
        seed = run.random("watch").initial_seed()
        sample_SD = _unit(self.encode(run.drawn(told_like(self.ground.train, seed=seed), seed)))
        train_ST, held_SH = _likeness(sample_SD, self.train_TD), _likeness(sample_SD, self.held_HD)
        return {
            "copy_rate": float((train_ST.max(1) > self.copy_level).mean()),
            "kid": _kid(sample_SD, self.held_HD, seed=0),
            "kid_floor": self.floor,
            "nearest_share": balanced_share(train_ST, held_SH),
            "p": self._p(np.concatenate([train_ST, held_SH], 1).argmax(1), seed=seed),
        }

    def _p(self, nearest_S: IntArray, *, seed: int) -> float:
        ground = self.ground
        group_P = np.concatenate([ground.train_group_T, ground.train_group_T.max() + 1 + ground.held_group_H])
        label_P = np.concatenate([ground.train.label_N.numpy(), ground.held.label_N.numpy()])
        is_train_P = np.arange(len(group_P)) < len(ground.train)
        return dealt_again(nearest_S, group_P, is_train_P, label_P, seed=seed)


def balanced_share(train_ST: Array, held_SH: Array) -> float:
    """The share of samples whose nearest is of T, with as many of T as of H: 0.5 where nothing is remembered.

    The mean over all subsets of the larger side that are as large as the smaller one (a hypergeometric chance).
    """
    size = min(train_ST.shape[1], held_SH.shape[1])

    def none_of(nearer_S: IntArray, total: int) -> Array:
        """Chance that a subset of `size` of `total` holds none of so many."""
        left_S = np.maximum(total - nearer_S - size, -1)
        chance_S = gammaln(total - nearer_S + 1) + gammaln(total - size + 1) - gammaln(total + 1)
        return np.asarray(np.where(left_S >= 0, np.exp(chance_S - gammaln(np.maximum(left_S, 0) + 1)), 0.0))

    if train_ST.shape[1] >= held_SH.shape[1]:
        nearer_S = (train_ST > held_SH.max(1, keepdims=True)).sum(1)
        return float(1.0 - none_of(nearer_S, train_ST.shape[1]).mean())
    nearer_S = (held_SH > train_ST.max(1, keepdims=True)).sum(1)
    return float(none_of(nearer_S, held_SH.shape[1]).mean())


def dealt_again(
    nearest_S: IntArray, group_P: IntArray, is_train_P: NDArray[np.bool_], label_P: IntArray, *, seed: int
) -> float:
    """One-sided p: the share of deals of the groups' sides that put at least as many samples next to training images.

    A group is dealt among the groups of its first image's class (Phipson and Smyth 2010, equation 2, for the plus one).
    """
    code_P = np.unique(group_P, return_inverse=True)[1]
    first_G = np.unique(code_P, return_index=True)[1]
    hits_G = np.bincount(code_P[nearest_S], minlength=len(first_G))
    train_G, label_G = is_train_P[first_G], label_P[first_G]
    rng = np.random.default_rng(seed)
    drawn_B = np.zeros(DEALS, dtype=np.int64)
    for label in np.unique(label_G):
        here = label_G == label
        drawn_B += _deal(hits_G[here], int(train_G[here].sum()), rng)
    return float((1 + (drawn_B >= hits_G[train_G].sum()).sum()) / (1 + DEALS))


def _deal(hits_G: IntArray, train: int, rng: np.random.Generator) -> IntArray:
    """Hits of `train` groups drawn without replacement, DEALS times; in parts, so that memory stays bounded."""
    size = max(1, 4_000_000 // len(hits_G))
    parts = []
    for first in range(0, DEALS, size):
        order_BG = rng.random((min(size, DEALS - first), len(hits_G)))
        chosen_BG = np.argpartition(order_BG, max(train - 1, 0), axis=1)[:, :train]
        parts.append(hits_G[chosen_BG].sum(1))
    return np.concatenate(parts)


def _thinned(ground: Ground, *, seed: int) -> Ground:
    """With at most POOL training images, groups whole."""
    if len(ground.train) <= POOL:
        return ground
    groups = int(ground.train_group_T.max()) + 1
    rank_T = np.random.default_rng(seed).permutation(groups)[ground.train_group_T]
    kept = np.sort(np.argsort(rank_T, kind="stable")[:POOL])
    return Ground(
        train=ground.train.subset(torch.from_numpy(kept)), held=ground.held,
        train_group_T=ground.train_group_T[kept], held_group_H=ground.held_group_H,
    )  # fmt: skip


def _features(pairs: Pairs, encode: Encode) -> Array:
    parts = torch.arange(len(pairs)).split(256)
    return np.concatenate([_unit(encode(pairs[index_B][0])) for index_B in parts])


def _unit(z_BD: NDArray[np.floating]) -> Array:
    """Each row with mean square 1, so that an inner product, by D, is a correlation."""
    z_BD = z_BD.astype(np.float64)
    unit_BD: Array = z_BD / np.maximum(np.sqrt(np.square(z_BD).mean(1, keepdims=True)), 1e-9)
    return unit_BD


def _likeness(first_ND: Array, second_MD: Array) -> Array:
    likeness_NM: Array = first_ND @ second_MD.T / first_ND.shape[1]
    return likeness_NM


def _kid(first_ND: Array, second_MD: Array, *, seed: int) -> float:
    return kid(first_ND, second_MD, subsets=20, seed=seed).value


def neighbour_sheet(sample_SCyx: Tensor, train: Pairs, *, rows: int = 2, columns: int = 8) -> Image.Image:
    """The samples that are most like a training image, each above that image, with their correlation."""
    sample_SCyx_8 = to_uint8(sample_SCyx)
    train_TCyx_8 = to_uint8(train[torch.arange(len(train))][0])
    place_S, r_S = nearest(sample_SCyx_8, train_TCyx_8)
    order = np.argsort(-r_S, kind="stable")[: rows * columns]
    _, height, width = sample_SCyx_8.shape[1:]
    zoom = max(1, 64 // min(height, width))
    cell_y, cell_x = 2 * zoom * height + 14, zoom * width + 2
    sheet = Image.new("RGB", (columns * cell_x, rows * cell_y))
    pen = ImageDraw.Draw(sheet)
    for place, i in enumerate(order.tolist()):
        x, y = (place % columns) * cell_x, (place // columns) * cell_y
        for under, pixels in enumerate((sample_SCyx_8[i], train_TCyx_8[place_S[i]])):
            sheet.paste(_shown(pixels, zoom=zoom), (x, y + under * zoom * height))
        pen.text((x + 2, y + 2 * zoom * height + 1), f"r {r_S[i]:.3f}", fill="white")
    return sheet


def _shown(pixels_CHW: NDArray[np.uint8], *, zoom: int) -> Image.Image:
    image = Image.fromarray(pixels_CHW[0] if len(pixels_CHW) == 1 else np.moveaxis(pixels_CHW, 0, -1)).convert("RGB")
    return image.resize((zoom * image.width, zoom * image.height), Image.Resampling.NEAREST)

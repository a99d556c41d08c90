"""Vessels and lesions of many eyes brought onto their photographs. B images, V vessels, H height, W width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augury.data.phantoms import stamps
from augury.data.phantoms.fundus import vessels
from augury.data.phantoms.fundus.lesions import Lesions
from augury.data.phantoms.fundus.retina import ARTERY, VEIN, density, disc_place, eye_between
from augury.data.phantoms.fundus.vessels import Tree
from augury.data.phantoms.fundus.view import View
from augury.data.phantoms.patients import Draws, eye_stream, stream

_TREE_KEY = 0x5EED_7EEE
_STREAK = 0.3  # of a vessel's width
_SHARED = 2  # the number, after those of the eyes, of the stream that both eyes share
Floats = NDArray[np.float32]


def trees(patients: Sequence[int], draws: Draws, pixel: float, *, seed: int, beading_B: Floats) -> Tree:
    """The vessels of both eyes of these patients, numbered as the images are: a right and a left eye each.

    `pixel` (mm) says how closely their points must lie.
    """
    normal_BVQ = np.stack([
        vessels.draw_numbers(*(stream(seed ^ _TREE_KEY, 3 * p + which) for which in (_SHARED, eye)), change=0.5)
        for p in patients
        for eye in (0, 1)
    ])  # fmt: skip
    disc_B2 = torch.cat(disc_place(draws), dim=1)[..., 0].numpy()
    return vessels.grow(
        normal_BVQ,
        disc_B2,
        arcade_B=eye_between(draws, "arcade", 0.85, 1.15).flatten().numpy(),
        tortuous_B=draws.between("tortuous", 0.4, 1.6).flatten().numpy(),
        beading_B=beading_B,
        pixel=pixel,
    )


def of_eye(tree: Tree, eye: int) -> Tree:
    """The vessels of one eye."""
    first, last = np.searchsorted(tree.eye, [eye, eye + 1]) if _sorted(tree.eye) else (0, 0)
    chosen = slice(first, last) if last > first else tree.eye == eye
    return Tree(*(getattr(tree, name)[chosen] for name in tree.__dataclass_fields__))


def _sorted(values: NDArray[np.int64]) -> bool:
    return bool((values[1:] >= values[:-1]).all())


def blood(tree: Tree, view: View, *, calibre_B: Floats) -> tuple[Tensor, Tensor]:
    """(density_B3HW of the blood in arteries and veins, streak_BHW of light along the middle of the trunks)."""
    x_N, y_N = view.pixels(tree.eye, tree.x, tree.y)
    pixel_B = view.pixel.flatten().numpy()
    radius_N = (tree.radius * calibre_B[tree.eye] / pixel_B[tree.eye]).astype(np.float32)
    trunk, count = tree.trunk, len(pixel_B)
    layer_N = np.concatenate([tree.eye + count * tree.vein, tree.eye[trunk] + 2 * count])
    path = stamps.tubes(
        layer_N,
        np.concatenate([x_N, x_N[trunk]]),
        np.concatenate([y_N, y_N[trunk]]),
        np.concatenate([radius_N, np.float32(_STREAK) * radius_N[trunk]]),
        images=3 * count,
        size=view.size,
    )
    artery_BHW, vein_BHW, streak_BHW = (torch.from_numpy(path) * view.pixel.repeat(3, 1, 1)).split(count)
    return density(artery_BHW, ARTERY).add_(density(vein_BHW, VEIN)), streak_BHW


def on_image(lesions: Lesions, view: View, *, image: int) -> stamps.Blobs:
    """Lesions in millimetres as blobs in the pixels of one image."""
    index = np.full(len(lesions.x), image, dtype=np.int64)
    x, y = view.pixels(index, lesions.x.astype(np.float32), lesions.y.astype(np.float32))
    pixel = float(view.pixel[image])
    return stamps.Blobs(
        image=index,
        x=x,
        y=y,
        radius=(lesions.radius / pixel).astype(np.float32),
        aspect=lesions.aspect.astype(np.float32),
        angle=view.directions(index, lesions.angle.astype(np.float32)),
        wave=lesions.wave.astype(np.float32),
        phase=lesions.phase.astype(np.float32),
        soft=lesions.soft.astype(np.float32),
        strength=lesions.strength.astype(np.float32),
    )


def joined(many: Sequence[stamps.Blobs]) -> stamps.Blobs:
    """Blobs of several images together."""
    names = stamps.Blobs.__dataclass_fields__
    return stamps.Blobs(**{name: np.concatenate([getattr(one, name) for one in many]) for name in names})


def lesion_streams(patients: Sequence[int], *, seed: int) -> list[np.random.Generator]:
    """A stream for the lesions of each eye."""
    return [eye_stream(p, seed=seed, eye=eye) for p in patients for eye in (0, 1)]


@dataclass(frozen=True)
class Fellow:
    """How the label of an eye depends on its fellow's: row k is the chance of each label beside label k.

    The table is symmetric, so that labels as frequent as each other in one eye are so in the other.
    """

    table: tuple[tuple[float, ...], ...]

    def labels(self, draws: Draws) -> Tensor:
        """truth_B of right, left, right, ...: one eye, either, has the patient's label, the other one by chance."""
        cumulative_KK = torch.tensor(self.table).cumsum(1)
        own_B = draws.kind_B11.flatten()
        chance_B = draws.uniform["fellow"].flatten()
        fellow_B = (chance_B[:, None] >= cumulative_KK[own_B]).sum(1).clamp(max=len(self.table) - 1)
        side_B = torch.arange(2).repeat(len(own_B) // 2)
        first_B = (draws.uniform["first"].flatten() < 0.5).long()
        return torch.where(side_B == first_B, own_B, fellow_B)

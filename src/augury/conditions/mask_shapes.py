"""New masks like those of a set, and none of them a copy: a shape model of lesions with their places and sizes.

N masks, M drawn masks, S shapes, P points of the canonical grid, D components, H height, W width. A lesion's shape is
its signed distance map about its centre in units of its radius, and what varies among shapes are its principal
components (Leventon, Grimson and Faugeras 2000); how many lesions a mask has, where and how large is drawn from the
masks of its class. Both draws are smoothed bootstraps that keep the variance (Silverman and Young 1987), which works
with 20 masks as with thousands. A mask without lesions is drawn as often as its class has one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from augury.errors import UserError

Floats = NDArray[np.float64]
GRID = 33  # points of the canonical grid on either side
REACH = 3.0  # radii from the centre to the grid's border: an ellipse nine times as long as wide has room
FAR = 1.5  # radii: a larger distance says nothing of the outline
SHARE = 0.98  # of the shapes' variance that is kept
MOST = 48  # principal components
ENOUGH = 20  # lesions that a class needs for shapes of its own; else it takes those of all classes
_TOUCHING = np.ones((3, 3), dtype=bool)  # pixels that touch at a corner are one lesion


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One component of a mask: radius (of a disc of its area) and centre as shares of the image's sides."""

    radius: float  # share of sqrt(H * W)
    down: float
    across: float
    whole: bool  # does not touch the image's border
    canonical_P: Floats


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Principal components of shapes: mean_P + code_SD * deviation_D @ axis_DP."""

    mean_P: Floats
    axis_DP: Floats
    deviation_D: Floats
    code_SD: Floats  # in units of the deviation

    def draw(self, rng: np.random.Generator) -> Floats:
        """A new canonical_P."""
        count, dims = self.code_SD.shape
        code_D = _smoothed(self.code_SD, int(rng.integers(count)), rng) if dims else np.zeros(0)
        drawn_P: Floats = self.mean_P + (code_D * self.deviation_D) @ self.axis_DP
        return drawn_P


@dataclass(frozen=True, kw_only=True)
class MaskShapes:
    """What the masks of each class are like. `fit` makes one, `draw` draws from it."""

    size: tuple[int, int]
    masks: tuple[tuple[tuple[Lesion, ...], ...], ...]  # of each class, of each mask, its lesions, the largest first
    shapes: tuple[Shapes | None, ...]  # of each class; None: the class has no lesions

    @classmethod
    def fit(cls, mask_NHW: NDArray[np.uint8], label_N: NDArray[np.int64], *, classes: int) -> MaskShapes:
        """The model of these masks (anything above 0 is lesion). UserError where all masks are empty."""
        lesions_N = [lesions(mask_HW > 0) for mask_HW in mask_NHW]
        everything = [lesion for found in lesions_N for lesion in found]
        if not everything:
            raise UserError(
                f"got {len(mask_NHW)} masks and nothing marked in any; expected some: name a set with masks"
            )
        by_class = tuple(
            tuple(found for found, label in zip(lesions_N, label_N, strict=True) if label == k) for k in range(classes)
        )
        return cls(
            size=(mask_NHW.shape[1], mask_NHW.shape[2]), masks=by_class,
            shapes=tuple(_shapes_of(found, everything) for found in by_class),
        )  # fmt: skip

    def draw(self, label_M: Sequence[int] | NDArray[np.int64], *, seed: int) -> NDArray[np.uint8]:
        """mask_MHW, 0 or 255, one of each class asked for; UserError for a class without any mask."""
        rng = np.random.default_rng(seed)
        drawn = [self._one(int(label), rng) for label in label_M]
        return np.stack(drawn) if drawn else np.zeros((0, *self.size), dtype=np.uint8)

    def _one(self, label: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        if not 0 <= label < len(self.masks) or not self.masks[label]:
            raise UserError(f"got class {label} to draw a mask of; expected one with masks to learn from; name another")
        mask_HW = np.zeros(self.size, dtype=np.uint8)
        shapes, found = self.shapes[label], self.masks[label]
        chosen = int(rng.integers(len(found)))
        if shapes is None or not found[chosen]:
            return mask_HW
        for lesion in _moved(found, chosen, rng):
            mask_HW |= drawn_on(self.size, lesion, shapes.draw(rng))
        return mask_HW


def lesions(mask_HW: NDArray[np.bool_]) -> tuple[Lesion, ...]:
    """The components of a mask, the largest first."""
    found_HW, _ = ndimage.label(mask_HW, structure=_TOUCHING)
    parts = [
        _lesion(found_HW[place] == number, place, mask_HW.shape)
        for number, place in enumerate(ndimage.find_objects(found_HW), start=1)
    ]
    return tuple(sorted(parts, key=lambda lesion: -lesion.radius))


def drawn_on(size: tuple[int, int], lesion: Lesion, canonical_P: Floats) -> NDArray[np.uint8]:
    """A shape at a lesion's place: as many pixels as its area has (at least 1), those deepest inside."""
    unit = math.sqrt(size[0] * size[1])
    radius = lesion.radius * unit
    down_H = (np.arange(size[0]) + 0.5 - lesion.down * size[0]) / radius
    across_W = (np.arange(size[1]) + 0.5 - lesion.across * size[1]) / radius
    place_2HW = np.stack(np.meshgrid(down_H, across_W, indexing="ij"))
    grid_GG = canonical_P.reshape(GRID, GRID)
    step = 2 * REACH / (GRID - 1)
    depth_HW = ndimage.map_coordinates(grid_GG, (place_2HW + REACH) / step, order=1, mode="constant", cval=2 * FAR)
    depth_HW = depth_HW + 1e-6 * np.hypot(*place_2HW)  # beyond the grid the nearest counts as the deepest
    area = max(1, min(size[0] * size[1], round(math.pi * radius**2)))
    mask_HW = np.zeros(size, dtype=np.uint8)
    mask_HW.flat[np.argsort(depth_HW, axis=None, kind="stable")[:area]] = 255
    return mask_HW


def _lesion(part_hw: NDArray[np.bool_], place: tuple[slice, slice], size: tuple[int, ...]) -> Lesion:
    area = int(part_hw.sum())
    radius = math.sqrt(area / math.pi)
    centre_2 = np.argwhere(part_hw).mean(0)
    top_left_2 = np.array([place[0].start, place[1].start])
    down, across = (centre_2 + top_left_2 + 0.5) / np.array(size)
    edges = (place[0].start, place[1].start, size[0] - place[0].stop, size[1] - place[1].stop)
    return Lesion(
        radius=radius / math.sqrt(size[0] * size[1]), down=float(down), across=float(across), whole=min(edges) > 0,
        canonical_P=_canonical(part_hw, centre_2, radius),
    )  # fmt: skip


def _canonical(part_hw: NDArray[np.bool_], centre_2: Floats, radius: float) -> Floats:
    """Signed distances, negative inside, in radii, on the canonical grid; the outline runs between pixels."""
    margin = math.ceil((FAR + 1) * radius) + 1
    padded_hw = np.pad(part_hw, margin)
    outside_hw = ndimage.distance_transform_edt(~padded_hw)
    inside_hw = ndimage.distance_transform_edt(padded_hw)
    signed_hw = np.where(padded_hw, 0.5 - inside_hw, outside_hw - 0.5) / radius
    offset_G = np.linspace(-REACH, REACH, GRID) * radius
    place_2GG = np.stack(np.meshgrid(offset_G, offset_G, indexing="ij")) + (centre_2 + margin)[:, None, None]
    read_GG = ndimage.map_coordinates(signed_hw, place_2GG, order=1, mode="constant", cval=FAR)
    canonical_P: Floats = np.clip(read_GG, -FAR, FAR).ravel()
    return canonical_P


def _shapes_of(found: Sequence[Sequence[Lesion]], everything: Sequence[Lesion]) -> Shapes | None:
    own = [lesion for part in found for lesion in part]
    if not own:
        return None
    pool = own if len(own) >= ENOUGH else list(everything)
    whole = [lesion for lesion in pool if lesion.whole]
    return _principal(np.stack([lesion.canonical_P for lesion in (whole if len(whole) >= ENOUGH else pool)]))


def _principal(canonical_SP: Floats) -> Shapes:
    mean_P = canonical_SP.mean(0)
    left_SD, value_D, axis_DP = np.linalg.svd(canonical_SP - mean_P, full_matrices=False)
    share_D = np.cumsum(value_D**2) / max(float((value_D**2).sum()), 1e-12)
    kept = min(MOST, int((value_D > 1e-9).sum()), 1 + int((share_D < SHARE).sum()))
    count = len(canonical_SP)
    deviation_D = value_D[:kept] / math.sqrt(count)
    code_SD = left_SD[:, :kept] * math.sqrt(count)
    return Shapes(mean_P=mean_P, axis_DP=axis_DP[:kept], deviation_D=deviation_D, code_SD=code_SD)


def _smoothed(value_SD: Floats, chosen: int, rng: np.random.Generator) -> Floats:
    """Near one of the values, in units of their deviation, such that mean and variance stay (Silverman 1986, 6.4)."""
    count, dims = value_SD.shape
    width = (4 / ((dims + 2) * count)) ** (1 / (dims + 4))
    mean_D, deviation_D = value_SD.mean(0), value_SD.std(0)
    noise_D = rng.standard_normal(dims) * deviation_D * width
    drawn_D: Floats = mean_D + (value_SD[chosen] - mean_D + noise_D) / math.sqrt(1 + width**2)
    return drawn_D


def _moved(found: Sequence[Sequence[Lesion]], chosen: int, rng: np.random.Generator) -> list[Lesion]:
    """The lesions of one mask at a new place and size: the largest is drawn anew, the others go along with it."""
    marked = [part for part in found if part]
    at_S3 = np.array([[math.log(part[0].radius), part[0].down, part[0].across] for part in marked])
    place = sum(bool(part) for part in found[:chosen])
    new_3, old_3 = _smoothed(at_S3, place, rng), at_S3[place]
    growth = math.exp(new_3[0] - old_3[0])
    return [
        Lesion(
            radius=lesion.radius * growth, whole=True, canonical_P=lesion.canonical_P,
            down=float(np.clip(new_3[1] + (lesion.down - old_3[1]) * growth, 0, 1)),
            across=float(np.clip(new_3[2] + (lesion.across - old_3[2]) * growth, 0, 1)),
        )
        for lesion in found[chosen]
    ]  # fmt: skip

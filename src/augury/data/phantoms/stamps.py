"""Many small things on large canvases: vessels as tubes, lesions as blobs, with exact masks and boxes. Numpy.

A thing smaller than a pixel keeps its amount (thickness times area), so that it fades as the resolution falls, as it
would in a camera. Positions are in pixels: x to the right, y down, pixel centres at whole numbers. N points or blobs,
H height, W width, k the side of a patch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_PIXEL = 0.3  # squared radius, pixels, of what a point is smeared to
_PATCHES = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377)  # half sides: few sizes, each drawn at once
_CELLS_AT_ONCE = 2**22


@dataclass(frozen=True, kw_only=True)
class Blobs:
    """Lesions with wavy elliptical outlines; each array has one entry per blob."""

    image: NDArray[np.int64]  # which canvas
    x: Floats
    y: Floats
    radius: Floats  # pixels
    aspect: Floats  # length over width
    angle: Floats  # of the long axis
    wave: Floats  # amplitude of the outline, share of the radius
    phase: Floats
    soft: Floats  # width of the edge, share of the radius
    strength: Floats  # coverage of the middle

    def __len__(self) -> int:
        return len(self.x)

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Blobs:
        """Some of the blobs."""
        return Blobs(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})


def tubes(image_N: NDArray[np.int64], x_N: Floats, y_N: Floats, radius_N: Floats, *, images: int, size: int) -> Floats:
    """path_BHW, pixels: how far light travels through round vessels, the thickest where they cross.

    Points lie along the vessels, closer than their radius or than a pixel.
    """
    seen_N = np.sqrt(radius_N**2 + np.float32(_PIXEL))
    half_N = np.floor(seen_N + 0.5)
    rim = 2 * int(half_N.max(initial=1)) + 1  # a patch that touches the image does not leave the canvas
    middle = np.float32((size - 1) / 2)
    near_N = np.maximum(np.abs(x_N - middle), np.abs(y_N - middle)) < size / 2 + half_N
    wide = size + 2 * rim
    flat = np.zeros(images * wide**2, dtype=np.float32)
    for chosen, half in _by_size(half_N):
        some = chosen[near_N[chosen]]
        column, row = np.rint(x_N[some]), np.rint(y_N[some])
        place = (image_N[some] * wide + row.astype(np.int64) + rim) * wide + column.astype(np.int64) + rim
        square, scale = seen_N[some] ** 2, 2 * (radius_N[some] / seen_N[some]) ** 2  # the cross-section's area stays
        for down in range(-half, half + 1):
            left = square - (row - y_N[some] + np.float32(down)) ** 2
            for across in range(-half, half + 1):
                depth = left - (column - x_N[some] + np.float32(across)) ** 2
                depth = scale * np.sqrt(np.maximum(depth, 0, out=depth), out=depth)
                np.maximum.at(flat, place + (down * wide + across), depth)
    return np.ascontiguousarray(flat.reshape(images, wide, wide)[:, rim : rim + size, rim : rim + size])


def blobs(
    canvas_BHW: Floats, part_BHW: NDArray[np.uint8], drawn: Blobs, *, bit: int, field_BHW: NDArray[np.bool_]
) -> list[tuple[int, tuple[int, int, int, int]]]:
    """Blobs by maximum into the canvas, their outlines into bit `bit` of the parts, within the camera's field.

    Returns (image, (x, y, width, height)) of every blob that the field shows, in order. A blob always holds the pixel
    of its centre.
    """
    height, width = canvas_BHW.shape[1:]
    found: dict[int, tuple[int, tuple[int, int, int, int]]] = {}
    reach_N = drawn.radius * np.sqrt(drawn.aspect) * (1 + 1.7 * drawn.wave) + 1.5
    order_N = np.arange(len(drawn))
    for chosen, half in _by_size(np.ceil(reach_N)):
        some = drawn.select(chosen)
        step = np.arange(-half, half + 1)
        column_N, row_N = np.rint(some.x).astype(np.int64), np.rint(some.y).astype(np.int64)
        cover_Nkk, outline_Nkk = _patches(some, column_N, row_N, step)
        place = ((some.image * height + row_N) * width + column_N)[:, None, None]
        place = place + step[None, :, None] * width + step[None, None, :]
        shown = _within(column_N, row_N, step, height=height, width=width)
        shown &= field_BHW.reshape(-1)[np.where(shown, place, 0)]
        lit = shown & (cover_Nkk > 0)
        np.maximum.at(canvas_BHW.reshape(-1), place[lit], cover_Nkk[lit])
        outline_Nkk &= shown
        np.bitwise_or.at(part_BHW.reshape(-1), place[outline_Nkk], np.uint8(1 << bit))
        for i, box in _boxes(outline_Nkk, column_N - half, row_N - half):
            found[int(order_N[chosen][i])] = int(some.image[i]), box
    return [found[i] for i in sorted(found)]


def _patches(
    some: Blobs, column_N: NDArray[np.int64], row_N: NDArray[np.int64], step: NDArray[np.int64]
) -> tuple[Floats, NDArray[np.bool_]]:
    """cover_Nkk and outline_Nkk around each blob's centre."""

    def of(values_N: Floats | NDArray[np.float64]) -> Floats:
        return values_N.astype(np.float32)[:, None, None]

    dx = of(column_N - some.x) + step.astype(np.float32)[None, None, :]
    dy = of(row_N - some.y) + step.astype(np.float32)[None, :, None]
    cosine, sine = of(np.cos(some.angle)), of(np.sin(some.angle))
    stretch = of(np.sqrt(some.aspect))
    along, across = (dx * cosine + dy * sine) / stretch, (dy * cosine - dx * sine) * stretch
    theta = np.arctan2(across, along)
    phase = of(some.phase)
    wavy = np.cos(2 * theta + phase) + 0.7 * np.cos(3 * theta - 2.3 * phase) + 0.5 * np.cos(5 * theta + 4.1 * phase)
    radius = of(some.radius)
    outline = radius * (1 + of(some.wave) * wavy)
    distance = np.sqrt(along**2 + across**2)
    small = radius**2 / (radius**2 + _PIXEL)
    edge = np.maximum(of(some.soft) * radius, 1)
    cover = np.clip((outline + 0.5 - distance) / edge, 0, 1) * of(some.strength) * small
    middle = (step == 0)[None, :, None] & (step == 0)[None, None, :]
    return cover.astype(np.float32), (distance < outline) | middle


def _by_size(half_N: Floats) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Indices of the things that fit each patch, in pieces that fit the memory."""
    size_N = np.searchsorted(_PATCHES, half_N)
    for size in np.unique(size_N):
        half = _PATCHES[min(size, len(_PATCHES) - 1)]
        chosen = np.flatnonzero(size_N == size)
        piece = max(1, _CELLS_AT_ONCE // (2 * half + 1) ** 2)
        for start in range(0, len(chosen), piece):
            yield chosen[start : start + piece], half


def _within(
    column_N: NDArray[np.int64], row_N: NDArray[np.int64], step: NDArray[np.int64], *, height: int, width: int
) -> NDArray[np.bool_]:
    column = column_N[:, None] + step
    row = row_N[:, None] + step
    return ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[:, None, :]


def _boxes(
    outline_Nkk: NDArray[np.bool_], left_N: NDArray[np.int64], top_N: NDArray[np.int64]
) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """(index, (x, y, width, height)) of the patches that show anything."""
    side = outline_Nkk.shape[-1]
    columns_Nk, rows_Nk = (np.logical_or.reduce(outline_Nkk, axis=axis) for axis in (1, 2))
    first_x, first_y = columns_Nk.argmax(1), rows_Nk.argmax(1)
    last_x, last_y = side - columns_Nk[:, ::-1].argmax(1), side - rows_Nk[:, ::-1].argmax(1)
    for i in np.flatnonzero(columns_Nk.any(1)):
        x, y = int(left_N[i] + first_x[i]), int(top_N[i] + first_y[i])
        yield int(i), (x, y, int(last_x[i] - first_x[i]), int(last_y[i] - first_y[i]))

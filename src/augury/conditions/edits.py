"""New maps from those of real images: mirrored, turned, the lesion moved, swapped or drawn anew.

B batch, N images of the pool, H height, W width. Edges are edited before the contour of the mask is added to them, so
that an old outline does not stay behind. Every edit takes and gives a `Steer`; the table is `EDITS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from augury.conditions.joint import Moves, Placement, moved_maps
from augury.conditions.maps import box_map, boxes_of
from augury.conditions.mask_shapes import MaskShapes
from augury.errors import UserError

TRIES = 32
ABOUT = 3  # pixels about a lesion that go with it: its own edges lie there


@dataclass(frozen=True, kw_only=True)
class Steer:
    """What steers a batch: maps float32 in [0, 1], each B x H x W or None, and which image of the set each is of."""

    label_B: Tensor  # int64, from 0
    place_B: Tensor  # positions in the set, int64
    edge_BHW: Tensor | None = None  # without contours
    mask_BHW: Tensor | None = None
    box_BHW: Tensor | None = None

    def each(self, change: Callable[[str, Tensor], Tensor]) -> Steer:
        """With every map changed; `change` is told its name."""
        maps = {"edges": self.edge_BHW, "mask": self.mask_BHW, "boxes": self.box_BHW}
        changed = {name: None if value is None else change(name, value) for name, value in maps.items()}
        return replace(self, edge_BHW=changed["edges"], mask_BHW=changed["mask"], box_BHW=changed["boxes"])

    def masks(self, edit: str) -> Tensor:
        """mask_BHW; UserError where there are none, which `edit` needs."""
        if self.mask_BHW is None:
            raise UserError(
                f"--edit got {edit}, and the images of --like have no masks; expected masks, by which a lesion is "
                "known; use mirror or rotate, or name a set with masks"
            )
        return self.mask_BHW


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Images of the set (or some of many): where swapped lesions come from, and what masks are like."""

    whole: Steer  # of N images
    shapes: MaskShapes | None = None


Edit = Callable[[Steer, Pool, torch.Generator], Steer]


def mirror(steer: Steer, pool: Pool, generator: torch.Generator) -> Steer:  # noqa: ARG001
    """Left and right exchanged."""
    return steer.each(lambda _, map_BHW: map_BHW.flip(2))


def rotate(steer: Steer, pool: Pool, generator: torch.Generator) -> Steer:  # noqa: ARG001
    """Turned by up to 20 degrees and cropped by 0.75 to 1.05, all maps alike (arXiv 2310.12868)."""
    placed = Placement.draw(len(steer.label_B), Moves(), generator=generator)
    return steer.each(lambda name, map_BHW: moved_maps(map_BHW[:, None], (name,), placed)[:, 0])


def move(steer: Steer, pool: Pool, generator: torch.Generator) -> Steer:  # noqa: ARG001
    """The block about the lesion changes places with another of its size (Wang et al., arXiv 2012.01879)."""
    mask_BHW = steer.masks("move")
    places = [_block(mask_HW) for mask_HW in mask_BHW]
    size = (mask_BHW.shape[1], mask_BHW.shape[2])
    targets = [block and _anywhere(block, size, generator) for block in places]

    def change(_: str, map_BHW: Tensor) -> Tensor:
        moved_BHW = map_BHW.clone()
        for row, (old, new) in enumerate(zip(places, targets, strict=True)):
            if old is not None and new is not None:
                behind_hw = torch.zeros_like(map_BHW[row, old[0], old[1]])
                if not _meet(old, new):  # else a part of the lesion would stay behind
                    behind_hw = map_BHW[row, new[0], new[1]]
                moved_BHW[row, old[0], old[1]] = behind_hw
                moved_BHW[row, new[0], new[1]] = map_BHW[row, old[0], old[1]]
        return moved_BHW

    return steer.each(change)


def swap(steer: Steer, pool: Pool, generator: torch.Generator) -> Steer:
    """The lesion gives way to that of another image of its class, at that one's place, with the edges about it."""
    partner_B = _partners(steer, pool, generator)
    other = pool.whole.each(lambda _, map_NHW: map_NHW[partner_B.clamp_min(0)])
    own_BHW, other_BHW = _grown(steer.masks("swap")), _grown(other.masks("swap"))
    changed_B11 = (partner_B >= 0)[:, None, None]
    given = {"edges": other.edge_BHW, "mask": other.mask_BHW, "boxes": other.box_BHW}

    def change(name: str, map_BHW: Tensor) -> Tensor:
        given_BHW = given[name]
        assert given_BHW is not None, "the pool has every map that a batch of it has"
        without_BHW = torch.where(own_BHW, 0.0, map_BHW)
        return torch.where(changed_B11, torch.where(other_BHW, given_BHW, without_BHW), map_BHW)

    return steer.each(change)


def new(steer: Steer, pool: Pool, generator: torch.Generator) -> Steer:
    """The lesion gives way to one drawn from the shape model; inside it no edge is said, since none is known."""
    mask_BHW = steer.masks("new")
    if pool.shapes is None:
        raise UserError("--edit got new, and the images of --like have no mask with anything in it; name other images")
    seed = int(torch.randint(2**31, (1,), generator=generator))
    drawn_BHW = torch.from_numpy(pool.shapes.draw(steer.label_B.numpy(), seed=seed)).float() / 255
    silent_BHW = _grown(mask_BHW) | _grown(drawn_BHW)
    edge_BHW = None if steer.edge_BHW is None else torch.where(silent_BHW, 0.0, steer.edge_BHW)
    return replace(steer, edge_BHW=edge_BHW, mask_BHW=drawn_BHW)


def _none(steer: Steer, pool: Pool, generator: torch.Generator) -> Steer:  # noqa: ARG001
    return steer


EDITS: dict[str, Edit] = {"none": _none, "mirror": mirror, "rotate": rotate, "move": move, "swap": swap, "new": new}


def parsed(text: str) -> tuple[tuple[str, ...], ...]:
    """What the images get in turn, each one or several edits in order: "mirror,rotate+new".

    >>> parsed("none,mirror,rotate+new")
    (('none',), ('mirror',), ('rotate', 'new'))
    """
    turns = tuple(tuple(name.strip() for name in part.split("+")) for part in text.split(","))
    strange = [name for turn in turns for name in turn if name not in EDITS]
    if strange:
        raise UserError(
            f"--edit got {strange[0]!r}; expected some of {', '.join(EDITS)}, with + between those that go together: "
            "write for example --edit none,mirror,rotate+new"
        )
    return turns


def edited(steer: Steer, turns: tuple[tuple[str, ...], ...], pool: Pool, *, first: int, seed: int) -> Steer:
    """The batch with the edits of each image's turn; `first` is the first image's place in the whole drawing.

    An image's edit depends on its place and the seed alone, not on what else is in its batch.
    """
    parts = []
    for row in range(len(steer.label_B)):
        one = replace(
            steer.each(lambda _, map_BHW, row=row: map_BHW[row : row + 1]),  # type: ignore[misc]
            label_B=steer.label_B[row : row + 1], place_B=steer.place_B[row : row + 1],
        )  # fmt: skip
        generator = torch.Generator().manual_seed((seed * 1_000_003 + first + row) % 2**63)
        for name in turns[(first + row) % len(turns)]:
            one = EDITS[name](one, pool, generator)
        parts.append(one if turns[(first + row) % len(turns)] == ("none",) else _upright(one))
    return replace(
        steer, edge_BHW=_joined([one.edge_BHW for one in parts]), mask_BHW=_joined([one.mask_BHW for one in parts]),
        box_BHW=_joined([one.box_BHW for one in parts]),
    )  # fmt: skip


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    there = [part for part in parts if part is not None]
    return torch.cat(there) if there else None


def _upright(steer: Steer) -> Steer:
    """With the boxes of what is marked now: a turned box is no box, and a new lesion has its own."""
    if steer.box_BHW is None:
        return steer
    marked_BHW = steer.box_BHW if steer.mask_BHW is None else steer.mask_BHW
    size = (marked_BHW.shape[1], marked_BHW.shape[2])
    boxes = [box_map(boxes_of(marked_HW.numpy() >= 0.5), size=size) for marked_HW in marked_BHW]
    return replace(steer, box_BHW=torch.from_numpy(np.stack(boxes)))


Block = tuple[slice, slice]


def _block(mask_HW: Tensor) -> Block | None:
    """The rows and columns about what is marked; None for nothing."""
    marked = torch.nonzero(mask_HW >= 0.5)
    if len(marked) == 0:
        return None
    (top, left), (bottom, right) = marked.amin(0).tolist(), marked.amax(0).tolist()
    height, width = mask_HW.shape
    return (
        slice(max(0, top - ABOUT), min(height, bottom + ABOUT + 1)),
        slice(max(0, left - ABOUT), min(width, right + ABOUT + 1)),
    )


def _anywhere(block: Block, size: tuple[int, int], generator: torch.Generator) -> Block:
    """A block of the same size, where it fits; one that does not meet the first, if `TRIES` draws find one."""
    down, across = (part.stop - part.start for part in block)
    for _ in range(TRIES):
        top = int(torch.randint(size[0] - down + 1, (1,), generator=generator))
        left = int(torch.randint(size[1] - across + 1, (1,), generator=generator))
        drawn = slice(top, top + down), slice(left, left + across)
        if not _meet(block, drawn):
            break
    return drawn


def _meet(one: Block, other: Block) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))


def _partners(steer: Steer, pool: Pool, generator: torch.Generator) -> Tensor:
    """For each the row of another image in the pool, of its class and with a lesion; -1 where there is none."""
    marked_N = pool.whole.masks("swap").amax((1, 2)) > 0
    rows = []
    for place, label in zip(steer.place_B.tolist(), steer.label_B.tolist(), strict=True):
        fit_N = marked_N & (pool.whole.label_B == label) & (pool.whole.place_B != place)
        others = torch.nonzero(fit_N).flatten()
        rows.append(int(others[torch.randint(len(others), (1,), generator=generator)]) if len(others) else -1)
    return torch.tensor(rows, dtype=torch.int64)


def _grown(mask_BHW: Tensor) -> Tensor:
    """bool: what is marked and `ABOUT` pixels about it."""
    return F.max_pool2d(mask_BHW[:, None], 2 * ABOUT + 1, 1, ABOUT)[:, 0] >= 0.5


def as_steer(
    label_N: NDArray[np.int64],
    place_N: NDArray[np.int64],
    *,
    edge_NHW: NDArray[np.uint8] | None,
    mask_NHW: NDArray[np.uint8] | None,
    box_NHW: NDArray[np.uint8] | None,
) -> Steer:
    """Maps as they are stored (255 meaning 1)."""

    def unit(map_NHW: NDArray[np.uint8] | None) -> Tensor | None:
        return None if map_NHW is None else torch.from_numpy(np.asarray(map_NHW, dtype=np.float32) / 255)

    return Steer(
        label_B=torch.from_numpy(label_N), place_B=torch.from_numpy(place_N), edge_BHW=unit(edge_NHW),
        mask_BHW=unit(mask_NHW), box_BHW=unit(box_NHW),
    )  # fmt: skip

"""Lesions brought onto photographs, with their masks and boxes. B images, H height, W width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augury.data.phantoms import stamps
from augury.data.phantoms.fundus.eyes import joined, on_image
from augury.data.phantoms.fundus.lesions import Lesions
from augury.data.phantoms.fundus.view import View
from augury.data.sample import Box


class Drawing:
    """Masks and boxes as they accumulate while kind after kind is drawn."""

    def __init__(self, view: View, field_BHW: NDArray[np.bool_], parts: tuple[str, ...]) -> None:
        self.view, self.field_BHW, self.parts = view, field_BHW, parts
        self.part_BHW = np.zeros(field_BHW.shape, dtype=np.uint8)
        self.boxes: list[list[Box]] = [[] for _ in field_BHW]

    def cover(self, plans: Sequence[Mapping[str, Lesions]], part: str) -> Tensor:
        """coverage_BHW of one kind of lesion."""
        canvas_BHW = np.zeros(self.field_BHW.shape, dtype=np.float32)
        drawn = [on_image(plan[part], self.view, image=i) for i, plan in enumerate(plans) if part in plan]
        if drawn:
            bit = self.parts.index(part)
            found = stamps.blobs(canvas_BHW, self.part_BHW, joined(drawn), bit=bit, field_BHW=self.field_BHW)
            for image, (x, y, width, height) in found:
                self.boxes[image].append(Box(x=x, y=y, width=width, height=height, label=part))
        return torch.from_numpy(canvas_BHW)

    def spots(self, spots: Sequence[Lesions]) -> Tensor:
        """coverage_BHW of what is no lesion: no mask, no box."""
        canvas_BHW = np.zeros(self.field_BHW.shape, dtype=np.float32)
        drawn = joined([on_image(some, self.view, image=i) for i, some in enumerate(spots)])
        stamps.blobs(canvas_BHW, np.zeros_like(self.part_BHW), drawn, bit=0, field_BHW=self.field_BHW)
        return torch.from_numpy(canvas_BHW)

    def new_vessels(self, tufts: Sequence[tuple[NDArray[np.float64], ...] | None]) -> Tensor:
        """path_BHW, mm, through the vessels (x, y, radius) of each image's areas of new vessels."""
        points = []
        for i, tuft in enumerate(tufts):
            if tuft is not None:
                x, y, radius = (values.astype(np.float32) for values in tuft)
                index = np.full(len(x), i, dtype=np.int64)
                points.append((index, *self.view.pixels(index, x, y), radius / float(self.view.pixel[i])))
        if not points:
            return torch.zeros(self.field_BHW.shape)
        index_N, x_N, y_N, radius_N = (np.concatenate(column) for column in zip(*points, strict=True))
        path_BHW = stamps.tubes(index_N, x_N, y_N, radius_N, images=len(tufts), size=self.view.size)
        return torch.from_numpy(path_BHW) * self.view.pixel

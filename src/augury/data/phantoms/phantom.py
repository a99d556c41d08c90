"""Images whose truth is known exactly. N images, H height, W width, C channels (1 or 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augury.data.sample import Box


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """Rendered images and everything that is true of them.

    Bit i of `part_NHW` is set where `parts[i]` is, bit len(parts) + i where `landmarks[i]` is: up to eight in all,
    which may overlap. Parts belong to the disease, landmarks to the anatomy.
    """

    image_NHWC: NDArray[np.uint8]
    part_NHW: NDArray[np.uint8]
    boxes: tuple[tuple[Box, ...], ...]  # of each image, a box for every lesion, tight around its own pixels
    label_N: NDArray[np.int64]  # as recorded: wrong where label noise struck
    truth_N: NDArray[np.int64]  # as rendered
    patient_N: NDArray[np.int64]
    scanner_N: NDArray[np.int64]
    classes: tuple[str, ...]
    parts: tuple[str, ...]
    landmarks: tuple[str, ...] = ()
    eyes: tuple[str, ...] = ()  # "left" or "right" of each image; empty where the organ is not an eye
    modalities: tuple[str, ...] = ()  # of each image; empty where there is one

    def __len__(self) -> int:
        return len(self.image_NHWC)

    @property
    def image_NHW(self) -> NDArray[np.uint8]:
        """The pixels of a kind that is grey; ValueError for colour."""
        if self.image_NHWC.shape[-1] != 1:
            raise ValueError(f"got images of {self.image_NHWC.shape[-1]} channels, expected 1: use image_NHWC")
        return self.image_NHWC[..., 0]

    @property
    def mask_NHW(self) -> NDArray[np.bool_]:
        """All lesions together."""
        mask_NHW: NDArray[np.bool_] = (self.part_NHW & ((1 << len(self.parts)) - 1)) != 0
        return mask_NHW

    def part(self, name: str) -> NDArray[np.bool_]:
        """mask_NHW of one part or landmark; ValueError for a name that this kind does not have."""
        mask_NHW: NDArray[np.bool_] = (self.part_NHW >> (*self.parts, *self.landmarks).index(name)) & 1 != 0
        return mask_NHW

    def first(self, n: int) -> Phantom:
        """The first n images."""
        return Phantom(
            image_NHWC=self.image_NHWC[:n],
            part_NHW=self.part_NHW[:n],
            boxes=self.boxes[:n],
            label_N=self.label_N[:n],
            truth_N=self.truth_N[:n],
            patient_N=self.patient_N[:n],
            scanner_N=self.scanner_N[:n],
            classes=self.classes,
            parts=self.parts,
            landmarks=self.landmarks,
            eyes=self.eyes[:n],
            modalities=self.modalities[:n],
        )


def joined(phantoms: Sequence[Phantom]) -> Phantom:
    """The images of several phantoms of one kind, in order."""
    return Phantom(
        image_NHWC=np.concatenate([one.image_NHWC for one in phantoms]),
        part_NHW=np.concatenate([one.part_NHW for one in phantoms]),
        boxes=tuple(boxes for one in phantoms for boxes in one.boxes),
        label_N=np.concatenate([one.label_N for one in phantoms]),
        truth_N=np.concatenate([one.truth_N for one in phantoms]),
        patient_N=np.concatenate([one.patient_N for one in phantoms]),
        scanner_N=np.concatenate([one.scanner_N for one in phantoms]),
        classes=phantoms[0].classes,
        parts=phantoms[0].parts,
        landmarks=phantoms[0].landmarks,
        eyes=tuple(eye for one in phantoms for eye in one.eyes),
        modalities=tuple(modality for one in phantoms for modality in one.modalities),
    )


def box_around(mask_HW: NDArray[np.bool_], *, label: str) -> tuple[Box, ...]:
    """The smallest box that holds the whole mask; none for an empty one."""
    rows, columns = np.flatnonzero(mask_HW.any(1)), np.flatnonzero(mask_HW.any(0))
    if not len(rows):
        return ()
    x, y = float(columns[0]), float(rows[0])
    return (Box(x=x, y=y, width=float(columns[-1]) - x + 1, height=float(rows[-1]) - y + 1, label=label),)

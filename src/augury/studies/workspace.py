"""What every step of a study may read. N images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.data import provenance
from augury.data.provenance import Artefact
from augury.data.sample import IntArray, Manifest
from augury.studies.graph import Step
from augury.studies.partition import Partition
from augury.studies.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """What every step of a study may read; small enough to be sent to another process."""

    plan: Plan
    manifest: Manifest  # the samples that take part
    pixels: Path  # of the store, in the manifest's order
    partitions: tuple[Partition, ...]
    artefacts: Path
    device: str
    weights: Path | None = None
    maps: Path | None = None  # map_NKHW in the manifest's order, its K as the plan names them; None: there are none

    def folder(self, step: Step) -> Path:
        """Where the step's artefact stands when complete."""
        return self.artefacts / step.name

    def parent(self, kind: str, digest: str) -> Artefact:
        """A parent artefact."""
        return provenance.read(self.artefacts / f"{kind}-{digest}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """What a label stands for: the classes, and "" for images without one where there are such."""
        unknown = ("",) if (self.manifest.label_N < 0).any() else ()
        return (*self.manifest.classes, *unknown)

    def labels(self, index_n: IntArray) -> IntArray:
        """The place among the kinds of each of these samples."""
        label_n = self.manifest.label_N[index_n]
        return np.where(label_n >= 0, label_n, len(self.manifest.classes))

    def pairs(self, index_n: IntArray) -> Pairs:
        """Real images with their labels and maps."""
        pixels_NCHW = np.load(self.pixels, mmap_mode="r")
        return Pairs(
            pixels_NCHW=np.ascontiguousarray(pixels_NCHW[index_n]),
            condition=Condition(label_B=torch.from_numpy(self.labels(index_n))),
            classes=len(self.kinds),
            group_N=torch.from_numpy(self.manifest.group_N[index_n]),
            map_NKHW=None if self.maps is None else np.load(self.maps, mmap_mode="r")[index_n],
            maps=() if self.maps is None else self.plan.maps,
        )

    def shape(self) -> Shape:
        """What a generator of this study draws."""
        height, width = self.plan.size
        return Shape(channels=self.plan.channels, height=height, width=width, classes=len(self.kinds))

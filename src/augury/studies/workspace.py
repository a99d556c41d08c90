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
    manifest: Manifest  # the labelled samples
    pixels: Path  # of the store, in the manifest's order
    partitions: tuple[Partition, ...]
    artefacts: Path
    device: str
    weights: Path | None = None

    def folder(self, step: Step) -> Path:
        """Where the step's artefact stands when complete."""
        return self.artefacts / step.name

    def parent(self, kind: str, digest: str) -> Artefact:
        """A parent artefact."""
        return provenance.read(self.artefacts / f"{kind}-{digest}")

    def pairs(self, index_n: IntArray) -> Pairs:
        """Real images with their labels."""
        pixels_NCHW = np.load(self.pixels, mmap_mode="r")
        label_n = torch.from_numpy(self.manifest.label_N[index_n])
        return Pairs(
            pixels_NCHW=np.ascontiguousarray(pixels_NCHW[index_n]),
            condition=Condition(label_B=label_n),
            classes=len(self.manifest.classes),
            group_N=torch.from_numpy(self.manifest.group_N[index_n]),
        )

    def shape(self) -> Shape:
        """What a generator of this study draws."""
        height, width = self.plan.size
        return Shape(channels=self.plan.channels, height=height, width=width, classes=len(self.manifest.classes))

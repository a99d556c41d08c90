"""The phantom `brain`: MRI-like axial slices of four classes. B slices, H height, W width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from augury.data.phantoms.brain import anatomy, lesions
from augury.data.phantoms.brain.quantities import PLAN
from augury.data.phantoms.brain.scanner import SCANNERS, acquire
from augury.data.phantoms.patients import Draws, draw, one_of, pixel_noise, recorded
from augury.data.phantoms.phantom import Phantom, box_around
from augury.data.phantoms.population import Population


@dataclass(frozen=True, kw_only=True)
class BrainConfig(Population):
    """Slices of heads with a glioma, a meningioma, a pituitary tumour or none."""

    slices_per_patient: int = 4

    kind: ClassVar[str] = "brain"
    revision: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = ("glioma", "meningioma", "no_tumor", "pituitary")
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "size": (16, 512),
        "difficulty": (0, 1),
        "slices_per_patient": (1, 64),
        "scanners": (1, len(SCANNERS)),
        "label_noise": (0, 1),
    }

    @property
    def images_per_patient(self) -> int:
        """Slices."""
        return self.slices_per_patient

    def draw(self, patients: Sequence[int], *, seed: int) -> Phantom:
        """All slices of these patients; the mask is the tumour with its core, without the swelling around it."""
        slices = self.slices_per_patient
        draws = draw(patients, PLAN, seed=seed, images=slices, classes=len(self.classes))
        noise_B2HW = pixel_noise(patients, seed=seed, images=slices, channels=2, size=self.size)
        image_BHW, mask_BHW = self._slices(draws, noise_B2HW)
        truth_B = draws.kind_B11.flatten()
        names = [self.classes[kind] for kind in truth_B.tolist()]
        return Phantom(
            image_NHWC=image_BHW.unsqueeze(-1).numpy(),
            part_NHW=mask_BHW.to(torch.uint8).numpy(),
            boxes=tuple(box_around(mask, label=name) for mask, name in zip(mask_BHW.numpy(), names, strict=True)),
            label_N=recorded(truth_B, draws, noise=self.label_noise, classes=len(self.classes)).numpy(),
            truth_N=truth_B.numpy(),
            patient_N=np.repeat(np.asarray(patients, dtype=np.int64), slices),
            scanner_N=one_of(draws, "scanner", self.scanners).flatten().numpy(),
            classes=self.classes,
            parts=("tumour",),
        )

    def _slices(self, draws: Draws, noise_B2HW: Tensor) -> tuple[Tensor, Tensor]:
        """image_BHW as bytes and mask_BHW."""
        lesion = lesions.plan(draws, difficulty=self.difficulty)
        head = anatomy.place(draws, z=lesion.z, push=lesion.push(shown=self.lesions), size=self.size)
        intensity_BHW = anatomy.render(head, draws)
        intensity_BHW = lesions.mimics(intensity_BHW, head, draws, difficulty=self.difficulty)
        outline_BHW = lesions.distance(lesion, head, draws)
        if self.lesions:
            intensity_BHW = lesions.render(intensity_BHW, lesion, outline_BHW, head=head)
        strength = 0.4 + 0.6 * self.difficulty
        image_BHW = acquire(intensity_BHW, draws, noise_B2HW, scanners=self.scanners, strength=strength)
        return (image_BHW * 255).round_().to(torch.uint8), (outline_BHW < 0) & self.lesions

"""The phantom `brain`: MRI-like axial slices of four classes. B slices, H height, W width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from augury.data.phantoms.brain import anatomy, lesions
from augury.data.phantoms.brain.quantities import PLAN
from augury.data.phantoms.brain.scanner import SCANNERS, acquire
from augury.data.phantoms.grey import grey_phantom
from augury.data.phantoms.patients import Draws, draw, pixel_noise
from augury.data.phantoms.phantom import Phantom
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
        return grey_phantom(self, draws, patients=patients, image_BHW=image_BHW, mask_BHW=mask_BHW, part="tumour")

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

"""The phantom `breast`: B-mode ultrasound of a benign mass, a malignant one or none. B images, H height, W width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from augury.data.phantoms.breast import lesions, tissue
from augury.data.phantoms.breast.quantities import PLAN
from augury.data.phantoms.breast.scanner import MACHINES, acquire
from augury.data.phantoms.grey import grey_phantom
from augury.data.phantoms.patients import Draws, draw, pixel_noise
from augury.data.phantoms.phantom import Phantom
from augury.data.phantoms.population import Population


@dataclass(frozen=True, kw_only=True)
class BreastConfig(Population):
    """Views of breasts; a patient's views show the same mass in the same breast, cut elsewhere."""

    views_per_patient: int = 2

    kind: ClassVar[str] = "breast"
    revision: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = ("benign", "malignant", "normal")
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "size": (16, 1024),
        "difficulty": (0, 1),
        "views_per_patient": (1, 64),
        "scanners": (1, len(MACHINES)),
        "label_noise": (0, 1),
    }

    @property
    def images_per_patient(self) -> int:
        """Views."""
        return self.views_per_patient

    def draw(self, patients: Sequence[int], *, seed: int) -> Phantom:
        """All views of these patients; the mask is the mass with its spicules, without halo and shadows."""
        views = self.views_per_patient
        draws = draw(patients, PLAN, seed=seed, images=views, classes=len(self.classes))
        noise_B4HW = pixel_noise(patients, seed=seed, images=views, channels=4, size=self.size)
        image_BHW, mask_BHW = self._views(draws, noise_B4HW)
        return grey_phantom(self, draws, patients=patients, image_BHW=image_BHW, mask_BHW=mask_BHW, part="mass")

    def _views(self, draws: Draws, noise_B4HW: Tensor) -> tuple[Tensor, Tensor]:
        """image_BHW as bytes and mask_BHW."""
        section = tissue.section(draws, size=self.size, difficulty=self.difficulty)
        mask_BHW = torch.zeros(section.echo.shape, dtype=torch.bool)
        if self.lesions:
            mass = lesions.plan(draws, section, difficulty=self.difficulty)
            mask_BHW = lesions.insert(section, mass, draws) < 0
        image_BHW = acquire(section, draws, noise_B4HW, scanners=self.scanners)
        return (image_BHW * 255).round_().to(torch.uint8), mask_BHW

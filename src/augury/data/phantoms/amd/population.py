"""The phantom `amd`: a colour photograph and OCT B-scans of both eyes, macular degeneration. B images, E eyes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augury.data.phantoms.amd import lesions, scan
from augury.data.phantoms.amd.photograph import photographs
from augury.data.phantoms.amd.quantities import PLAN
from augury.data.phantoms.fundus.camera import CAMERAS
from augury.data.phantoms.fundus.eyes import Fellow, lesion_streams
from augury.data.phantoms.patients import draw, one_of, pixel_noise, recorded
from augury.data.phantoms.phantom import Phantom
from augury.data.phantoms.population import Population
from augury.data.sample import Box

FELLOW = Fellow((
    (0.70, 0.10, 0.12, 0.08),
    (0.10, 0.65, 0.03, 0.22),
    (0.12, 0.03, 0.85, 0.00),
    (0.08, 0.22, 0.00, 0.70),
))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AmdConfig(Population):
    """Both eyes of a patient: of each, one photograph and some B-scans of the same macula; every eye has its class."""

    scans_per_eye: int = 2

    kind: ClassVar[str] = "amd"
    revision: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = ("normal", "dry", "PCV", "wet")
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "size": (32, 1024),
        "difficulty": (0, 1),
        "scans_per_eye": (1, 32),
        "scanners": (1, len(CAMERAS)),
        "label_noise": (0, 1),
    }

    @property
    def images_per_patient(self) -> int:
        """Of two eyes, a photograph and the B-scans."""
        return 2 * (1 + self.scans_per_eye)

    def draw(self, patients: Sequence[int], *, seed: int) -> Phantom:
        """All images of these patients, eye by eye, the photograph first; a grey B-scan has three equal channels."""
        each, total = 1 + self.scans_per_eye, self.images_per_patient
        draws = draw(patients, PLAN, seed=seed, images=total, classes=len(self.classes))
        image_B = torch.arange(total * len(patients))
        colour_E, grey_B = image_B[::each], image_B[image_B % each > 0]
        truth_E = FELLOW.labels(draws.select(colour_E))
        rngs = lesion_streams(patients, seed=seed)
        diseases = [
            lesions.plan(rng, kind=int(kind), difficulty=self.difficulty)
            for rng, kind in zip(rngs, truth_E, strict=True)
        ]
        aim_E = torch.tensor([lesions.aim(one) for one in diseases], dtype=torch.float32)
        if not self.lesions:
            diseases = [lesions.hidden(one) for one in diseases]
        noise_B4HW = pixel_noise(patients, seed=seed, images=total, channels=4, size=self.size)
        index_B11 = one_of(draws, "scanner", self.scanners)
        seen = photographs(
            patients, draws.select(colour_E), diseases, noise_B4HW[colour_E, :3], index_B11=index_B11[colour_E],
            difficulty=self.difficulty, seed=seed,
        )  # fmt: skip
        cut = scan.scans(
            draws.select(grey_B), diseases, aim_E, truth_E.repeat_interleave(self.scans_per_eye).tolist(),
            noise_B4HW[grey_B],
            index_B11=index_B11[grey_B], nasal_B11=_nasal(grey_B // each), scans_per_eye=self.scans_per_eye,
            difficulty=self.difficulty,
        )  # fmt: skip
        image_NHWC, part_NHW, boxes = _interleaved(seen, cut, colour_E, grey_B)
        noisy_E = recorded(truth_E, draws.select(colour_E), noise=self.label_noise, classes=len(self.classes))
        return Phantom(
            image_NHWC=image_NHWC,
            part_NHW=part_NHW,
            boxes=boxes,
            label_N=noisy_E.repeat_interleave(each).numpy(),
            truth_N=truth_E.repeat_interleave(each).numpy(),
            patient_N=np.repeat(np.asarray(patients, dtype=np.int64), total),
            scanner_N=index_B11.flatten().numpy(),
            classes=self.classes,
            parts=lesions.PARTS,
            landmarks=("od",),
            eyes=(("right",) * each + ("left",) * each) * len(patients),
            modalities=("cfp", *("oct",) * self.scans_per_eye) * (2 * len(patients)),
        )


Drawn = tuple[Tensor, NDArray[np.uint8], list[list[Box]]]


def _nasal(eye_B: Tensor) -> Tensor:
    return 1.0 - 2.0 * (eye_B % 2).view(-1, 1, 1)


def _interleaved(
    seen: Drawn, cut: Drawn, colour_E: Tensor, grey_B: Tensor
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], tuple[tuple[Box, ...], ...]]:
    """Photographs and B-scans in the order of the patient's images."""
    size, total = seen[0].shape[-1], len(colour_E) + len(grey_B)
    image_NHWC = np.empty((total, size, size, 3), dtype=np.uint8)
    part_NHW = np.empty((total, size, size), dtype=np.uint8)
    image_NHWC[colour_E] = (seen[0] * 255).round_().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    image_NHWC[grey_B] = (cut[0] * 255).round_().to(torch.uint8).unsqueeze(-1).numpy()
    part_NHW[colour_E], part_NHW[grey_B] = seen[1], cut[1]
    boxes: list[tuple[Box, ...]] = [()] * total
    for index_N, found in ((colour_E, seen[2]), (grey_B, cut[2])):
        for i, some in zip(index_N.tolist(), found, strict=True):
            boxes[i] = tuple(some)
    return image_NHWC, part_NHW, tuple(boxes)

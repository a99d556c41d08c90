"""The phantom `fundus`: colour photographs of both eyes, diabetic retinopathy 0 to 4. B images, H height, W width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augury.data.phantoms.fundus import camera, lesions, retina
from augury.data.phantoms.fundus.drawing import Drawing
from augury.data.phantoms.fundus.eyes import Fellow, blood, lesion_streams, of_eye, trees
from augury.data.phantoms.fundus.quantities import EYES, PLAN
from augury.data.phantoms.fundus.vessels import Tree
from augury.data.phantoms.fundus.view import View, aimed
from augury.data.phantoms.patients import Draws, draw, one_of, pixel_noise, recorded
from augury.data.phantoms.phantom import Phantom
from augury.data.phantoms.population import Population
from augury.data.sample import Box

# As often alike as the pairs of EyePACS: about three in four (measured, docs/phantoms.md).
FELLOW = Fellow((
    (0.85, 0.12, 0.03, 0.00, 0.00),
    (0.12, 0.70, 0.15, 0.03, 0.00),
    (0.03, 0.15, 0.66, 0.13, 0.03),
    (0.00, 0.03, 0.13, 0.70, 0.14),
    (0.00, 0.00, 0.03, 0.14, 0.83),
))  # fmt: skip
_BLOOD: dict[str, retina.Colour] = {"ma": (0.30, 0.85, 0.75), "he": (0.40, 1.15, 1.05)}
_DEPOSIT: dict[str, retina.Colour] = {"ex": (1.0, 0.86, 0.42), "se": (0.95, 0.88, 0.66)}
_NEW_VESSELS: retina.Colour = (1.2, 6.5, 5.5)
_FIBRES: retina.Colour = (0.88, 0.74, 0.55)


@dataclass(frozen=True, kw_only=True)
class FundusConfig(Population):
    """Both eyes of a patient, a photograph each; every eye has its own grade."""

    size: int = 256

    kind: ClassVar[str] = "fundus"
    revision: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = ("0", "1", "2", "3", "4")
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "size": (32, 2048),
        "difficulty": (0, 1),
        "scanners": (1, len(camera.CAMERAS)),
        "label_noise": (0, 1),
    }

    @property
    def images_per_patient(self) -> int:
        """Eyes."""
        return 2

    def draw(self, patients: Sequence[int], *, seed: int) -> Phantom:
        """Both eyes of these patients; masks and boxes of every lesion that the camera's field shows."""
        draws = draw(patients, PLAN, seed=seed, images=2, classes=len(self.classes))
        truth_B = FELLOW.labels(draws)
        index_B11 = one_of(draws, "scanner", self.scanners)
        nasal_B11 = torch.tensor([1.0, -1.0]).repeat(len(patients)).view(-1, 1, 1)
        side_mm = camera.of("field", index_B11) / camera.of("circle", index_B11)
        view = aimed(draws, side_mm=side_mm, nasal=nasal_B11, size=self.size)
        field_BHW = camera.shown(camera.field_of_view(view, index_B11))
        reflectance_B3HW, part_BHW, boxes = self._eyes(patients, draws, view, truth_B, field_BHW=field_BHW, seed=seed)
        noise_B3HW = pixel_noise(patients, seed=seed, images=2, channels=3, size=self.size)
        strength = 0.3 + 1.2 * self.difficulty
        image_B3HW = camera.photograph(
            reflectance_B3HW, draws, view, noise_B3HW, index_B11=index_B11, strength=strength
        )
        noisy_B = recorded(truth_B, draws, noise=self.label_noise, classes=len(self.classes), ordered=True)
        return Phantom(
            image_NHWC=(image_B3HW * 255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy(),
            part_NHW=part_BHW,
            boxes=boxes,
            label_N=noisy_B.numpy(),
            truth_N=truth_B.numpy(),
            patient_N=np.repeat(np.asarray(patients, dtype=np.int64), 2),
            scanner_N=index_B11.flatten().numpy(),
            classes=self.classes,
            parts=lesions.PARTS,
            landmarks=("od",),
            eyes=EYES * len(patients),
        )

    def _eyes(
        self,
        patients: Sequence[int],
        draws: Draws,
        view: View,
        truth_B: Tensor,
        *,
        field_BHW: NDArray[np.bool_],
        seed: int,
    ) -> tuple[Tensor, NDArray[np.uint8], tuple[tuple[Box, ...], ...]]:
        """What the retinas reflect, with lesions and look-alikes; their masks and boxes."""
        x, y = view.retina()
        canvas_B3HW = retina.background(draws, view, x, y)
        beading_B = (draws.uniform["beading"].flatten() * 0.5 * (truth_B >= 3) * self.lesions).numpy()
        tree = trees(patients, draws, camera.finest(self.size), seed=seed, beading_B=beading_B)
        drawing = Drawing(view, field_BHW, lesions.PARTS)
        rngs = lesion_streams(patients, seed=seed)
        sites = [_site(view, of_eye(tree, i), draws, image=i) for i in range(len(rngs))]
        spots = [
            lesions.look_alikes(rng, site, difficulty=self.difficulty) for rng, site in zip(rngs, sites, strict=True)
        ]
        plans = [
            lesions.plan(rng, site, grade=int(grade), difficulty=self.difficulty) if self.lesions else {}
            for rng, site, grade in zip(rngs, sites, truth_B, strict=True)
        ]
        dark, pale = (drawing.spots([pair[i] for pair in spots]) for i in (0, 1))
        canvas_B3HW = retina.painted(canvas_B3HW, 0.7 * pale, _DEPOSIT["ex"])
        for part, colour in _DEPOSIT.items():
            canvas_B3HW = retina.painted(canvas_B3HW, drawing.cover(plans, part), colour)
        canvas_B3HW = retina.painted(canvas_B3HW, drawing.cover(plans, "nv"), _FIBRES)
        density_B3HW, streak_BHW = blood(tree, view, calibre_B=draws.between("vessels", 0.85, 1.2).flatten().numpy())
        density_B3HW += retina.density(
            drawing.new_vessels([_tufts(rng, plan) for rng, plan in zip(rngs, plans, strict=True)]), _NEW_VESSELS
        )
        density_B3HW += retina.density(dark, retina.MELANIN)
        for part, colour in _BLOOD.items():
            density_B3HW += retina.density(drawing.cover(plans, part), colour)
        canvas_B3HW = canvas_B3HW * (1 + 4.0 * streak_BHW).unsqueeze(1) * density_B3HW.neg_().exp_()
        disc_BHW = (retina.disc_distance(draws, x, y) < 0).numpy() & field_BHW
        part_BHW = drawing.part_BHW | disc_BHW.astype(np.uint8) * np.uint8(1 << len(lesions.PARTS))
        return canvas_B3HW, part_BHW, tuple(map(tuple, drawing.boxes))


def _site(view: View, tree: Tree, draws: Draws, *, image: int) -> lesions.Site:
    disc_x, disc_y = retina.disc_place(draws)
    half = float(view.pixel[image]) * view.size / 2
    return lesions.Site(
        x=float(view.x[image]), y=float(view.y[image]), reach=0.92 * half, height=0.84 * half,
        disc=(float(disc_x[image]), float(disc_y[image])), tree=tree,
    )  # fmt: skip


def _tufts(rng: np.random.Generator, plan: Mapping[str, lesions.Lesions]) -> tuple[NDArray[np.float64], ...] | None:
    return lesions.tufts(rng, plan["nv"]) if "nv" in plan else None

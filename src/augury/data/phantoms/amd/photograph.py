"""The colour photograph of an eye with macular degeneration. B images (one an eye), H height, W width."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augury.data.phantoms.amd.lesions import PARTS, Disease, Domes
from augury.data.phantoms.fundus import camera, retina
from augury.data.phantoms.fundus.drawing import Drawing
from augury.data.phantoms.fundus.eyes import blood, trees
from augury.data.phantoms.fundus.lesions import Lesions
from augury.data.phantoms.fundus.view import aimed
from augury.data.phantoms.patients import Draws
from augury.data.sample import Box

_SOFT = {"drusen": 0.8, "speck": 0.8, "ped": 0.5, "fluid": 0.9, "polyp": 0.6, "blood": 0.3, "exudate": 0.3}
_PALE: dict[str, retina.Colour] = {
    "fluid": (0.62, 0.42, 0.26), "ped": (0.72, 0.55, 0.34), "drusen": (0.95, 0.80, 0.45), "speck": (0.92, 0.76, 0.45),
    "exudate": (1.0, 0.88, 0.45), "polyp": (0.95, 0.36, 0.10),
}  # fmt: skip
_STRENGTH = {"fluid": 0.22, "ped": 0.35, "drusen": 0.75, "speck": 0.45, "exudate": 0.9, "polyp": 0.75, "blood": 0.9}
_BLOOD: retina.Colour = (0.55, 1.3, 1.1)


def photographs(
    patients: Sequence[int], draws: Draws, diseases: Sequence[Disease], noise_B3HW: Tensor, *, index_B11: Tensor,
    difficulty: float, seed: int,
) -> tuple[Tensor, NDArray[np.uint8], list[list[Box]]]:  # fmt: skip
    """image_B3HW in [0, 1], part_BHW with the disc as the bit after the parts, boxes of each image."""
    size = noise_B3HW.shape[-1]
    nasal_B11 = torch.tensor([1.0, -1.0]).repeat(len(patients)).view(-1, 1, 1)
    side_mm = camera.of("field", index_B11) / camera.of("circle", index_B11)
    view = aimed(draws, side_mm=side_mm, nasal=nasal_B11, size=size)
    field_BHW = camera.shown(camera.field_of_view(view, index_B11))
    x, y = view.retina()
    canvas_B3HW = retina.background(draws, view, x, y)
    drawing = Drawing(view, field_BHW, PARTS)
    shown = [{part: _seen(domes, part) for part, domes in one.items() if len(domes.x)} for one in diseases]
    faint = 1 - 0.55 * difficulty
    for part, colour in _PALE.items():
        if part == "speck":
            spots = [one[part] for one in shown if part in one]
            cover_BHW = drawing.spots([one.get(part, _nothing()) for one in shown]) if spots else torch.zeros_like(x)
        else:
            cover_BHW = drawing.cover(shown, part)
        canvas_B3HW = retina.painted(canvas_B3HW, faint * _STRENGTH[part] * cover_BHW, colour)
    canvas_B3HW = canvas_B3HW * torch.exp(-faint * retina.density(drawing.cover(shown, "blood"), _BLOOD))
    none_B = np.zeros(len(diseases), dtype=np.float32)
    tree = trees(patients, draws, camera.finest(size), seed=seed, beading_B=none_B)
    density_B3HW, streak_BHW = blood(tree, view, calibre_B=draws.between("vessels", 0.85, 1.2).flatten().numpy())
    canvas_B3HW = canvas_B3HW * (1 + 4.0 * streak_BHW).unsqueeze(1) * density_B3HW.neg_().exp_()
    image_B3HW = camera.photograph(
        canvas_B3HW, draws, view, noise_B3HW, index_B11=index_B11, strength=0.3 + 1.2 * difficulty
    )
    disc_BHW = (retina.disc_distance(draws, x, y) < 0).numpy() & field_BHW
    part_BHW = drawing.part_BHW | disc_BHW.astype(np.uint8) * np.uint8(1 << len(PARTS))
    return image_B3HW, part_BHW, drawing.boxes


def _seen(domes: Domes, part: str) -> Lesions:
    """Things as blobs seen from the front; their outlines' waves follow from their places."""

    def full(value: float) -> NDArray[np.float64]:
        return np.full(len(domes.x), value)

    return Lesions(
        x=domes.x, y=domes.y, radius=domes.radius, aspect=full(1.0), angle=full(0.0),
        wave=full(0.12 if part in ("blood", "ped", "exudate") else 0.05), soft=full(_SOFT.get(part, 0.5)),
        strength=full(1.0), phase=(7.0 * domes.base) % 6.28,
    )  # fmt: skip


def _nothing() -> Lesions:
    empty = np.zeros(0)
    return Lesions(**dict.fromkeys(Lesions.__dataclass_fields__, empty))

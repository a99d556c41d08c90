"""Three kinds of tumour and what resembles them, in anatomy's template coordinates.

Kinds: 0 glioma (in the white matter, ragged, often ring-shaped, swollen surroundings), 1 meningioma (on the dura or the
falx, round, even), 2 none, 3 pituitary (in the midline above the sella, round or waisted).
B slices; numbers per slice are B11.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from augury.data.phantoms.brain.anatomy import Head
from augury.data.phantoms.brain.quantities import MIMICS
from augury.data.phantoms.patients import Draws
from augury.data.phantoms.shapes import cover, ellipse, paint, turned

GLIOMA, MENINGIOMA, NONE, PITUITARY = range(4)
_TEMPLATE_TO_LEVEL = 1 / 1.25  # 10 cm in the plane against about 12.5 cm from base to vertex


@dataclass(frozen=True)
class Lesion:
    """Where a patient's lesion is cut by each slice; all B11."""

    kind: Tensor  # how it looks: an atypical tumour may look like another kind
    present: Tensor  # bool
    u: Tensor
    v: Tensor
    z: Tensor  # level of the slice
    radius: Tensor  # of the cut, template units
    ragged: Tensor  # amplitude of the outline's noise
    visibility: Tensor  # share of the full contrast to the surroundings
    necrosis: Tensor  # radius of the core as a share
    oedema: Tensor  # reach beyond the outline, in radii

    def push(self, *, shown: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Centre, reach and amount of the displaced tissue, for `anatomy.place`."""
        amount = 0.32 * self.present * (self.kind != PITUITARY) * float(shown)
        return self.u, self.v, 1.5 * self.radius + 0.02, amount


def plan(draws: Draws, *, difficulty: float) -> Lesion:
    """Place, size and look of every slice's lesion. Patients without one get a level from the same numbers."""
    kind = draws.kind_B11
    largest, smallest = 0.235 - 0.075 * difficulty, 0.115 - 0.06 * difficulty
    radius = smallest + (largest - smallest) * draws.uniform["radius"].square()
    radius = torch.where(kind == PITUITARY, 0.055 + 0.5 * radius, radius)
    u, v, level = _site(draws, kind=kind, radius=radius)
    offset = draws.between("offset", -0.85, 0.85)
    cut = radius * torch.sqrt(1 - offset.square())
    look = _look(draws, kind=kind, difficulty=difficulty)
    glioma, meningioma = look == GLIOMA, look == MENINGIOMA
    seen = draws.between("visibility", 1.0 - 0.95 * difficulty, 1.15 - 0.45 * difficulty).clamp(0.1, 1.1)
    return Lesion(
        kind=look,
        present=kind != NONE,
        u=u,
        v=v,
        z=(level + offset * radius * _TEMPLATE_TO_LEVEL).clamp(0, 0.97),
        radius=cut,
        ragged=torch.where(glioma, draws.between("lobes", 0.12, 0.42), draws.between("lobes", 0.03, 0.16)),
        visibility=seen,
        necrosis=torch.where(glioma, draws.between("necrosis", -0.5, 0.85), draws.between("necrosis", -2.0, 0.35)),
        oedema=torch.where(
            glioma, draws.between("oedema", 0.2, 1.6), draws.between("oedema", -0.8, 0.9) * meningioma
        ).clamp(min=0),
    )


def distance(lesion: Lesion, head: Head, draws: Draws) -> Tensor:
    """Signed distance_BHW to the lesion's outline; far away where there is none."""
    aspect = draws.between("aspect", 0.78, 1.28)
    u, v = turned(head.u - lesion.u, head.v - lesion.v, draws.between("lean", 0, 180))
    outline = ellipse(u, v, across=lesion.radius * aspect, down=lesion.radius / aspect)
    rough = 0.6 * head.fine[:, 0] + 0.35 * head.cortex * (lesion.kind == GLIOMA)
    outline = outline + lesion.ragged * lesion.radius * rough
    within = torch.where(lesion.kind == MENINGIOMA, -0.02 - head.depth, -head.depth - 0.01)  # the dura holds it back
    outline = torch.maximum(outline, torch.where(lesion.kind == PITUITARY, torch.full_like(within, -1.0), within))
    return torch.where(lesion.present, outline, torch.ones_like(outline))


def render(canvas: Tensor, lesion: Lesion, outline: Tensor, *, head: Head) -> Tensor:
    """The canvas with swelling, tumour, core and dural tail laid over it."""
    soft = 1.5 * head.pixel
    swelling = _swelling(lesion, outline, head=head)
    canvas = paint(canvas, swelling * lesion.visibility.clamp(max=1), head.value["oedema"])
    edge = torch.where(lesion.kind == GLIOMA, 0.030, 0.012)
    body = _body(lesion, outline, head=head)
    strength = cover(outline, soft + edge) * lesion.visibility
    canvas = canvas + strength * (body - canvas)
    tail = cover((head.depth - 0.004).abs() - 0.010, soft) * cover(outline - 0.06, 0.06)
    tail = tail * (lesion.kind == MENINGIOMA) * lesion.present * (outline < 0.5)
    return paint(canvas, tail * lesion.visibility * 0.7, head.value["meningioma"])


def mimics(canvas: Tensor, head: Head, draws: Draws, *, difficulty: float) -> Tensor:
    """Bright vessels, cavernomas and spots of the white matter, in all classes alike: bright is not yet a tumour."""
    soft = 1.5 * head.pixel
    count = draws.between("mimics", -0.5, 1.5 + 3.0 * difficulty)
    for i in range(MIMICS):
        if not bool((count > i).any()):
            break
        angle = draws.between(f"mimic{i}_angle", -math.pi, math.pi)
        out = draws.between(f"mimic{i}_radius", 0.15, 0.95)
        size = draws.between(f"mimic{i}_size", 0.012, 0.022 + 0.035 * difficulty)
        spot = ellipse(
            head.u - 0.55 * out * torch.cos(angle), head.v - 0.70 * out * torch.sin(angle), across=size, down=size
        )
        spot = spot + 0.4 * size * head.fine[:, 1]
        shown = cover(spot, soft + 0.015) * (count > i) * cover(-head.depth, soft)
        canvas = paint(canvas, shown * 0.75, head.value["glioma" if i % 2 else "meningioma"])
    patchy = cover(1.0 - head.fine[:, 0] - 0.6 * head.fine[:, 1], 0.5) * cover(0.16 - head.depth, 0.08)
    aged = (draws.between("hyperintensity", -2.2, 1.0)).clamp(min=0) * (0.4 + 0.4 * difficulty)
    return paint(canvas, patchy * aged, head.value["oedema"])


def _look(draws: Draws, *, kind: Tensor, difficulty: float) -> Tensor:
    """Some tumours look like another kind: gliomas even and round, meningiomas ragged. No reader tells all apart."""
    atypical = draws.uniform["atypical"] < 0.02 + 0.20 * difficulty
    swapped = torch.where(kind == GLIOMA, MENINGIOMA, torch.where(kind == MENINGIOMA, GLIOMA, kind))
    return torch.where(atypical, swapped, kind)


def _site(draws: Draws, *, kind: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Centre and level of the lesion."""
    low = draws.uniform["low_level"] < 0.3
    level = torch.where(low, draws.between("level", 0.02, 0.2), draws.between("level", 0.05, 0.9))
    level = torch.where(kind == PITUITARY, draws.between("level", 0.0, 0.13), level)
    side = torch.where(draws.uniform["side"] < 0.5, -1.0, 1.0)
    glioma = _inside(draws, level=level, side=side)
    meningioma = _on_the_dura(draws, level=level, side=side, radius=radius)
    sella = (draws.between("place", -0.045, 0.045), draws.between("depth", -0.16, -0.06))
    is_glioma, is_sella = kind == GLIOMA, kind == PITUITARY
    u, v = (torch.where(is_glioma, glioma[i], torch.where(is_sella, sella[i], meningioma[i])) for i in (0, 1))
    return u, v, level


def _inside(draws: Draws, *, level: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    """A place in the white matter of one hemisphere; low down in a temporal lobe or the cerebellum."""
    angle = draws.between("angle", -1.25, 1.25)
    out = draws.between("depth", 0.45, 0.95)
    shrink = torch.sqrt((1 - (level - 0.35).clamp(min=0).square() / 0.9).clamp(min=0.1))
    u = side * (0.10 + 0.34 * out * torch.cos(angle)) * shrink
    v = 0.02 + 0.50 * out * torch.sin(angle) * shrink
    return u, torch.where(level < 0.08, v.clamp(min=-0.2), v)


def _on_the_dura(draws: Draws, *, level: Tensor, side: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """On the convexity, beside the falx, or (low down) beside the sella, where it is taken for a pituitary tumour."""
    angle = draws.between("angle", -1.45, 1.45)
    shrink = torch.sqrt((1 - (level - 0.35).clamp(min=0).square() / 0.9).clamp(min=0.1))
    across, down = 0.57 * shrink - 0.75 * radius, 0.74 * shrink - 0.75 * radius
    convex_u, convex_v = side * across * torch.cos(angle), down * torch.sin(angle)
    falx_u = side * (0.85 * radius + 0.01)
    falx_v = torch.where(draws.uniform["angle"] < 0.55, draws.between("depth", -0.6, -0.3), 0.5)
    at_sella = (draws.uniform["place"] < 0.45) & (level < 0.16)
    at_falx = (draws.uniform["place"] > 0.68) & (level > 0.16)
    sella_u, sella_v = side * draws.between("depth", 0.02, 0.16), draws.between("angle", -0.24, -0.02)
    u = torch.where(at_sella, sella_u, torch.where(at_falx, falx_u, convex_u))
    v = torch.where(at_sella, sella_v, torch.where(at_falx, falx_v, convex_v))
    return u, torch.where((level < 0.08) & ~at_sella, v.clamp(min=-0.25), v)


def _swelling(lesion: Lesion, outline: Tensor, *, head: Head) -> Tensor:
    """Oedema follows the white matter in fingers: reach changes with the tissue's texture; the cortex is spared."""
    reach = lesion.radius * lesion.oedema * (0.75 + 0.55 * head.cortex)
    spread = cover(outline - reach, 0.05) * (lesion.oedema > 0) * lesion.present
    return 0.85 * spread * cover(0.055 - head.depth, 0.03)


def _body(lesion: Lesion, outline: Tensor, *, head: Head) -> Tensor:
    """Intensity_BHW of the tumour itself, before its visibility is taken into account."""
    value = head.value
    even = torch.where(lesion.kind == PITUITARY, value["pituitary"], value["meningioma"])
    tumour = torch.where(lesion.kind == GLIOMA, value["glioma"], even)
    unrest = torch.where(lesion.kind == GLIOMA, 0.16, 0.05)
    tumour = tumour * (1 + unrest * head.fine[:, 1])
    core = cover(outline + lesion.radius * (1 - lesion.necrosis.clamp(min=0)) * (1 + 0.25 * head.fine[:, 1]), 0.03)
    return paint(tumour, core * (lesion.necrosis > 0.2), value["core"])

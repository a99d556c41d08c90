"""A healthy head in axial section, from implicit shapes in template coordinates.

u points to the right, v to the back, both about 10 cm long; the level z runs from the skull base (0) to the vertex (1).
Paired structures are drawn once, in |u|. B slices, H height, W width; numbers per slice are B11.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from augury.data.phantoms.patients import Draws
from augury.data.phantoms.shapes import cover, ellipse, length, paint, segment, smooth, turned, window

SCALP_TO_BRAIN = 0.135  # scalp, skull and fluid together, in template units
SEQUENCES: tuple[dict[str, float], ...] = (
    # T1 after contrast agent
    {"fat": 0.72, "bone": 0.07, "marrow": 0.30, "fluid": 0.09, "gray": 0.28, "white": 0.36, "nuclei": 0.29,
     "vessel": 0.80, "dura": 0.48, "muscle": 0.32, "air": 0.02, "globe": 0.16,
     "glioma": 0.68, "core": 0.14, "oedema": 0.23, "meningioma": 0.70, "pituitary": 0.60},
    # T2
    {"fat": 0.62, "bone": 0.06, "marrow": 0.34, "fluid": 0.93, "gray": 0.54, "white": 0.38, "nuclei": 0.44,
     "vessel": 0.10, "dura": 0.20, "muscle": 0.24, "air": 0.02, "globe": 0.95,
     "glioma": 0.68, "core": 0.90, "oedema": 0.78, "meningioma": 0.62, "pituitary": 0.64},
    # FLAIR
    {"fat": 0.58, "bone": 0.06, "marrow": 0.28, "fluid": 0.09, "gray": 0.47, "white": 0.39, "nuclei": 0.43,
     "vessel": 0.14, "dura": 0.28, "muscle": 0.28, "air": 0.02, "globe": 0.14,
     "glioma": 0.70, "core": 0.36, "oedema": 0.80, "meningioma": 0.66, "pituitary": 0.60},
)  # fmt: skip
SEQUENCE_SHARES = (0.76, 0.14, 0.10)


_ABSENT = 0.6  # added to the distance of a shape that has no part at a level: farther than any shape is deep


@dataclass(frozen=True)
class Head:
    """Where every pixel lies in the template, and the distances that later layers need."""

    u: Tensor  # BHW
    v: Tensor
    z: Tensor  # B11
    outside: Tensor  # BHW signed distance to the skin, negative inside
    depth: Tensor  # BHW below the brain's surface, fissures included; negative outside the brain
    cortex: Tensor  # BHW band-limited noise whose zero lines are the sulci
    fine: Tensor  # B2HW tissue texture
    pixel: float  # template units
    value: dict[str, Tensor]  # tissue -> B11 intensity of this slice's sequence


def place(draws: Draws, *, z: Tensor, push: tuple[Tensor, Tensor, Tensor, Tensor], size: int) -> Head:
    """Template coordinates of every pixel: pose, anatomical warp and the push of a lesion (u, v, reach, amount)."""
    u, v = _coordinates(draws, size=size)
    u, v = _pushed(u, v, push=push)
    across = draws.between("width", 0.66, 0.76) * _girth(z)
    down = draws.between("length", 0.84, 0.93) * _girth(z)
    widening = 1 + draws.between("egg", 0.0, 0.10) * v
    outside = ellipse(u / widening, v, across=across, down=down)
    depth = -(outside + SCALP_TO_BRAIN * draws.between("skull", 0.85, 1.2) + 0.05 * (z - 0.75).clamp(min=0))
    fine = smooth(draws.fields["fine"], size)
    cortex = _around(draws.fields["cortex"], u / across, v / down)
    return Head(
        u=u, v=v, z=z, outside=outside, depth=depth, cortex=cortex, fine=fine, pixel=2 / size, value=_tissues(draws)
    )


def render(head: Head, draws: Draws) -> Tensor:
    """intensity_BHW of the healthy head in [0, 1]."""
    soft = 1.2 * head.pixel
    canvas = _brain(head, draws, soft=soft)
    canvas = _deep(canvas, head, draws, soft=soft)
    canvas = _base(canvas, head, soft=soft)
    canvas = _vessels(canvas, head, soft=soft)
    return _shell(canvas, head, draws, soft=soft)


def _coordinates(draws: Draws, *, size: int) -> tuple[Tensor, Tensor]:
    ticks = (torch.arange(size, dtype=torch.float32) + 0.5) * (2 / size) - 1
    x = ticks.view(1, 1, -1) - draws.between("shift_x", -0.05, 0.05)
    y = ticks.view(1, -1, 1) - draws.between("shift_y", -0.04, 0.04)
    angle = draws.between("pose", -9, 9) + draws.between("turn", -2, 2)
    u, v = turned(x, y, angle)
    zoom = draws.between("zoom", 0.86, 1.08)
    warp_B2HW = smooth(draws.fields["warp"], size) * 0.016
    return u / zoom + warp_B2HW[:, 0], v / zoom + warp_B2HW[:, 1]


def _pushed(u: Tensor, v: Tensor, *, push: tuple[Tensor, Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Tissue gives way around a lesion: what is shown at a point comes from nearer to the lesion's centre."""
    centre_u, centre_v, reach, amount = push
    du, dv = u - centre_u, v - centre_v
    pull = amount * torch.exp((du.square() + dv.square()) * (-0.5 / reach.square()))
    return u - pull * du, v - pull * dv


def _girth(z: Tensor) -> Tensor:
    """The head narrows towards the vertex."""
    return torch.sqrt((1 - ((z - 0.35).clamp(min=0) / 0.95).square()).clamp(min=0.05))


def _around(field_B1KK: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The field read in polar coordinates: first axis around the head (closed), second axis from the rim inwards."""
    radius = length(x, y)
    angle = torch.atan2(y, x) / torch.pi
    closed = torch.cat([field_B1KK[:, :, -2:], field_B1KK, field_B1KK[:, :, :2]], dim=2)
    around = angle * (field_B1KK.shape[2] / closed.shape[2])
    inwards = (1 - radius) * 3.2 - 1
    grid = torch.stack([inwards.expand_as(around), around], dim=-1)
    finer = F.interpolate(closed, scale_factor=4, mode="bicubic", align_corners=False)
    return F.grid_sample(finer, grid, mode="bilinear", padding_mode="reflection", align_corners=False)[:, 0]


def _tissues(draws: Draws) -> dict[str, Tensor]:
    """The intensities of each slice's sequence; the contrast of gray and white matter varies between patients."""
    edges = torch.tensor(SEQUENCE_SHARES).cumsum(0)[:-1]
    index_B11 = torch.bucketize(draws.uniform["sequence"].contiguous(), edges)
    table = {name: torch.tensor([one[name] for one in SEQUENCES])[index_B11] for name in SEQUENCES[0]}
    mean = (table["gray"] + table["white"]) / 2
    contrast = draws.between("gray_white", 0.9, 2.2)
    for name in ("gray", "white", "nuclei"):
        table[name] = mean + (table[name] - mean) * contrast
    return table


def _brain(head: Head, draws: Draws, *, soft: float) -> Tensor:
    """White matter, cortical ribbon, sulci and the fissures between the lobes."""
    value = head.value
    atrophy = draws.between("atrophy", 0.5, 1.5)
    fissure = _fissures(head, draws)
    depth = torch.minimum(head.depth, fissure - 0.008 * atrophy)
    white = value["white"] * (1 + 0.035 * head.fine[:, 0])
    fold = head.cortex.abs()
    high = 0.7 + 0.5 * head.z  # gyri reach further in near the vertex
    ribbon = torch.maximum(cover(depth - 0.045, 0.03), cover(fold - 0.62 * (high - depth / 0.30).clamp(0, 1), 0.28))
    canvas = paint(white, ribbon, value["gray"] * (1 + 0.03 * head.fine[:, 1]))
    sulcus = cover(fold - 0.20 * atrophy * (1.1 - depth / (0.13 * high)).clamp(0, 1.2), 0.16) * cover(depth - 0.2, 0.1)
    canvas = paint(canvas, sulcus * 0.9, value["fluid"])
    return paint(canvas, cover(depth, soft + 0.006), value["fluid"])


def _fissures(head: Head, draws: Draws) -> Tensor:
    """Distance to the fissures: between the hemispheres (near the vertex all along) and the Sylvian."""
    open_ = ((head.z - 0.45) / 0.25).clamp(0, 1)
    middle = head.u + 0.012 * head.cortex * cover(-head.depth, 0.2) + draws.between("midline", -0.01, 0.01)
    front = length(middle, (head.v + 0.33 - 0.40 * open_).clamp(min=0))
    back = length(middle, (0.36 - 0.40 * open_ - head.v).clamp(min=0))
    aside = head.u.abs() + 0.02 * head.fine[:, 0]
    wavy = head.v + 0.03 * head.fine[:, 1]
    closed = 1 - window(head.z, low=0.16, high=0.50, ramp=0.06)
    between = torch.minimum(front, back)
    if bool((closed == 1).all()):
        return between
    sylvian = segment(aside, wavy, start=(0.36, -0.04), end=(0.62, -0.14)) + closed
    insula = segment(aside, wavy, start=(0.37, -0.16), end=(0.385, 0.10)) + 0.004 + closed
    return torch.minimum(between, torch.minimum(sylvian, insula))


def _deep(canvas: Tensor, head: Head, draws: Draws, *, soft: float) -> Tensor:
    """Basal ganglia, thalamus and ventricles, each at its levels."""
    value, aside, v = head.value, head.u.abs() * draws.between("asymmetry", 0.93, 1.07), head.v
    if not bool(window(head.z, low=0.20, high=0.64, ramp=0.06).any()):
        return canvas
    middle = window(head.z, low=0.28, high=0.46, ramp=0.06)
    putamen = ellipse(*turned(aside - 0.265, v + 0.02, 12), across=0.055, down=0.15)
    thalamus = ellipse(*turned(aside - 0.095, v - 0.12, -25), across=0.075, down=0.12)
    caudate = ellipse(aside - 0.155, v + 0.20, across=0.05, down=0.09)
    nuclei = torch.minimum(torch.minimum(putamen, thalamus), caudate) + (1 - middle) * _ABSENT
    canvas = paint(canvas, cover(nuclei, soft + 0.02), value["nuclei"])
    wide = draws.between("ventricles", 0.55, 1.65)
    return paint(canvas, cover(_ventricles(aside, v, head.z, wide=wide), soft + 0.008), value["fluid"])


def _ventricles(aside: Tensor, v: Tensor, z: Tensor, *, wide: Tensor) -> Tensor:
    horns = (1 - window(z, low=0.26, high=0.52, ramp=0.05)) * _ABSENT
    bodies = (1 - window(z, low=0.50, high=0.64, ramp=0.04)) * _ABSENT
    third = (1 - window(z, low=0.20, high=0.40, ramp=0.04)) * _ABSENT
    front = ellipse(*turned(aside - 0.092, v + 0.24, -16), across=0.034 * wide, down=0.125) + horns
    back = ellipse(*turned(aside - 0.215, v - 0.27, 24), across=0.040 * wide, down=0.135) + horns
    body = ellipse(*turned(aside - 0.088 - 0.2 * v.square(), v - 0.02, 4), across=0.042 * wide, down=0.30) + bodies
    slit = ellipse(aside, v - 0.03, across=0.014 * wide, down=0.11) + third
    return torch.minimum(torch.minimum(front, back), torch.minimum(body, slit))


def _base(canvas: Tensor, head: Head, *, soft: float) -> Tensor:
    """What lies low: cisterns, brainstem, cerebellum, the ridge between frontal and temporal lobes, the orbits."""
    value, aside, v, z = head.value, head.u.abs(), head.v, head.z
    low = (1 - window(z, low=-1.0, high=0.20, ramp=0.05)) * _ABSENT
    if not bool((low < _ABSENT).any()):
        return canvas
    cerebellum = ellipse(aside, v - 0.44, across=0.44, down=0.27) + low
    folia = torch.sin(55 * length(aside * 0.8, v - 0.15) + 1.5 * head.fine[:, 0])
    canvas = paint(canvas, cover(cerebellum - 0.012, 0.02), value["fluid"])
    leaves = 0.5 * (value["gray"] + value["white"]) * (1 + 0.12 * folia * cover(-cerebellum - 0.2, 0.1))
    canvas = paint(canvas, cover(cerebellum, soft + 0.01), leaves)
    canvas = paint(canvas, cover(ellipse(aside, v - 0.37, across=0.05, down=0.045) + low, soft + 0.01), value["fluid"])
    cistern = torch.minimum(
        ellipse(aside, v + 0.06, across=0.17, down=0.075), segment(aside, v, start=(0.13, 0.02), end=(0.2, 0.2)) - 0.018
    )
    ridge = segment(aside, v + 0.02 * head.fine[:, 1], start=(0.14, -0.10), end=(0.60, -0.34)) - 0.016
    canvas = paint(canvas, cover(torch.minimum(cistern, ridge) + low, soft + 0.015), value["fluid"])
    stem = torch.minimum(
        ellipse(aside, v - 0.16, across=0.135, down=0.12),
        ellipse(*turned(aside - 0.085, v - 0.06, 30), across=0.055, down=0.08),
    )
    canvas = paint(canvas, cover(stem + low, soft + 0.012), value["white"] * 0.97)
    return _face(canvas, head, soft=soft)


def _face(canvas: Tensor, head: Head, *, soft: float) -> Tensor:
    """Orbits with globes and muscles, air cells between them, and the sella, on the lowest levels."""
    value, aside, v = head.value, head.u.abs(), head.v
    low = (1 - window(head.z, low=-1.0, high=0.07, ramp=0.03)) * _ABSENT
    if not bool((low < _ABSENT).any()):
        return canvas
    orbit = ellipse(*turned(aside - 0.27, v + 0.60, -24), across=0.165, down=0.27) + low
    bone = torch.minimum(orbit - 0.035, segment(aside, v, start=(0.0, -0.85), end=(0.0, -0.32)) - 0.13 + low)
    canvas = paint(canvas, cover(bone, soft + 0.01), value["bone"] + 0.04)
    canvas = paint(canvas, cover(orbit, soft + 0.01), value["fat"] * 0.85)
    nerve = segment(aside, v, start=(0.29, -0.62), end=(0.15, -0.36)) - 0.022
    muscles = (ellipse(*turned(aside - 0.24, v + 0.56, -24), across=0.11, down=0.20)).abs() - 0.016
    canvas = paint(canvas, cover(torch.minimum(nerve, muscles) + low, soft + 0.01), value["muscle"])
    globe = ellipse(aside - 0.30, v + 0.68, across=0.115, down=0.115) + low
    canvas = paint(canvas, cover(globe, soft + 0.01), value["muscle"] * 1.3)
    canvas = paint(canvas, cover(globe + 0.022, soft + 0.01), value["globe"])
    cells = torch.sin(34 * head.u + head.fine[:, 0]) * torch.sin(26 * v + head.fine[:, 1])
    air = segment(aside, v, start=(0.0, -0.78), end=(0.0, -0.34)) - 0.085 + low
    canvas = paint(canvas, cover(air, soft + 0.02), value["muscle"] * (0.25 + 0.75 * (cells > 0.55)))
    gland = ellipse(aside, v + 0.115, across=0.042, down=0.028) + low
    return paint(canvas, cover(gland, soft + 0.012), 0.5 * (value["gray"] + value["vessel"].clamp(min=0.3)))


def _vessels(canvas: Tensor, head: Head, *, soft: float) -> Tensor:
    """The sagittal sinus and the arteries at the base."""
    value, aside = head.value, head.u.abs()
    low = (1 - window(head.z, low=-1.0, high=0.20, ramp=0.03)) * _ABSENT
    sinus = ellipse(head.u, head.depth + 0.012, across=0.028, down=0.026) + 0.3 * (head.v < 0.3)
    arteries = torch.minimum(
        ellipse(aside - 0.10, head.v + 0.10, across=0.020, down=0.020),
        segment(aside, head.v + 0.02 * head.fine[:, 0], start=(0.11, -0.10), end=(0.34, -0.13)) - 0.006,
    )
    shown = torch.minimum(
        sinus, torch.minimum(arteries, ellipse(aside, head.v - 0.015, across=0.016, down=0.016)) + low
    )
    return paint(canvas, cover(shown, soft + 0.01), value["vessel"])


def _shell(canvas: Tensor, head: Head, draws: Draws, *, soft: float) -> Tensor:
    """Dura, skull with its marrow, scalp; nothing outside the skin."""
    value, outside = head.value, head.outside
    skull = -head.depth
    canvas = paint(canvas, cover(-skull, soft), value["fluid"])
    canvas = paint(canvas, cover(0.020 - skull, soft), value["dura"])
    canvas = paint(canvas, cover(0.032 - skull, soft), value["bone"])
    marrow = value["marrow"] * (1 + 0.35 * head.fine[:, 1]).clamp(0.2, 1.8)
    scalp = 0.046 * draws.between("scalp", 0.7, 1.5)
    diploe = torch.minimum(skull - 0.048, -outside - scalp - 0.014)
    canvas = paint(canvas, cover(-diploe, soft + 0.004), marrow)
    canvas = paint(canvas, cover(-outside - scalp - 0.012, soft), value["bone"])
    canvas = paint(canvas, cover(-outside - scalp, soft), value["fat"] * (1 + 0.12 * head.fine[:, 0]))
    canvas = paint(canvas, cover(-outside - 0.012, soft), value["muscle"] * 1.25)
    return canvas * cover(outside, soft)

"""Masses as breast radiologists describe them (BI-RADS): outline, orientation, margin, echo, posterior features.

Every descriptor of a mass is suspicious with a probability that its kind and the difficulty set, so that no single one
decides. Kinds: 0 benign, 1 malignant, 2 none. B images, T angles of the outline; numbers of an image are B11, in mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from augury.data.phantoms.breast.quantities import CALCIFICATIONS, SPICULES
from augury.data.phantoms.breast.tissue import Section
from augury.data.phantoms.patients import Draws
from augury.data.phantoms.shapes import cover

BENIGN, MALIGNANT, NONE = range(3)
ANGLES = 256  # of the outline's table


@dataclass(frozen=True)
class Mass:
    """A patient's mass as each view cuts it."""

    present: Tensor  # bool
    x: Tensor
    z: Tensor
    wide: Tensor  # half axes
    tall: Tensor
    reach_BT: Tensor  # of the outline at every angle, as a share of the ellipse's
    rough: Tensor  # of the outline, share of the radius
    margin: Tensor  # width of the transition to the surroundings
    echo: Tensor  # dB
    contrast: Tensor  # share of the full difference to the surroundings
    unrest: Tensor  # dB of its texture
    loss: Tensor  # dB a mm
    edge: Tensor  # dB of the shadows of refraction at its sides
    halo: Tensor  # dB
    capsule: Tensor  # amplitude
    calcified: Tensor  # bool


def plan(draws: Draws, tissue: Section, *, difficulty: float) -> Mass:
    """Place and descriptors of every image's mass; for a patient without one, from the same numbers."""
    suspicious = {name: _suspicious(draws, name, difficulty=difficulty) for name in
                  ("outline", "aspect", "spicule", "margin", "posterior")}  # fmt: skip
    cyst = (draws.kind_B11 == BENIGN) & (draws.uniform["cyst"] < 0.3) & ~suspicious["outline"]
    wide, tall = _axes(draws, upright=suspicious["aspect"], difficulty=difficulty)
    x = draws.between("place_x", -12, 12) + draws.between("shift_x", -2.5, 2.5)
    top = tissue.gland.mean(-1, keepdim=True)
    room = (tissue.fascia.mean(-1, keepdim=True) - top - 1).clamp(min=1)
    z = top + room * draws.between("place_z", 0.05, 0.8) + draws.between("shift_z", -1, 1)
    seen = draws.between("contrast", 1 - 0.85 * difficulty, 1.05 - 0.25 * difficulty).clamp(0.12, 1)
    behind = torch.where(
        suspicious["posterior"], draws.between("shadow", 0.7, 2.4), -draws.between("enhancement", 0.0, 0.6)
    )
    return Mass(
        present=draws.kind_B11 != NONE,
        x=x,
        z=torch.maximum(z, 0.9 * tall + 2),
        wide=wide,
        tall=tall,
        reach_BT=_outline(draws, irregular=suspicious["outline"], spiculated=suspicious["spicule"]),
        rough=torch.where(suspicious["outline"], 0.11, 0.02),
        margin=torch.where(suspicious["margin"], 1.8, 0.45),
        echo=torch.where(cyst, -32.0, draws.between("echo", -13, -6)),
        contrast=torch.where(cyst, seen.clamp(min=0.85), seen),
        unrest=torch.where(cyst, 0.2, torch.where(suspicious["outline"], 2.2, 1.0)),
        loss=torch.where(cyst, -draws.between("enhancement", 0.8, 1.8), behind) * seen,
        edge=torch.where(suspicious["outline"] | suspicious["margin"], 0.0, 7.0) * seen,
        halo=torch.where(suspicious["margin"], draws.between("halo", 0, 7), 0.0) * seen,
        capsule=torch.where(suspicious["margin"], 0.0, 3.0) * seen,
        calcified=(draws.kind_B11 == MALIGNANT) & (draws.uniform["calcified"] < 0.4),
    )


def insert(out: Section, mass: Mass, draws: Draws) -> Tensor:
    """The mass laid into the section, with what it does to the beam behind it; distance_BHW to its outline, mm."""
    dx, dz = out.x - mass.x, out.z - mass.z
    distance = _distance(mass, dx, dz) + mass.rough * torch.sqrt(mass.wide * mass.tall) * out.grain
    shown = cover(distance, mass.margin + out.pixel) * mass.present
    out.echo = torch.lerp(out.echo, mass.echo + mass.unrest * out.grain, shown * mass.contrast)
    rim = torch.exp(-((distance - 1.0) / 1.2).square()) * (1 - shown) * mass.present
    out.echo = out.echo + mass.halo * rim
    out.mirror = out.mirror * (1 - shown * mass.contrast)
    square = dz.square() / (dx.square() + dz.square() + 0.05)  # only faces across the beam reflect back to the probe
    face = cover(distance.abs() - 0.2, 0.3) * square * mass.present
    out.mirror = out.mirror + mass.capsule * face
    out.loss = torch.lerp(out.loss, mass.loss.expand_as(out.loss), shown)
    out.shadow = out.shadow - mass.edge * _refraction(mass, dx, dz) * mass.present
    _calcify(out, mass, draws)
    return torch.where(mass.present, distance, torch.ones_like(distance))


def _suspicious(draws: Draws, name: str, *, difficulty: float) -> Tensor:
    """Whether a descriptor looks malignant."""
    of_malignant, of_benign = 0.96 - 0.30 * difficulty, 0.02 + 0.26 * difficulty
    share = torch.where(draws.kind_B11 == MALIGNANT, of_malignant, of_benign)
    return draws.uniform[f"{name}_sign"] < share


def _axes(draws: Draws, *, upright: Tensor, difficulty: float) -> tuple[Tensor, Tensor]:
    """Half axes of this view: benign masses lie along the tissue planes, cancers grow through them."""
    cut = torch.sqrt(1 - draws.between("cut", -0.75, 0.75).square())
    radius = cut * (2.2 + (5.8 - 2.5 * difficulty) * draws.uniform["radius"].square() + 1.4 * (1 - difficulty))
    ratio = torch.where(upright, draws.between("aspect", 0.7, 1.0), draws.between("aspect", 1.25, 2.0))
    return radius * ratio.sqrt(), radius / ratio.sqrt()


def _outline(draws: Draws, *, irregular: Tensor, spiculated: Tensor) -> Tensor:
    """reach_BT: gentle lobes of a smooth mass; corners and small lobes of an irregular one; spicules as thin cones."""
    angle_1T = torch.linspace(0, 2 * math.pi, ANGLES + 1)[None, :-1]
    lobe, micro = (2 * math.pi * draws.uniform[name].flatten(1) for name in ("lobe_angle", "micro_angle"))
    lean = 0.3 * draws.uniform["lean"].flatten(1)
    rough, spiked = irregular.flatten(1).float(), spiculated.flatten(1).float()
    lobes = draws.uniform["lobes"].flatten(1)
    reach = 1 + 0.10 * lobes * torch.cos(2 * angle_1T + lobe + lean) + 0.05 * lobes * torch.cos(3 * angle_1T + micro)
    reach = reach + rough * (
        0.14 * torch.cos(3 * angle_1T + lobe + lean) + 0.09 * torch.cos(5 * angle_1T + micro)
        + 0.07 * torch.cos(9 * angle_1T + lobe - micro) + 0.04 * torch.cos(14 * angle_1T + 3 * lobe)
    )  # fmt: skip
    for i in range(SPICULES):
        own = draws.uniform[f"spicule{i}"].flatten(1)
        toward = 2 * math.pi * (i + 1.4 * own) / SPICULES + lean
        cone = torch.exp(torch.cos(angle_1T - toward).sub(1) * (40 + 150 * (3 * own % 1)))
        reach = reach + spiked * 0.75 * (7 * own % 1).square() * cone
    return reach


def _distance(mass: Mass, dx: Tensor, dz: Tensor) -> Tensor:
    """About the signed distance to the outline; its sign is exact."""
    u, v = dx / mass.wide, dz / mass.tall
    radius = torch.addcmul(u * u, v, v).sqrt_()
    turn = torch.atan2(v, u).mul_(ANGLES / (2 * math.pi)).add_(ANGLES)
    low = turn.floor()
    share, low = turn - low, low.long()
    table_BT = mass.reach_BT
    flat = len(table_BT), -1
    before = table_BT.gather(1, (low % ANGLES).view(flat)).view_as(radius)
    after = table_BT.gather(1, ((low + 1) % ANGLES).view(flat)).view_as(radius)
    return (radius - torch.lerp(before, after, share)) * torch.sqrt(mass.wide * mass.tall)


def _refraction(mass: Mass, dx: Tensor, dz: Tensor) -> Tensor:
    """Beams that graze a smooth side are bent away: thin shadows from there on (Robinson, Wilson and Kossoff 1981)."""
    off = (dx.abs() - 0.97 * mass.wide) / 0.7
    return torch.exp(-off.square()) * cover(-dz, 2.0)


def _calcify(out: Section, mass: Mass, draws: Draws) -> None:
    """Points brighter than the mass, too small for a shadow."""
    if not bool(mass.calcified.any()):
        return
    for i in range(CALCIFICATIONS):
        angle = draws.between(f"calcification{i}_angle", 0, 2 * math.pi)
        out_ = draws.between(f"calcification{i}_radius", 0, 0.7)
        u = out.x - mass.x - out_ * mass.wide * angle.cos()
        v = out.z - mass.z - out_ * mass.tall * angle.sin()
        spot = torch.exp(-(u.square() + v.square()) / (2 * 0.3**2))
        out.mirror = out.mirror + 3.5 * spot * mass.calcified * mass.contrast

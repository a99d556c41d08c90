"""The retina as light meets it: what it reflects in red, green and blue. B images, H height, W width.

Pigments absorb after Beer and Lambert: optical densities add up (Delori and Pflibsen 1989 for the layers and which
colours they take). Values are taken as the camera displays them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from augury.data.phantoms.fundus.view import View
from augury.data.phantoms.patients import Draws
from augury.data.phantoms.shapes import cover, ellipse, length, smooth

Colour = tuple[float, float, float]
SCLERA: Colour = (0.86, 0.48, 0.22)  # what an eye without pigment reflects
MELANIN: Colour = (0.34, 0.78, 1.00)  # densities of one unit
CHOROID: Colour = (0.10, 0.30, 0.35)
XANTHOPHYLL: Colour = (0.0, 0.10, 0.55)
VEIN: Colour = (1.7, 4.2, 3.4)  # a mm of blood
ARTERY: Colour = (0.7, 3.3, 2.8)
DISC: Colour = (0.98, 0.72, 0.40)
CUP: Colour = (1.0, 0.90, 0.66)


def disc_place(draws: Draws) -> tuple[Tensor, Tensor]:
    """The disc's centre, B11 mm from the fovea: to the nose and a little above."""
    return eye_between(draws, "disc_x", 4.1, 4.9), eye_between(draws, "disc_y", -0.75, -0.05)


def eye_between(draws: Draws, name: str, low: float, high: float, *, change: float = 0.3) -> Tensor:
    """A quantity of an eye that resembles its fellow's: this share is its own."""
    u = (1 - change) * draws.uniform[name] + change * draws.uniform[f"own_{name}"]
    return u * (high - low) + low


def background(draws: Draws, view: View, x: Tensor, y: Tensor) -> Tensor:
    """reflectance_B3HW of choroid, pigment epithelium and macula, with the disc."""
    size = view.size
    choroid_B2HW = smooth(draws.fields["choroid"], size)
    patches_B2HW = smooth(draws.fields["pigment"], size)
    distance = length(x, y)
    macula = torch.exp(distance.square() / (-2 * 0.95**2))
    foveola = torch.exp(distance.square() / (-2 * 0.28**2))
    tigroid = eye_between(draws, "tigroid", -0.6, 0.9).clamp(min=0.06)
    away = 1 - torch.exp(distance.square() / (-2 * 2.2**2))
    pigment = eye_between(draws, "pigment", 0.0, 0.75) * (1 + 0.18 * patches_B2HW[:, 0] + 0.06 * choroid_B2HW[:, 0])
    pigment = pigment + 0.30 * macula + 0.25 * foveola
    vessels = tigroid * away * (0.5 - choroid_B2HW[:, 1].abs()).clamp(-0.6, 0.5)
    blood = eye_between(draws, "redness", 0.0, 0.5) + 0.10 * patches_B2HW[:, 1] + 0.6 * vessels
    yellow = eye_between(draws, "xanthophyll", 0.3, 1.0) * macula
    density = [MELANIN[c] * pigment + CHOROID[c] * blood + XANTHOPHYLL[c] * yellow for c in range(3)]
    out_B3HW = torch.stack([SCLERA[c] * torch.exp(-density[c]) for c in range(3)], dim=1)
    shine = eye_between(draws, "reflex", -0.15, 0.14).clamp(min=0)
    ring = torch.exp(((distance - 1.1) / 0.4).square().neg()) * 0.3 + torch.exp(distance.square() / (-2 * 0.06**2))
    out_B3HW = out_B3HW + (shine * ring).unsqueeze(1) * torch.tensor([0.5, 0.6, 0.6]).view(1, 3, 1, 1)
    return _nerve(out_B3HW, draws, view, x=x, y=y)


def painted(canvas_B3HW: Tensor, coverage_BHW: Tensor, colour: Colour) -> Tensor:
    """The canvas with an opaque colour laid over it where something covers."""
    if not bool(coverage_BHW.any()):
        return canvas_B3HW
    target = torch.tensor(colour).view(1, 3, 1, 1)
    return torch.lerp(canvas_B3HW, target.expand_as(canvas_B3HW), coverage_BHW.unsqueeze(1))


def density(thickness_BHW: Tensor, colour: Colour) -> Tensor:
    """density_B3HW of something that absorbs so much for each unit of its thickness."""
    return thickness_BHW.unsqueeze(1) * torch.tensor(colour).view(1, 3, 1, 1)


def disc_distance(draws: Draws, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance_BHW to the disc's margin, mm."""
    centre_x, centre_y = disc_place(draws)
    across = eye_between(draws, "disc_size", 0.76, 0.98)
    return ellipse(x - centre_x, y - centre_y, across=across, down=across * eye_between(draws, "disc_tall", 1.02, 1.18))


def _nerve(canvas_B3HW: Tensor, draws: Draws, view: View, *, x: Tensor, y: Tensor) -> Tensor:
    """Nerve fibres' glow about the disc, the disc, its cup."""
    centre_x, centre_y = disc_place(draws)
    distance = disc_distance(draws, x, y)
    glow = torch.exp(-distance.clamp(min=0) / 0.9) * eye_between(draws, "nerve", 0.02, 0.22)
    canvas_B3HW = painted(canvas_B3HW, glow, (0.95, 0.72, 0.48))
    soft = 0.10 + view.pixel
    rim = cover(distance, soft)
    canvas_B3HW = painted(canvas_B3HW, 0.92 * rim, DISC)
    size = eye_between(draws, "cup", 0.22, 0.52)
    cup = ellipse(x - centre_x + 0.08, y - centre_y, across=size, down=1.05 * size)
    return painted(canvas_B3HW, 0.9 * rim * cover(cup, 0.22 + view.pixel), CUP)

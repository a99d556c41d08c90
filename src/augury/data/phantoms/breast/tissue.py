"""A healthy breast under a linear probe: which tissue lies where, its echo and its attenuation.

B images, H deep, W wide.

Lengths are in mm from the middle of the probe (x) and from its face (z); echoes in dB relative to fat.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from augury.data.phantoms.breast.quantities import MIMICS
from augury.data.phantoms.patients import Draws
from augury.data.phantoms.shapes import cover, ellipse, smooth

WIDTH = 40.0  # mm of the probe's face
SHALLOWEST, DEEPEST = 28.0, 44.0  # mm shown
_NONE = -60.0  # dB of an echo that is not there


@dataclass
class Section:
    """What the beam meets, to be changed by lesions before it is imaged."""

    x: Tensor  # B1W mm
    z: Tensor  # BH1 mm
    echo: Tensor  # BHW dB of the scatterers
    mirror: Tensor  # BHW amplitude of smooth interfaces, relative to fat
    loss: Tensor  # BHW dB a mm, both ways, beyond what the time-gain compensation expects
    shadow: Tensor  # BHW dB of shadows that are cast from elsewhere than `loss`
    grain: Tensor  # BHW texture
    gland: Tensor  # B1W depths where the gland begins
    fascia: Tensor  # B1W and where the muscle begins
    pixel: Tensor  # B11 mm, the larger side


def section(draws: Draws, *, size: int, difficulty: float) -> Section:
    """Skin, fat with its septa, gland, fat behind it, muscle, ribs; fat lobules and shadows that mean nothing."""
    ticks = (torch.arange(size, dtype=torch.float32) + 0.5) / size
    depth = draws.between("depth", SHALLOWEST, DEEPEST)
    x, z = (ticks.view(1, 1, -1) - 0.5) * WIDTH, ticks.view(1, -1, 1) * depth
    wave_B5W = _along_probe(draws.fields["layers"], size)
    tilt = wave_B5W[:, 4:5].mean(-1, keepdim=True)
    press = draws.between("press", 0.85, 1.15)
    skin = draws.between("skin", 1.1, 2.4) + 0.1 * wave_B5W[:, 0:1]
    gland = skin + press * draws.between("fat", 2.5, 8.5) + 0.8 * wave_B5W[:, 1:2] + 0.03 * x * tilt
    behind = gland + press * (draws.between("gland", 7, 17) + 0.7 * wave_B5W[:, 2:3]).clamp(min=3)
    fascia = behind + (draws.between("behind", 0.5, 3.5) + 0.4 * wave_B5W[:, 3:4]).clamp(min=0.3)
    pixel = torch.maximum(depth, torch.tensor(WIDTH)) / size
    grain = smooth(draws.fields["grain"], size)[:, 0]
    out = Section(
        x=x.expand(len(depth), -1, -1), z=z, echo=draws.between("fat_echo", -1.5, 1.5) + 1.2 * grain,
        mirror=torch.zeros_like(grain), loss=torch.full_like(grain, -0.08), shadow=torch.zeros_like(grain),
        grain=grain, gland=gland, fascia=fascia, pixel=pixel,
    )  # fmt: skip
    _septa(out, draws, skin=skin, size=size)
    _gland(out, draws, top=gland, bottom=behind, size=size)
    _mimics(out, draws, difficulty=difficulty)
    _muscle(out, draws)
    _skin(out, skin=skin)
    return out


def fibres(draws: Draws, channel: int, *, x: Tensor, z: Tensor) -> Tensor:
    """Streaks along the layers: the field read at depths (BHW, in widths of the image) below a curved boundary."""
    field_B1KL = F.interpolate(draws.fields["streaks"][:, channel : channel + 1], scale_factor=4, mode="bicubic")
    grid_BHW2 = torch.stack([(2 / WIDTH) * x.expand_as(z), (z / 18) - 1], dim=-1)
    return F.grid_sample(field_B1KL, grid_BHW2, padding_mode="reflection", align_corners=False)[:, 0]


def lines(field_BHW: Tensor, *, width: Tensor | float) -> Tensor:
    """The zero lines of a field as walls of a width in pixels, strongest where they lie across the beam."""
    down = F.pad(field_BHW[:, 1:] - field_BHW[:, :-1], (0, 0, 0, 1))
    across = F.pad(field_BHW[:, :, 1:] - field_BHW[:, :, :-1], (0, 1))
    square = torch.addcmul(down.square(), across, across).add_(1e-8)
    line = cover(field_BHW.abs() * square.rsqrt() - width / 2, 1.0)
    return line * (0.15 + 0.85 * down.square() / square)


def _along_probe(field_BC1K: Tensor, size: int) -> Tensor:
    """curve_BCW of a field that changes along the probe alone."""
    return smooth(field_BC1K, size)[:, :, 0]


def _septa(out: Section, draws: Draws, *, skin: Tensor, size: int) -> None:
    """Cooper's ligaments: bright walls between lobules of fat, brightest where the beam meets them square."""
    lobules_B2HW = smooth(draws.fields["lobules"], size)
    wander = 0.12 * out.grain  # walls are not as smooth as the field that places them
    wall = torch.maximum(
        lines(lobules_B2HW[:, 0] + wander - 0.35, width=0.35 / out.pixel),
        lines(lobules_B2HW[:, 1] + wander + 0.4, width=0.3 / out.pixel),
    )
    out.echo = out.echo + 5 * wall
    patchy = (0.9 + 0.5 * out.grain).clamp(min=0)
    out.mirror = out.mirror + wall * patchy * draws.between("septa", 1.0, 4.5) * (out.z > skin)


def _gland(out: Section, draws: Draws, *, top: Tensor, bottom: Tensor, size: int) -> None:
    """Fibroglandular tissue: bright, streaked, mixed with fat as the breast's density says."""
    lobules_B2HW = smooth(draws.fields["lobules"], size)
    dense = cover(lobules_B2HW[:, 0] * 0.8 - draws.between("density", -0.5, 1.8), 0.8)
    within = cover(top - out.z, 1.2) * cover(out.z - bottom, 1.5) * dense
    streak = fibres(draws, 0, x=out.x, z=out.z - 0.5 * top - 0.5 * bottom + 9)
    ducts = cover(out.grain + 1.3, 0.4)
    echo = draws.between("gland_echo", 7, 11) + 4.2 * streak + 2.0 * out.grain - 8 * ducts
    out.echo = torch.lerp(out.echo, echo, within)
    out.mirror = out.mirror * (1 - 0.6 * within) + within * 2.6 * (streak - 0.7).clamp(min=0)
    out.loss = torch.lerp(out.loss, (draws.between("attenuation", 0.1, 0.55)).expand_as(out.loss), within)


def _mimics(out: Section, draws: Draws, *, difficulty: float) -> None:
    """Lobules of fat within the gland, as dark as a lesion, and shadows below steep septa: in all classes alike."""
    count = draws.between("mimics", -0.6, 0.4 + (MIMICS - 0.4) * difficulty)
    for i in range(MIMICS):
        if not bool((count > i).any()):
            break
        place = out.gland.mean(-1, keepdim=True) + draws.between(f"mimic{i}_z", 0, 12)
        radius = draws.between(f"mimic{i}_size", 1.2, 3.0 + 2.5 * difficulty)
        centre = draws.between(f"mimic{i}_x", -17, 17)
        lobule = ellipse(out.x - centre, out.z - place - 0.05 * (out.x - centre), across=1.7 * radius, down=radius)
        shown = cover(lobule + 0.6 * out.grain, 1.0) * (count > i)
        out.echo = torch.lerp(out.echo, draws.between(f"mimic{i}_dark", -7, 0) + out.grain, shown)
        out.mirror = out.mirror * (1 - shown)
        if i % 2:
            beam = torch.exp(-((out.x - centre) / (0.5 * radius)).square()) * (count > i)
            out.shadow = out.shadow - 9 * difficulty * beam * cover(place - out.z, 3.0)


def _muscle(out: Section, draws: Draws) -> None:
    """Pectoral fascia and muscle, striped along its fibres; below it the pleura or a rib, which let nothing through."""
    below = cover(out.fascia - out.z, 0.8)
    stripe = fibres(draws, 1, x=out.x, z=1.6 * (out.z - out.fascia) + 4 + 0.08 * out.x)
    out.echo = torch.lerp(out.echo, -4 + 4.5 * stripe + out.grain, below)
    out.mirror = out.mirror * (1 - below) + below * 2.0 * (stripe - 0.7).clamp(min=0)
    line = cover((out.z - out.fascia).abs() - 0.22, 0.3)
    out.mirror = out.mirror + 3.2 * line * (0.8 + 0.45 * out.grain).clamp(0.1, 1.6)
    wall = out.fascia + draws.between("muscle", 5, 12)
    rib = draws.uniform["rib"] < 0.25
    arch = ((out.x - draws.between("rib_x", -18, 18)) / 8).square()
    surface = torch.where(rib, wall + 2.5 * arch.clamp(max=1.5), wall + 0.03 * out.x)
    beneath = torch.where(rib, cover(arch - 0.85, 0.5), 1.0)
    bright = (
        cover((out.z - surface).abs() - 0.3, 0.4)
        * (0.9 + 0.4 * out.grain).clamp(0.15, 1.6)
        * torch.where(rib, (1 - arch).clamp(min=0), 0.8)
    )
    out.mirror = out.mirror * (1 - cover(surface - out.z, 0.5) * beneath) + 6 * bright
    out.echo = out.echo + cover(surface - out.z, 0.5) * beneath * torch.where(rib, -22.0, -8.0)


def _skin(out: Section, *, skin: Tensor) -> None:
    """Gel, then the skin between its two bright faces."""
    within = cover(out.z - skin, 0.3)
    out.echo = torch.lerp(out.echo, 7 + out.grain, within)
    faces = torch.maximum(cover((out.z - skin).abs() - 0.15, 0.25), cover((out.z - 0.45).abs() - 0.12, 0.25))
    out.mirror = out.mirror * (1 - within) + 5.5 * faces
    gel = cover(out.z - 0.35, 0.2)
    out.echo = torch.lerp(out.echo, torch.tensor(_NONE), gel)

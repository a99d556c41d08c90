"""How an ultrasound machine records a section: attenuation, compensation, point spread, envelope, compression."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from augury.data.phantoms.breast.tissue import SHALLOWEST, WIDTH, Section
from augury.data.phantoms.patients import Draws, one_of
from augury.data.phantoms.shapes import smooth
from augury.data.phantoms.speckle import intensity, scattered
from augury.data.phantoms.spread import along, averaged, gaussian


@dataclass(frozen=True)
class Machine:
    """One device with its preset. The same for every seed: seeds choose patients, not hospitals."""

    axial: float  # mm, standard deviation of the pulse
    lateral: float  # mm in focus
    spread: float  # how much wider away from the focus
    focus: float  # share of the depth
    looks: float  # 0: one look; 1: two of equal weight (spatial compounding)
    video: float  # mm, standard deviation of the smoothing after detection
    level: float  # dB of fat on the display
    range: float  # dB shown
    gamma: float
    fall: float  # dB lost towards the bottom
    noise: float  # dB of the receiver's noise relative to fat, at the bottom


MACHINES = (
    Machine(axial=0.13, lateral=0.32, spread=1.2, focus=0.45, looks=1.0, video=0.15,
            level=-33, range=54, gamma=1.00, fall=8, noise=-24),
    Machine(axial=0.17, lateral=0.45, spread=1.6, focus=0.35, looks=0.7, video=0.20,
            level=-29, range=48, gamma=1.15, fall=14, noise=-20),
    Machine(axial=0.11, lateral=0.28, spread=0.9, focus=0.55, looks=1.0, video=0.12,
            level=-31, range=54, gamma=0.90, fall=4, noise=-28),
    Machine(axial=0.20, lateral=0.55, spread=1.8, focus=0.40, looks=0.4, video=0.24,
            level=-31, range=54, gamma=1.05, fall=18, noise=-18),
    Machine(axial=0.15, lateral=0.38, spread=1.3, focus=0.50, looks=0.6, video=0.18,
            level=-29, range=56, gamma=1.20, fall=10, noise=-22),
)  # fmt: skip
_APERTURE = 0.6  # mm, standard deviation of the beam's width, over which attenuation is averaged
_DB = math.log(10) / 20  # amplitude's natural logarithm a dB


def acquire(section: Section, draws: Draws, noise_B4HW: Tensor, *, scanners: int) -> Tensor:
    """image_BHW in [0, 1]: log-compressed envelope of the echoes."""
    index_B11 = one_of(draws, "scanner", scanners)
    size = noise_B4HW.shape[-1]
    depth = section.z[:, -1:] * (size / (size - 0.5))
    share = section.z / depth
    travel = depth / size
    aperture_111K = gaussian(torch.tensor(_APERTURE * size / WIDTH), widest=_APERTURE * size / WIDTH)[None, None, None]
    loss = along(section.loss.unsqueeze(1), aperture_111K, axis=3)[:, 0]
    gain = section.shadow - (loss * travel).cumsum(1) + _compensation(draws, share, index_B11)
    away = (share - _of("focus", index_B11)) / 0.5
    lateral = _of("lateral", index_B11) * torch.sqrt(1 + _of("spread", index_B11) * away.square()) * (size / WIDTH)
    field_B4HW = scattered(
        noise_B4HW,
        torch.exp(_DB * (section.echo + gain)),
        axial_B=(_of("axial", index_B11) / travel).flatten(),
        lateral_BH=lateral[..., 0],
        widest=(max(one.axial for one in MACHINES) * size / SHALLOWEST, max(map(_broadest, MACHINES)) * size / WIDTH),
    )
    field_B4HW[:, ::2] += (math.sqrt(2) * section.mirror * torch.exp(_DB * gain)).unsqueeze(1)
    power = intensity(field_B4HW, _of("looks", index_B11))
    floor = torch.exp(2 * _DB * (_of("noise", index_B11) + 14 * (share - 1)))  # compensation raises it with depth
    power = power + floor * 0.5 * (noise_B4HW[:, 1].square() + noise_B4HW[:, 2].square())
    video = _of("video", index_B11)
    power = averaged(
        power.unsqueeze(1),
        down_B=(video / travel).flatten(),
        across_B=(video * size / WIDTH).flatten(),
        widest=max(one.video for one in MACHINES) * size / SHALLOWEST,
    )[:, 0]
    decibel = 10 * torch.log10(power)
    return _shown(decibel, draws, index_B11)


def _broadest(machine: Machine) -> float:
    """mm, the lateral point spread where it is widest: farthest from the focus."""
    away = 2 * max(machine.focus, 1 - machine.focus)
    return machine.lateral * math.sqrt(1 + machine.spread * away**2)


def _compensation(draws: Draws, share: Tensor, index_B11: Tensor) -> Tensor:
    """dB_BHW: what time-gain compensation leaves over, and columns where the probe has poor contact."""
    size = share.shape[1]
    sliders = draws.between("tgc", -3, 3) * torch.sin(2 * math.pi * share)
    contact_B1W = smooth(draws.fields["contact"], size)[:, 0]
    edge = torch.linspace(-1, 1, size).view(1, 1, -1).abs().pow(6)
    poor = (contact_B1W - 1.1 + 1.2 * edge).clamp(min=0) * draws.between("contact", -4, 14).clamp(min=0)
    return sliders - _of("fall", index_B11) * share.square() - poor


def _shown(decibel_BHW: Tensor, draws: Draws, index_B11: Tensor) -> Tensor:
    level = _of("level", index_B11) + draws.between("gain", -4, 4) + draws.between("gain_own", -1, 1)
    span = _of("range", index_B11) * draws.between("range", 0.92, 1.08)
    return (1 + (decibel_BHW + level) / span).clamp(0, 1).pow(_of("gamma", index_B11))


def _of(name: str, index_B11: Tensor) -> Tensor:
    return torch.tensor([float(getattr(one, name)) for one in MACHINES])[index_B11]

"""How a scanner records an intensity image: coil bias, point spread, receiver noise, contrast, window. B slices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from augury.data.phantoms.patients import Draws, one_of
from augury.data.phantoms.shapes import length, smooth


@dataclass(frozen=True)
class Scanner:
    """One device. A site's scanner is the same for every seed: seeds choose patients, not hospitals."""

    bias: float  # strength of the coil's uneven sensitivity
    lean_x: float  # where the coil is nearer
    lean_y: float
    blur: float  # point spread, pixels of a 128 px image
    noise: float  # standard deviation of a receiver channel, full range 1
    gamma: float  # of the exported contrast
    black: float  # level of the exported background
    gain: float


SCANNERS = (
    Scanner(bias=0.10, lean_x=0.0, lean_y=0.10, blur=0.45, noise=0.018, gamma=1.00, black=0.00, gain=1.00),
    Scanner(bias=0.22, lean_x=-0.15, lean_y=-0.10, blur=0.70, noise=0.028, gamma=0.82, black=0.02, gain=1.04),
    Scanner(bias=0.14, lean_x=0.10, lean_y=-0.18, blur=0.40, noise=0.038, gamma=1.15, black=0.00, gain=1.22),
    Scanner(bias=0.30, lean_x=0.0, lean_y=0.25, blur=0.85, noise=0.024, gamma=0.92, black=0.03, gain=0.92),
    Scanner(bias=0.18, lean_x=0.20, lean_y=0.05, blur=0.65, noise=0.046, gamma=1.05, black=0.01, gain=1.12),
    Scanner(bias=0.06, lean_x=-0.05, lean_y=0.00, blur=0.80, noise=0.018, gamma=1.25, black=0.00, gain=1.30),
)


def acquire(intensity_BHW: Tensor, draws: Draws, noise_B2HW: Tensor, *, scanners: int, strength: float) -> Tensor:
    """image_BHW in [0, 1] as the scanner exports it; `strength` scales noise and bias with the difficulty."""
    index_B11 = one_of(draws, "scanner", scanners)
    size = intensity_BHW.shape[-1]
    signal = _blurred(intensity_BHW, _of("blur", index_B11) * (size / 128))
    signal = signal * torch.exp(strength * _bias(draws, index_B11, size=size))
    spread = _of("noise", index_B11) * draws.between("noise", 0.6, 1.4) * strength * (size / 128) ** 0.5
    signal = length(signal + spread * noise_B2HW[:, 0], spread * noise_B2HW[:, 1])  # Rician (Gudbjartsson 1995)
    gain = _of("gain", index_B11) * draws.between("window", 0.78, 1.28) * draws.between("gain", 0.95, 1.05)
    shown = (signal * gain).clamp(0, 1).pow(_of("gamma", index_B11))
    black = _of("black", index_B11)
    return black + (1 - black) * shown


def _of(name: str, index_B11: Tensor) -> Tensor:
    return torch.tensor([float(getattr(one, name)) for one in SCANNERS])[index_B11]


def _bias(draws: Draws, index_B11: Tensor, *, size: int) -> Tensor:
    """Logarithm of the smooth sensitivity: a lean that the scanner has and a field of the patient's own."""
    ticks = torch.linspace(-1, 1, size)
    lean = _of("lean_x", index_B11) * ticks.view(1, 1, -1) + _of("lean_y", index_B11) * ticks.view(1, -1, 1)
    field = smooth(draws.fields["bias"], size)[:, 0]
    return lean + 0.6 * _of("bias", index_B11) * (draws.between("bias", 0.6, 1.4) * field)


def _blurred(image_BHW: Tensor, sigma_B11: Tensor) -> Tensor:
    """Twice a three-tap kernel along each axis; its variance, 2 * weight a pass, is that of the Gaussian."""
    weight = (sigma_B11.square() / 4).clamp(max=0.3)
    for _ in range(2):
        padded = F.pad(image_BHW.unsqueeze(1), (1, 1, 0, 0), mode="replicate")[:, 0]
        image_BHW = image_BHW * (1 - 2 * weight) + weight * (padded[..., :-2] + padded[..., 2:])
        padded = F.pad(image_BHW.unsqueeze(1), (0, 0, 1, 1), mode="replicate")[:, 0]
        image_BHW = image_BHW * (1 - 2 * weight) + weight * (padded[:, :-2] + padded[:, 2:])
    return image_BHW

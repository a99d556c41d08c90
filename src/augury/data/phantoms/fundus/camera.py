"""Fundus cameras: field, illumination, sharpness, haze of the eye's media, colours, noise.

B images, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augury.data.phantoms.fundus.view import View
from augury.data.phantoms.patients import Draws
from augury.data.phantoms.shapes import cover, length, smooth
from augury.data.phantoms.spread import averaged


@dataclass(frozen=True)
class Camera:
    """One device. The same for every seed: seeds choose patients, not hospitals."""

    field: float  # mm of retina across the field of view (45 degrees are about 13)
    circle: float  # the field's diameter as a share of the image's side
    cut: float  # the height that is kept, as a share of the side
    notch: bool  # the small tab that marks the orientation
    red: float  # gains
    green: float
    blue: float
    gamma: float
    blur: float  # mm on the retina
    noise: float  # standard deviation, full range 1
    vignette: float


CAMERAS = (
    Camera(field=13.2, circle=1.00, cut=0.84, notch=True, red=1.00, green=1.00, blue=0.85,
           gamma=1.00, blur=0.010, noise=0.010, vignette=0.25),
    Camera(field=13.0, circle=0.96, cut=1.00, notch=False, red=0.92, green=1.10, blue=1.35,
           gamma=0.90, blur=0.016, noise=0.016, vignette=0.45),
    Camera(field=14.6, circle=1.04, cut=0.88, notch=True, red=1.10, green=0.92, blue=0.70,
           gamma=1.12, blur=0.013, noise=0.013, vignette=0.35),
    Camera(field=12.4, circle=0.98, cut=0.98, notch=False, red=0.85, green=0.95, blue=1.10,
           gamma=0.85, blur=0.022, noise=0.022, vignette=0.55),
    Camera(field=13.6, circle=0.92, cut=1.00, notch=True, red=1.05, green=1.05, blue=1.00,
           gamma=1.05, blur=0.012, noise=0.018, vignette=0.30),
)  # fmt: skip
_DEFOCUS = 0.05  # mm on the retina, at most
_HAZE = 0.42  # at most
_VEIL = (0.62, 0.60, 0.62)  # light scattered by the eye's media


def of(name: str, index_B11: Tensor) -> Tensor:
    """A property of each image's camera, B11."""
    return torch.tensor([float(getattr(one, name)) for one in CAMERAS])[index_B11]


def finest(size: int) -> float:
    """mm: the smallest pixel of any camera, whatever is photographed."""
    return min(one.field / one.circle for one in CAMERAS) / size


def field_of_view(view: View, index_B11: Tensor) -> Tensor:
    """Signed distance_BHW, pixels, to the edge of what the camera shows."""
    ticks = torch.arange(view.size, dtype=torch.float32) - (view.size - 1) / 2
    u, v = ticks.view(1, 1, -1), ticks.view(1, -1, 1)
    radius = of("circle", index_B11) * view.size / 2
    outside = torch.maximum(length(u, v) - radius, v.abs() - of("cut", index_B11) * view.size / 2)
    across, up = u - 0.78 * radius, v + 0.64 * radius
    tab = torch.maximum(across.abs(), up.abs()) - 0.018 * view.size
    return torch.where(of("notch", index_B11) > 0, torch.minimum(outside, tab), outside)


def shown(field_BHW: Tensor) -> NDArray[np.bool_]:
    """Pixels whose centre lies within the field."""
    inside: NDArray[np.bool_] = (field_BHW < 0).numpy()
    return inside


def photograph(
    reflectance_B3HW: Tensor, draws: Draws, view: View, noise_B3HW: Tensor, *, index_B11: Tensor, strength: float
) -> Tensor:
    """image_B3HW in [0, 1]; `strength` scales haze, blur and uneven light with the difficulty."""
    size = view.size
    light = _light(draws, index_B11, size=size, strength=strength).unsqueeze(1)
    haze = (draws.between("haze", -0.25, _HAZE) * strength).clamp(min=0.0).unsqueeze(1)
    focus = of("blur", index_B11) + strength * _DEFOCUS * draws.uniform["focus"].pow(3) + 0.06 * haze[:, 0]
    sigma_B = (focus / view.pixel).flatten()
    widest = (max(one.blur for one in CAMERAS) + strength * (_DEFOCUS + 0.06 * _HAZE)) / finest(size)
    seen = averaged(reflectance_B3HW, down_B=sigma_B, across_B=sigma_B, widest=widest)
    veil = torch.tensor(_VEIL).view(1, 3, 1, 1)
    seen = light * torch.lerp(seen, veil.expand_as(seen), haze)
    hue = draws.between("hue", -0.12, 0.12).unsqueeze(1) * torch.tensor([0.6, -0.2, -1.2]).view(1, 3, 1, 1)
    gain = torch.stack([of(name, index_B11) for name in ("red", "green", "blue")], dim=1)
    gain = gain * torch.exp(hue + draws.between("exposure", -0.22, 0.22).unsqueeze(1))
    spread = of("noise", index_B11).unsqueeze(1) * (size / 512) ** 0.5 * (0.5 + 0.5 * strength)
    seen = (seen * gain).clamp(0, 1).pow(of("gamma", index_B11).unsqueeze(1)) + spread * noise_B3HW
    seen = seen.clamp(0, 1)
    inside = cover(field_of_view(view, index_B11), 1.0)
    return torch.mul(seen, inside.unsqueeze(1))


def _light(draws: Draws, index_B11: Tensor, *, size: int, strength: float) -> Tensor:
    """The flash as it falls on the retina: weaker towards the rim, off centre, uneven."""
    ticks = torch.linspace(-1, 1, size)
    u = ticks.view(1, 1, -1) - draws.between("light_x", -0.45, 0.45)
    v = ticks.view(1, -1, 1) - draws.between("light_y", -0.35, 0.35)
    dark = of("vignette", index_B11) * draws.between("vignette", 0.6, 1.3)
    uneven = 0.10 * strength * smooth(draws.fields["light"], size)[:, 0]
    return draws.between("light", 0.85, 1.1) * torch.exp(uneven - dark * (u.square() + v.square()))

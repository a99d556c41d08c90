"""Coherent imaging: random scatterers seen through a point-spread function (ultrasound, OCT).

B images, R looks, K taps.

The sum of many scatterers in a resolution cell is a circular complex Gaussian, its magnitude Rayleigh with a ratio of
mean to deviation of 1.91 (Burckhardt 1978). The point spread correlates neighbours: the covariance of intensities is
the squared magnitude of the field's (Wagner, Smith, Sandrik and Lopez 1983).
"""

from __future__ import annotations

import torch
from torch import Tensor

from augury.data.phantoms.spread import along, gaussian


def scattered(
    noise_BRHW: Tensor, amplitude_BHW: Tensor, *, axial_B: Tensor, lateral_BH: Tensor, widest: tuple[float, float]
) -> Tensor:
    """field_BRHW: scatterers of this root-mean-square amplitude through a Gaussian point spread, without carrier.

    R holds real and imaginary parts of each look. Standard deviations are in pixels, the lateral one by depth, both
    at most as `widest` (axial, lateral) says; each kernel has unit energy, so that a homogeneous medium
    keeps its mean intensity at every depth.
    """
    field_BRHW = noise_BRHW * amplitude_BHW.unsqueeze(1)
    field_BRHW = along(field_BRHW, energetic(gaussian(lateral_BH, widest=widest[1]))[:, None, :, None, :], axis=3)
    return along(field_BRHW, energetic(gaussian(axial_B, widest=widest[0]))[:, None, None, None, :], axis=2)


def energetic(kernel: Tensor) -> Tensor:
    """The kernels_...K scaled so that their squares sum to one."""
    return kernel / kernel.square().sum(-1, keepdim=True).sqrt()


def intensity(field_BRHW: Tensor, looks: Tensor | float = 1.0) -> Tensor:
    """intensity_BHW averaged over looks; `looks` in [0, 1] says how much the second counts beside the first."""
    square_BRHW = field_BRHW.square()
    first, second = square_BRHW[:, 0] + square_BRHW[:, 1], square_BRHW[:, 2] + square_BRHW[:, 3]
    return (first + looks * second) / (2 * (1 + torch.as_tensor(looks)))

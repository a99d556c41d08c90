"""Gaussian point spread along the axes of an image, by depth or by image. B images, C channels, K taps."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_REACH = 2.6  # standard deviations that are kept


def gaussian(sigma: Tensor, *, widest: float) -> Tensor:
    """kernel_...K of unit sum for each standard deviation in pixels, none above `widest`; exact down to none.

    The number of taps follows from `widest` alone, so that a kernel does not depend on what is drawn beside it.
    """
    reach = max(1, math.ceil(_REACH * widest))
    tap_K = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (tap_K / sigma.clamp(min=1e-3).unsqueeze(-1)).square())
    return kernel / kernel.sum(-1, keepdim=True)


def averaged(image_BCHW: Tensor, *, down_B: Tensor, across_B: Tensor, widest: float) -> Tensor:
    """The image smoothed by standard deviations in pixels along either axis; means are kept."""
    image_BCHW = along(image_BCHW, gaussian(down_B, widest=widest)[:, None, None, None], axis=2)
    return along(image_BCHW, gaussian(across_B, widest=widest)[:, None, None, None], axis=3)


def along(field_BCHW: Tensor, kernel: Tensor, *, axis: int) -> Tensor:
    """Convolution along one axis, mirrored at the edges; the kernel's last axis holds the taps."""
    taps = kernel.shape[-1]
    reach, length = taps // 2, field_BCHW.shape[axis]
    pad = (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach)
    padded = F.pad(field_BCHW, pad, mode="reflect" if reach < length else "replicate")
    out = torch.zeros_like(field_BCHW)
    for k in range(taps):
        out.addcmul_(padded.narrow(axis, k, length), kernel[..., k])
    return out

"""What the kinds with one grey channel, one mask and one label a patient state of their images alike.

B images, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from augury.data.phantoms.patients import Draws, one_of, recorded
from augury.data.phantoms.phantom import Phantom, box_around
from augury.data.phantoms.population import Population


def grey_phantom(
    population: Population, draws: Draws, *, patients: Sequence[int], image_BHW: Tensor, mask_BHW: Tensor, part: str
) -> Phantom:
    """The images as bytes, with their masks (`part` names them), a box around each mask, and the drawn labels."""
    truth_B = draws.kind_B11.flatten()
    names = [population.classes[kind] for kind in truth_B.tolist()]
    return Phantom(
        image_NHWC=image_BHW.unsqueeze(-1).numpy(),
        part_NHW=mask_BHW.to(torch.uint8).numpy(),
        boxes=tuple(box_around(mask, label=name) for mask, name in zip(mask_BHW.numpy(), names, strict=True)),
        label_N=recorded(truth_B, draws, noise=population.label_noise, classes=len(population.classes)).numpy(),
        truth_N=truth_B.numpy(),
        patient_N=np.repeat(np.asarray(patients, dtype=np.int64), population.images_per_patient),
        scanner_N=one_of(draws, "scanner", population.scanners).flatten().numpy(),
        classes=population.classes,
        parts=(part,),
    )

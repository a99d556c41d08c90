"""What is drawn for every patient and slice before a pixel is rendered.

A patient's stream of random numbers is keyed by (seed, patient) alone, so any subset of patients is the same wherever
and however often it is drawn. P patients, B slices (S a patient, patient by patient), Q quantities, G and K cells of
coarse fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PATIENT = (
    # head and brain
    "width", "length", "egg", "zoom", "atrophy", "ventricles", "asymmetry", "midline", "scalp", "skull", "pose",
    # acquisition
    "scanner", "sequence", "gray_white", "window", "enhancement",
    # lesion
    "level", "low_level", "place", "angle", "depth", "radius", "aspect", "lean", "visibility", "necrosis", "oedema",
    "atypical", "lobes", "side", "spacing",
    # things that look like lesions
    "mimics", "hyperintensity",
    # labels
    "flip_label", "other_label",
)  # fmt: skip
MIMICS = 4  # at most, in a slice
SLICE = (
    *("offset", "turn", "shift_x", "shift_y", "gain", "bias", "noise"),
    *(f"mimic{i}_{what}" for i in range(MIMICS) for what in ("angle", "radius", "size")),
)
COARSE = 5  # cells of the anatomical warp and of the bias field
CORTEX = (46, 5)  # cells around the head and towards its centre: sulci run mostly inwards
FINE = 18  # cells of tissue texture, lesion outlines and oedema

_CLASS_KEY = 0x5EED_C1A5
_PIXEL_KEY = 0x5EED_0153


@dataclass(frozen=True)
class Draws:
    """Uniform numbers by name, each u_B11 in [0, 1), and the coarse Gaussian fields of B slices."""

    uniform: dict[str, Tensor]
    kind_B11: Tensor  # int64 class of the patient
    warp_B2GG: Tensor
    bias_B1GG: Tensor
    cortex_B1KK: Tensor
    fine_B2KK: Tensor

    def between(self, name: str, low: float, high: float) -> Tensor:
        """Uniform numbers stretched to [low, high)."""
        return self.uniform[name] * (high - low) + low

    def select(self, index_B: Tensor) -> Draws:
        """The draws of some of the slices."""
        return Draws(
            uniform={name: value[index_B] for name, value in self.uniform.items()},
            kind_B11=self.kind_B11[index_B],
            warp_B2GG=self.warp_B2GG[index_B],
            bias_B1GG=self.bias_B1GG[index_B],
            cortex_B1KK=self.cortex_B1KK[index_B],
            fine_B2KK=self.fine_B2KK[index_B],
        )


def stream(seed: int, key: int) -> np.random.Generator:
    """The random numbers of one key under a seed: Philox (Salmon et al. 2011) needs no state from elsewhere."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, key], dtype=np.uint64)))


def kind_of(patient: int, *, seed: int, classes: int) -> int:
    """The class of a patient: every block of `classes` patients holds each class once, in random order."""
    order = stream(seed ^ _CLASS_KEY, patient // classes).permutation(classes)
    return int(order[patient % classes])


def draw(patients: Sequence[int], *, seed: int, slices: int, classes: int) -> Draws:
    """All random quantities of these patients' slices."""
    drawn = [_draw_patient(stream(seed, patient), slices) for patient in patients]
    table_BQ = torch.from_numpy(np.concatenate([one[0] for one in drawn]).astype(np.float32))
    fields = [torch.from_numpy(np.concatenate([one[i] for one in drawn])) for i in range(1, 5)]
    kind_P = torch.tensor([kind_of(patient, seed=seed, classes=classes) for patient in patients])
    return Draws(
        uniform={name: table_BQ[:, i].view(-1, 1, 1) for i, name in enumerate(PATIENT + SLICE)},
        kind_B11=kind_P.repeat_interleave(slices).view(-1, 1, 1),
        warp_B2GG=fields[0],
        bias_B1GG=fields[1],
        cortex_B1KK=fields[2],
        fine_B2KK=fields[3],
    )


def pixel_noise(patient: int, *, seed: int, slices: int, size: int) -> NDArray[np.float32]:
    """noise_S2HW of the two channels of the receiver, standard normal."""
    return stream(seed ^ _PIXEL_KEY, patient).standard_normal((slices, 2, size, size), dtype=np.float32)


def _draw_patient(rng: np.random.Generator, slices: int) -> tuple[NDArray[np.float32], ...]:
    """table_SQ and the coarse fields of one patient; slices of a patient share most of each field."""
    shared_Q = rng.random(len(PATIENT))
    own_SQ = rng.random((slices, len(SLICE)))
    table_SQ = np.concatenate([np.tile(shared_Q, (slices, 1)), own_SQ], axis=1)
    return (
        table_SQ.astype(np.float32),
        _through_slices(rng, (2, COARSE, COARSE), slices, change=0.25),
        _through_slices(rng, (1, COARSE, COARSE), slices, change=0.2),
        _through_slices(rng, (1, *CORTEX), slices, change=0.6),
        _through_slices(rng, (2, FINE, FINE), slices, change=0.5),
    )


def _through_slices(
    rng: np.random.Generator, shape: tuple[int, ...], slices: int, *, change: float
) -> NDArray[np.float32]:
    """field_S... of unit variance: a part shared by the slices and a part, of weight `change`, of each slice's own."""
    shared = rng.standard_normal((1, *shape), dtype=np.float32)
    own = rng.standard_normal((slices, *shape), dtype=np.float32)
    field: NDArray[np.float32] = np.sqrt(1 - change**2, dtype=np.float32) * shared + np.float32(change) * own
    return field

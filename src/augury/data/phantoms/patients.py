"""What is drawn for every patient and image before a pixel is rendered.

A patient's stream of random numbers is keyed by (seed, patient) alone, so any subset of patients is the same wherever
and however often it is drawn. P patients, B images (S a patient, patient by patient, eye by eye), Q quantities, C
channels and K x L cells of coarse fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_CLASS_KEY = 0x5EED_C1A5
_PIXEL_KEY = 0x5EED_0153
_EYE_KEY = 0x5EED_0E1E


@dataclass(frozen=True)
class Field:
    """A coarse Gaussian field: one part shared by the patient and one, of weight `change`, of each image's own."""

    cells: tuple[int, int, int]  # CKL
    change: float
    own: Literal["image", "eye"] = "image"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The random quantities of a kind, by name: those of a patient, of each eye, of each image, and the fields."""

    patient: tuple[str, ...]
    eye: tuple[str, ...] = ()
    image: tuple[str, ...]
    fields: Mapping[str, Field] = field(default_factory=dict)
    eyes: int = 1


@dataclass(frozen=True)
class Draws:
    """Uniform numbers by name, each u_B11 in [0, 1), and the coarse Gaussian fields field_BCKL, of B images."""

    uniform: Mapping[str, Tensor]
    kind_B11: Tensor  # int64 class of the patient
    fields: Mapping[str, Tensor]

    def between(self, name: str, low: float, high: float) -> Tensor:
        """Uniform numbers stretched to [low, high)."""
        return self.uniform[name] * (high - low) + low

    def select(self, index_B: Tensor) -> Draws:
        """The draws of some of the images."""
        return Draws(
            uniform={name: value[index_B] for name, value in self.uniform.items()},
            kind_B11=self.kind_B11[index_B],
            fields={name: value[index_B] for name, value in self.fields.items()},
        )


def stream(seed: int, key: int) -> np.random.Generator:
    """The random numbers of one key under a seed: Philox (Salmon et al. 2011) needs no state from elsewhere."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, key], dtype=np.uint64)))


def eye_stream(patient: int, *, seed: int, eye: int) -> np.random.Generator:
    """Random numbers, as many as are asked for, of one eye: lesions come in numbers that no table foresees."""
    return stream(seed ^ _EYE_KEY, 2 * patient + eye)


def kind_of(patient: int, *, seed: int, classes: int) -> int:
    """The class of a patient: every block of `classes` patients holds each class once, in random order."""
    order = stream(seed ^ _CLASS_KEY, patient // classes).permutation(classes)
    return int(order[patient % classes])


def draw(patients: Sequence[int], plan: Plan, *, seed: int, images: int, classes: int) -> Draws:
    """All random quantities of these patients' images."""
    drawn = [_draw_patient(stream(seed, patient), plan, images) for patient in patients]
    table_BQ = torch.from_numpy(np.concatenate([table for table, _ in drawn]).astype(np.float32))
    names = plan.patient + plan.eye + plan.image
    kind_P = torch.tensor([kind_of(patient, seed=seed, classes=classes) for patient in patients])
    return Draws(
        uniform={name: table_BQ[:, i].view(-1, 1, 1) for i, name in enumerate(names)},
        kind_B11=kind_P.repeat_interleave(images).view(-1, 1, 1),
        fields={name: torch.from_numpy(np.concatenate([fields[name] for _, fields in drawn])) for name in plan.fields},
    )


def pixel_noise(patients: Sequence[int], *, seed: int, images: int, channels: int, size: int) -> Tensor:
    """noise_BCHW of the receiver, standard normal."""
    shape = (images, channels, size, size)
    drawn = [stream(seed ^ _PIXEL_KEY, patient).standard_normal(shape, dtype=np.float32) for patient in patients]
    return torch.from_numpy(np.concatenate(drawn))


def recorded(truth_B: Tensor, draws: Draws, *, noise: float, classes: int, ordered: bool = False) -> Tensor:
    """Labels with noise: this share of patients (of eyes, where the draws are an eye's) gets another class.

    Any of the others alike; of an ordered scale the grade above or below, as between two graders.
    """
    wrong_B = draws.uniform["other_label"].flatten()
    other_B = (truth_B + 1 + (wrong_B * (classes - 1)).long()) % classes
    if ordered:
        step_B = torch.where(wrong_B < 0.5, -1, 1)
        other_B = torch.where(
            (truth_B + step_B < 0) | (truth_B + step_B >= classes), truth_B - step_B, truth_B + step_B
        )
    return torch.where(draws.uniform["flip_label"].flatten() < noise, other_B, truth_B)


def one_of(draws: Draws, name: str, count: int) -> Tensor:
    """index_B11, int64: which of `count` equally frequent things the quantity `name` chooses."""
    return (draws.uniform[name] * count).long().clamp(max=count - 1)


def _draw_patient(
    rng: np.random.Generator, plan: Plan, images: int
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float32]]]:
    """table_SQ and the coarse fields of one patient; the images of a patient share most of each field."""
    patient_SQ = np.tile(rng.random(len(plan.patient)), (images, 1))
    eye_SQ = np.repeat(rng.random((plan.eyes, len(plan.eye))), images // plan.eyes, axis=0)
    table_SQ = np.concatenate([patient_SQ, eye_SQ, rng.random((images, len(plan.image)))], axis=1)
    return table_SQ, {name: _correlated(rng, one, images, eyes=plan.eyes) for name, one in plan.fields.items()}


def _correlated(rng: np.random.Generator, field_: Field, images: int, *, eyes: int) -> NDArray[np.float32]:
    """field_SCKL of unit variance."""
    shared = rng.standard_normal((1, *field_.cells), dtype=np.float32)
    own = rng.standard_normal((images if field_.own == "image" else eyes, *field_.cells), dtype=np.float32)
    own = np.repeat(own, images // len(own), axis=0)
    mixed: NDArray[np.float32] = (
        np.sqrt(1 - field_.change**2, dtype=np.float32) * shared + np.float32(field_.change) * own
    )
    return mixed

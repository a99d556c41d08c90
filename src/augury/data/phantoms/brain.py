"""The phantom `brain`: MRI-like axial slices of four classes. B slices, P patients, N images, H height, W width."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augury.data.phantoms import anatomy, lesions
from augury.data.phantoms.patients import Draws, draw, pixel_noise
from augury.data.phantoms.phantom import Phantom
from augury.data.phantoms.scanner import SCANNERS, acquire, scanner_of
from augury.errors import UserError

REVISION = 1  # raised when the same configuration and seed give other pixels
CLASSES = ("glioma", "meningioma", "no_tumor", "pituitary")
_PIXELS_AT_ONCE = 2**16  # rendered together: enough for speed, few enough for the processor's cache


@dataclass(frozen=True, kw_only=True)
class BrainConfig:
    """What kind of images are drawn. The seed chooses the patients, this their population."""

    size: int = 128  # pixels of either side
    difficulty: float = 0.3  # 0: lesions shine; 1: small, faint, many mimics, many that look like another kind
    slices_per_patient: int = 4
    scanners: int = 4
    label_noise: float = 0.0  # share of patients whose recorded label is a wrong one
    lesions: bool = True  # False: the same patients without lesions and masks, labels kept: the counterfactual

    def __post_init__(self) -> None:
        _expect("size", self.size, low=16, high=512)
        _expect("difficulty", self.difficulty, low=0, high=1)
        _expect("slices_per_patient", self.slices_per_patient, low=1, high=64)
        _expect("scanners", self.scanners, low=1, high=len(SCANNERS))
        _expect("label_noise", self.label_noise, low=0, high=1)


def render(config: BrainConfig, *, n: int, seed: int, progress: Callable[[int, int], None] | None = None) -> Phantom:
    """n images of ceil(n / slices_per_patient) patients, patient by patient; a longer set begins with the shorter one.

    `progress` is called with images done and images wanted.
    """
    if n < 1:
        raise UserError(f"n={n} images: expected at least 1")
    patients = range(math.ceil(n / config.slices_per_patient))
    whole = render_patients(config, patients, seed=seed, progress=progress)
    return Phantom(
        image_NHW=whole.image_NHW[:n],
        mask_NHW=whole.mask_NHW[:n],
        label_N=whole.label_N[:n],
        truth_N=whole.truth_N[:n],
        patient_N=whole.patient_N[:n],
        scanner_N=whole.scanner_N[:n],
        classes=CLASSES,
    )


def render_patients(
    config: BrainConfig,
    patients: Sequence[int],
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Phantom:
    """All slices of these patients. Each is a pure function of (config, seed, patient), whoever is drawn beside it."""
    if not 0 <= seed < 2**63:
        raise UserError(f"seed={seed}: expected 0 <= seed < 2**63")
    slices, size = config.slices_per_patient, config.size
    total = len(patients) * slices
    image_NHW = np.empty((total, size, size), dtype=np.uint8)
    mask_NHW = np.empty((total, size, size), dtype=np.bool_)
    facts_N4 = np.empty((total, 4), dtype=np.int64)
    step = max(1, _PIXELS_AT_ONCE // (slices * size**2))
    for start in range(0, len(patients), step):
        chosen = list(patients[start : start + step])
        here = slice(start * slices, (start + len(chosen)) * slices)
        image_NHW[here], mask_NHW[here], facts_N4[here] = _render_some(config, chosen, seed=seed, step=step)
        if progress is not None:
            progress(here.stop, total)
    return Phantom(
        image_NHW=image_NHW,
        mask_NHW=mask_NHW,
        label_N=facts_N4[:, 0],
        truth_N=facts_N4[:, 1],
        patient_N=facts_N4[:, 2],
        scanner_N=facts_N4[:, 3],
        classes=CLASSES,
    )


def _render_some(
    config: BrainConfig, patients: list[int], *, seed: int, step: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.int64]]:
    """Images, masks and (label, truth, patient, scanner) of one batch.

    The batch is always filled to the same size, so that vectorised arithmetic rounds alike whoever is drawn together.
    """
    slices, size = config.slices_per_patient, config.size
    filled = patients + [patients[0]] * (step - len(patients))
    draws = draw(filled, seed=seed, slices=slices, classes=len(CLASSES))
    noise = np.concatenate([pixel_noise(patient, seed=seed, slices=slices, size=size) for patient in filled])
    image_BHW, mask_BHW = _slices(config, draws, torch.from_numpy(noise))
    facts = [draws.kind_B11, draws.kind_B11, draws.kind_B11, scanner_of(draws, scanners=config.scanners)]
    facts_B4 = torch.stack([fact.flatten() for fact in facts], dim=1).numpy()
    facts_B4[:, 0] = _recorded(config, draws)
    facts_B4[:, 2] = np.repeat(filled, slices)
    used = len(patients) * slices
    return image_BHW[:used].numpy(), mask_BHW[:used].numpy(), facts_B4[:used]


def _slices(config: BrainConfig, draws: Draws, noise_B2HW: Tensor) -> tuple[Tensor, Tensor]:
    """image_BHW as bytes and mask_BHW."""
    lesion = lesions.plan(draws, difficulty=config.difficulty)
    head = anatomy.place(draws, z=lesion.z, push=lesion.push(shown=config.lesions), size=config.size)
    intensity_BHW = anatomy.render(head, draws)
    intensity_BHW = lesions.mimics(intensity_BHW, head, draws, difficulty=config.difficulty)
    outline_BHW = lesions.distance(lesion, head, draws)
    if config.lesions:
        intensity_BHW = lesions.render(intensity_BHW, lesion, outline_BHW, head=head)
    strength = 0.4 + 0.6 * config.difficulty
    image_BHW = acquire(intensity_BHW, draws, noise_B2HW, scanners=config.scanners, strength=strength)
    return (image_BHW * 255).round_().to(torch.uint8), (outline_BHW < 0) & config.lesions


def _recorded(config: BrainConfig, draws: Draws) -> NDArray[np.int64]:
    """Labels with noise: a struck patient gets one of the other classes, on all slices."""
    truth_B = draws.kind_B11.flatten()
    other_B = (truth_B + 1 + (draws.uniform["other_label"].flatten() * (len(CLASSES) - 1)).long()) % len(CLASSES)
    struck_B = draws.uniform["flip_label"].flatten() < config.label_noise
    recorded: NDArray[np.int64] = torch.where(struck_B, other_B, truth_B).numpy()
    return recorded


def _expect(name: str, value: float, *, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UserError(f"phantom brain {name}={value}: expected {low} to {high}")

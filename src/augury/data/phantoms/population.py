"""The one design on which every kind of phantom hangs. N images of patients; the driver that draws them in batches.

A kind is a frozen dataclass: its fields are what a user may choose of the population, `draw` renders some of its
patients. Batches, subsets, counts, label noise's bookkeeping and the disk are the same for all.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from augury.data.phantoms.phantom import Phantom, joined
from augury.errors import UserError

Progress = Callable[[int, int], None]
_PIXELS_AT_ONCE = 2**16  # rendered together: enough for speed, few enough for the processor's cache


@dataclass(frozen=True, kw_only=True)
class Population(ABC):
    """What kind of images are drawn. The seed chooses the patients, this their population."""

    size: int = 128  # pixels of either side
    difficulty: float = 0.3  # 0: lesions shine; 1: small, faint, with many things that resemble them
    scanners: int = 4
    label_noise: float = 0.0  # share of patients (of eyes, where an eye has its label) whose recorded label is wrong
    lesions: bool = True  # False: the same patients without lesions and masks, labels kept: the counterfactual

    kind: ClassVar[str]
    revision: ClassVar[int]  # raised when the same configuration and seed give other pixels
    classes: ClassVar[tuple[str, ...]]
    limits: ClassVar[Mapping[str, tuple[float, float]]]  # of the fields, both included

    @property
    @abstractmethod
    def images_per_patient(self) -> int:
        """How many images each patient has."""

    @abstractmethod
    def draw(self, patients: Sequence[int], *, seed: int) -> Phantom:
        """All images of these patients, patient by patient.

        The driver always asks for equally many patients, so that vectorised arithmetic rounds alike whoever is drawn
        together.
        """

    def __post_init__(self) -> None:
        for name, (low, high) in self.limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(f"phantom {self.kind} {name}={value}: expected {low:g} to {high:g}")


def render(config: Population, *, n: int, seed: int, progress: Progress | None = None) -> Phantom:
    """The first n images of the population, patient by patient; a longer set begins with the shorter one.

    `progress` is called with images done and images wanted.
    """
    return joined(list(batches(config, n=n, seed=seed, progress=progress)))


def batches(config: Population, *, n: int, seed: int, progress: Progress | None = None) -> Iterator[Phantom]:
    """The images of `render`, a few patients at a time, in memory that does not grow with n."""
    if n < 1:
        raise UserError(f"n={n} images: expected at least 1")
    done = 0
    for batch in _batches(config, range(math.ceil(n / config.images_per_patient)), seed=seed):
        yield batch.first(n - done)
        done = min(done + len(batch), n)
        if progress is not None:
            progress(done, n)


def render_patients(config: Population, patients: Sequence[int], *, seed: int) -> Phantom:
    """All images of these patients. Each is a pure function of (config, seed, patient), whoever is drawn beside it."""
    return joined(list(_batches(config, patients, seed=seed)))


def _batches(config: Population, patients: Sequence[int], *, seed: int) -> Iterator[Phantom]:
    if not 0 <= seed < 2**63:
        raise UserError(f"seed={seed}: expected 0 <= seed < 2**63")
    step = max(1, _PIXELS_AT_ONCE // (config.images_per_patient * config.size**2))
    for start in range(0, len(patients), step):
        chosen = list(patients[start : start + step])
        filled = chosen + chosen[:1] * (step - len(chosen))
        yield config.draw(filled, seed=seed).first(len(chosen) * config.images_per_patient)

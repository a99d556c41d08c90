"""What is known about images: samples and the manifests that hold them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from augury.data.splits import parts

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle in original pixels; (x, y) is its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    label: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One image and all that is known about it.

    `row` is unique in its manifest; `id` is the digest of the decoded pixels; `patient` is the unit that no split may
    divide; `group` is the patient joined with every exact and near duplicate of any of its images (the unit of
    resampling).
    """

    row: str
    id: str
    patient: str
    group: str
    image: Path
    member: str | None = None  # which image of a file that holds many, such as "train_images/17" of an npz
    label: int | None = None  # index into the manifest's classes; None: unlabelled
    masks: Mapping[str, Path] = field(default_factory=dict)
    boxes: tuple[Box, ...] = ()
    eye: str | None = None  # "left" or "right"
    modality: str | None = None
    text: str | None = None
    split: str | None = None  # "train", "val" or "test" where the source gave one
    meta: Mapping[str, str] = field(default_factory=dict)  # site, sex, age, and every column that we do not know
    origin: str = "real"  # or the digest of the artefact that drew it
    source: str | None = None  # id of the real sample that steered it


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An image that was listed and could not be decoded, and why."""

    image: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Manifest(Sequence[Sample]):
    """An immutable list of samples that knows its classes and its digest."""

    name: str
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    patients_known: bool = False
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()  # what the importer recognised and decided, to be printed

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, index: int | slice) -> Sample | tuple[Sample, ...]:
        return self.samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    @property
    def label_N(self) -> IntArray:
        """Class index per sample, -1 where unlabelled."""
        return np.array([-1 if s.label is None else s.label for s in self.samples], dtype=np.int64)

    @property
    def group_N(self) -> IntArray:
        """Group code per sample: 0, 1, ... in order of first appearance."""
        codes: dict[str, int] = {}
        return np.array([codes.setdefault(s.group, len(codes)) for s in self.samples], dtype=np.int64)

    @property
    def digest(self) -> str:
        """Hex digest of what the samples are: pixels, labels, masks, groups. Neither paths nor the name enter."""
        state = hashlib.sha256(f'{{"classes":{_json(self.classes)},"samples":['.encode())
        for i, sample in enumerate(self.samples):  # one at a time: the text of a million would take gigabytes
            state.update((("," if i else "") + _json(_facts(sample))).encode())
        state.update(b"]}")
        return state.hexdigest()[:16]

    def subset(self, indices: Iterable[int]) -> Manifest:
        """The samples at these positions, in this order."""
        return replace(self, samples=tuple(self.samples[int(i)] for i in indices))

    def split(self, shares: Mapping[str, float], *, seed: int) -> dict[str, Manifest]:
        """Named parts with about these shares of every class, groups whole; UserError for too few groups."""
        part_N = parts(self.label_N, self.group_N, shares=list(shares.values()), seed=seed)
        return {name: self.subset(np.flatnonzero(part_N == part)) for part, name in enumerate(shares)}

    def labelled(self) -> Manifest:
        """The samples that have a label."""
        return self.subset(np.flatnonzero(self.label_N >= 0))


def digest_of(facts: Any) -> str:
    """Sixteen hex digits of the SHA-256 of a JSON value; equal values give equal digests on every machine.

    >>> digest_of({"b": 1, "a": [2]}) == digest_of({"a": (2,), "b": 1})
    True
    """
    return hashlib.sha256(_json(facts).encode()).hexdigest()[:16]


def _json(facts: Any) -> str:
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _facts(s: Sample) -> list[Any]:
    """What of a sample decides a manifest's digest."""
    return [
        s.row, s.id, s.patient, s.group, s.label, sorted(s.masks), [asdict(b) for b in s.boxes], s.eye, s.modality,
        s.text, s.split, sorted(s.meta.items()), s.origin, s.source,
    ]  # fmt: skip

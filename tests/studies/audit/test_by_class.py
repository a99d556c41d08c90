"""Figures of single classes: a class that is drawn badly is told from one that is drawn well."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augury.data.sample import Manifest, Sample
from augury.data.store import Preparation
from augury.studies.audit.encoders import Encoder
from augury.studies.audit.resemblance import encoded, kid_by_class
from augury.studies.audit.subjects import Part, Subjects

CLASSES = ("well", "badly", "never")
PIXELS = Encoder(
    name="pixels", says="", digest="pixels", compute=lambda image_NCHW: np.asarray(image_NCHW, np.float32)[:, 0, 0] / 64
)


def part(name: str, mean_N: NDArray[np.float64], label_N: NDArray[np.int64]) -> Part:
    """Images of one row of 8 pixels about a mean of their own, each of a patient of its own."""
    rng = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
    pixels = np.clip(mean_N[:, None] + rng.normal(0, 20, (len(mean_N), 8)), 0, 255).astype(np.uint8)
    samples = tuple(
        Sample(row=f"{name}{i}", id=f"{name}{i}", patient=f"{name}{i}", group=f"{name}{i}", image=Path("x"), label=k)
        for i, k in enumerate(label_N.tolist())
    )
    manifest = Manifest(name=name, samples=samples, classes=CLASSES)
    return Part(manifest=manifest, pixels_NCHW=pixels[:, None, None], group_N=np.arange(len(samples)))


def test_only_the_badly_drawn_class_is_far_and_an_undrawn_one_is_refused() -> None:
    label_N = np.repeat([0, 1], 60)
    real_N, drawn_N = np.full(120, 120.0), np.where(label_N == 0, 120.0, 160.0)
    real = [part(name, real_N, label_N) for name in ("train", "held", "learn")]
    subjects = Subjects(
        made=part("made", drawn_N, label_N), train=real[0], held=real[1], learn=real[2], artefact=None,
        classes=CLASSES, preparation=Preparation(size=(1, 8)), patients_known=True, notes=(),
    )  # fmt: skip
    rows = kid_by_class(subjects, encoded(subjects, PIXELS), seed=0, unit="patient")
    assert rows["well"]["set"]["low"] < 0 < rows["well"]["set"]["high"]
    assert rows["badly"]["set"]["low"] > 10 * abs(rows["badly"]["floor"]["value"])
    assert rows["never"]["set"] is None
    assert rows["never"]["refused"]

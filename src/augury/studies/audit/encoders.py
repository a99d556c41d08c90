"""Features of images for an audit: of our own encoder, of given weights or of a fitted predictor; each kept once made.

N images, C channels, H height, W width, D features.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augury.conditions.shape import Shape
from augury.data import provenance
from augury.data.cache import cache_folder, write_atomically
from augury.data.croissant import sha256_of
from augury.data.preparation.preparation import Preparation
from augury.data.sample import digest_of
from augury.errors import UserError
from augury.predictors import load as load_predictor
from augury.predictors.backbones import build, load_given
from augury.predictors.predictor import in_batches
from augury.pretraining.copy_match import CopyMatch, Images
from augury.studies.audit.detector import stored, thumbs
from augury.studies.audit.subjects import Part

Features = NDArray[np.float32]
SIDE = 128  # pixels, to which images are resized for timm's networks
_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A named map of images to features, and the digest of what made it."""

    name: str
    says: str  # what it was trained on, for the page
    compute: Callable[[Images], Features]
    digest: str

    def __call__(self, part: Part, preparation: Preparation) -> Features:
        """z_ND of all images of a part, from the cache where they were encoded before."""
        if not len(part):
            return self.compute(part.pixels_NCHW)
        facts = [self.digest, [sample.id for sample in part.manifest], repr(preparation)]
        path = cache_folder() / "features" / f"{digest_of(facts)}.npy"
        try:
            kept: Features = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            made, stream = self.compute(part.pixels_NCHW), io.BytesIO()
            np.save(stream, made, allow_pickle=False)
            write_atomically(path, stream.getvalue())
            return made
        return kept


def own(encoder: CopyMatch, *, apart: bool) -> Encoder:
    """The audit's own encoder, which knows images of this kind alone."""
    on = "half of the held-out images" if apart else "the training images themselves"
    weights = hashlib.sha256()
    for value in encoder.net.state_dict().values():
        weights.update(value.cpu().numpy().tobytes())
    return Encoder(
        name="internal", says=f"copy_match, trained for this audit on {on}",
        digest=digest_of([encoder.method, encoder.revision, weights.hexdigest()]),
        compute=lambda image_NCHW: encoder(stored(thumbs(image_NCHW))),
    )  # fmt: skip


def of_weights(file: Path, *, channels: int) -> Encoder:
    """Frozen features of a given file, whose name up to the first dot is timm's name; UserError where it is no such."""
    name, shape = file.name.split(".")[0], Shape(channels=channels, height=SIDE, width=SIDE, classes=2)
    backbone = build(name, shape, width=16, side=SIDE)
    load_given(backbone, name, shape, weights=file)
    digest = digest_of([name, channels, SIDE, sha256_of(file)])
    return Encoder(
        name=name, says="given weights", digest=digest,
        compute=lambda image_NCHW: in_batches(backbone, image_NCHW, batch=_BATCH).numpy(),
    )  # fmt: skip


def of_model(folder: Path, compared: Part, *, shape: tuple[int, ...]) -> Encoder:
    """Features of a fitted predictor. Refused where it saw the held-out images; UserError where it reads others."""
    predictor = load_predictor(folder)
    wanted = (predictor.shape.channels, predictor.shape.height, predictor.shape.width)
    if wanted != shape:
        raise UserError(
            f"--encoder {str(folder)!r} reads images of {wanted} (channels, height, width), the audit compares "
            f"{shape}; expected the same; fit one at that size"
        )
    artefact = provenance.read(folder)
    if len(compared):
        provenance.refuse_if_seen(artefact, compared.manifest)
    return Encoder(
        name=folder.name, says=f"a {predictor.method} fitted to {len(artefact.ids)} images", digest=artefact.digest,
        compute=lambda image_NCHW: in_batches(
            predictor.nets["backbone"], image_NCHW, batch=_BATCH
        ).numpy(),
    )  # fmt: skip

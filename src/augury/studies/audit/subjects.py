"""Who is compared with whom: the synthetic set, the images that its generator saw, and real ones that it did not.

S synthetic, T training, H held-out images, N any. Held-out images are halved by group: one half trains what the audit
itself must learn, the other is compared. All are prepared as the generator's training images were, at its size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from augury.data import provenance
from augury.data.fingerprints import one_channel_if_grey
from augury.data.importers import load, load_with_fingerprints
from augury.data.preparation.preparation import Preparation
from augury.data.provenance import Artefact
from augury.data.readers import decode
from augury.data.sample import IntArray, Manifest
from augury.data.splits import halves
from augury.data.store import prepare
from augury.errors import UserError
from augury.pretraining.copy_match import Images
from augury.studies.holding_out import refuse_shared
from augury.studies.material import staged
from augury.studies.preparing import chosen, preparation_of

Progress = Callable[[str, int, int], None]  # stage, done, in all
Note = Callable[[str], None]
LARGEST = 128  # pixels of a side: what is compared
LEAST_TO_LEARN = 64  # held-out images in one half, below which the encoder learns from the training images instead


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What to audit against what."""

    data: str  # the synthetic set
    train: str
    holdout: str | None = None
    layout: str | None = None  # of the synthetic set
    size: tuple[int, int] | None = None  # None: the set's own, at most 128 px
    modality: str | None = None  # of the real images, where no artefact says how they were prepared
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Some images with what is known of them; equal codes in `group_N` mean one patient or group."""

    manifest: Manifest
    pixels_NCHW: Images
    group_N: IntArray

    def __len__(self) -> int:
        return len(self.manifest)

    @property
    def label_N(self) -> IntArray:
        """The class of each image, -1 where it has none."""
        return self.manifest.label_N

    @property
    def groups(self) -> int:
        """How many patients or groups."""
        return len(np.unique(self.group_N))

    def at(self, chosen: IntArray | NDArray[np.bool_]) -> Part:
        """Those at these positions, or where it is True."""
        index_n = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        pixels_nCHW: Images = self.pixels_NCHW[index_n]
        return Part(manifest=self.manifest.subset(index_n), pixels_NCHW=pixels_nCHW, group_N=self.group_N[index_n])


@dataclass(frozen=True, kw_only=True, eq=False)
class Subjects:
    """Everybody, prepared alike."""

    made: Part  # S
    train: Part  # T
    learn: Part  # one half of H: what the audit's own encoder and threshold may see
    held: Part  # the other half
    artefact: Artefact | None  # of the synthetic set
    classes: tuple[str, ...]
    preparation: Preparation
    patients_known: bool
    notes: tuple[str, ...]

    @property
    def apart(self) -> bool:
        """Whether there are enough held-out images for the encoder to learn from them, and not from T."""
        return len(self.learn) >= LEAST_TO_LEARN


def gather(asked: Asked, *, progress: Progress | None = None) -> Subjects:
    """Read, tell apart and prepare. UserError where the sets do not belong together."""
    stage = staged(progress)
    train, prints = load_with_fingerprints(asked.train, no_patients=True, progress=stage("reading real images"))
    made = load(asked.data, no_patients=True, layout=asked.layout, classes=_classes(train),
                progress=stage("reading synthetic images"))  # fmt: skip
    folder = Path(asked.data).expanduser()
    artefact = provenance.read(folder) if provenance.complete(folder) else None
    seen_N, unseen_N = _sides(train, artefact, asked)
    held, held_from = train.subset(np.flatnonzero(unseen_N)), "images of --train that the generator did not see"
    trained = train.subset(np.flatnonzero(seen_N))
    if asked.holdout is not None:
        held, held_prints = load_with_fingerprints(
            asked.holdout, no_patients=True, classes=train.classes or None, progress=stage("reading held-out images")
        )
        refuse_shared(trained, prints.subset(np.flatnonzero(seen_N)), held, held_prints)
        held_from = "--holdout"
    preparation, how = _preparation(asked, made, train, artefact)
    known = _part(trained, preparation, stage("preparing training images"), first_group=0)
    unseen = _part(held, preparation, stage("preparing held-out images"), first_group=known.groups)
    plain = Preparation(size=preparation.size, channels=preparation.channels)
    drawn = _part(made, plain, stage("preparing synthetic images"), first_group=known.groups + unseen.groups)
    first = _halved(unseen, seed=asked.seed)
    notes = (
        f"{len(trained)} training images, {len(held)} held out ({held_from if len(held) else 'none'})", how,
        *(f"{one.name}: {text}" for one in (made, train) for text in one.notes if "no patient" in text),
    )  # fmt: skip
    return Subjects(
        made=drawn, train=known, learn=unseen.at(first), held=unseen.at(~first), artefact=artefact,
        classes=train.classes or made.classes, preparation=preparation, notes=notes,
        patients_known=trained.patients_known and (not len(held) or held.patients_known),
    )  # fmt: skip


def _classes(train: Manifest) -> tuple[str, ...] | None:
    return train.classes or None


def _sides(train: Manifest, artefact: Artefact | None, asked: Asked) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which images the generator saw, and which it did not, nor their patients or twins."""
    everything = np.ones(len(train), dtype=bool)
    if artefact is None or not artefact.ids:
        return everything, ~everything
    seen_N = np.array([sample.id in artefact.ids for sample in train])
    near_N = np.array([sample.group in artefact.groups for sample in train])
    if not seen_N.any():
        raise UserError(
            f"none of the {len(train)} images of {asked.train!r} was seen by the generator of {asked.data!r}; expected "
            "the set that it was fitted to: correct --train"
        )
    return seen_N, ~(seen_N | near_N)


def _preparation(asked: Asked, made: Manifest, train: Manifest, artefact: Artefact | None) -> tuple[Preparation, str]:
    """How real images are prepared: as those that the generator was fitted to; and where that is known from."""
    generator = (artefact.facts.get("generator") or {}) if artefact is not None else {}
    if asked.size is None and generator.get("preparation"):
        facts = dict(generator["preparation"])
        facts["size"] = tuple(facts["size"])
        if max(facts["size"]) <= LARGEST:
            return preparation_of(facts), "real images are prepared as those that the generator was fitted to"
    own_size, channels = _form(made)
    size = asked.size or own_size
    if generator.get("preparation"):
        facts = {**generator["preparation"], "size": size}
        return preparation_of(facts), f"compared at {size[0]} x {size[1]} pixels"
    choice = chosen(train, named=asked.modality, asked={})
    return (
        preparation_of({"size": size, **choice.preparation, "channels": channels}),
        f"real images are prepared as {choice.modality} ({choice.because}), at {size[0]} x {size[1]} pixels",
    )


def _form(made: Manifest) -> tuple[tuple[int, int], Literal[1, 3]]:
    """Height and width of the first image, shrunk to what is compared, and its channels."""
    pixels = one_channel_if_grey(decode(made[0].image, made[0].member))
    shrink = min(1.0, LARGEST / max(pixels.shape[:2]))
    height, width = (max(8, round(side * shrink)) for side in pixels.shape[:2])
    return (height, width), 1 if pixels.ndim == 2 else 3


def _part(
    manifest: Manifest, preparation: Preparation, report: Callable[[int, int], None] | None, *, first_group: int
) -> Part:
    if not len(manifest):
        channels, (height, width) = preparation.channels or 1, preparation.size
        empty = np.empty((0, channels, height, width), dtype=np.uint8)
        return Part(manifest=manifest, pixels_NCHW=empty, group_N=np.empty(0, dtype=np.int64))
    pixels_NCHW = prepare(manifest, preparation, progress=report).pixels_NCHW
    return Part(manifest=manifest, pixels_NCHW=pixels_NCHW, group_N=manifest.group_N + first_group)


def _halved(held: Part, *, seed: int) -> NDArray[np.bool_]:
    """True for the half that is learned from; none of it where there are not two halves to have."""
    if held.groups < 4:
        return np.zeros(len(held), dtype=bool)
    return halves(np.maximum(held.label_N, 0), held.group_N, seed=seed)

"""What a fit is asked for, and its images: read, decoded, prepared, and those that it is not to see set aside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.data.fingerprints import Fingerprints
from augury.data.importers import load_with_fingerprints
from augury.data.mask_store import masks_digest, prepare_masks
from augury.data.preparation.choice import Choice
from augury.data.sample import IntArray, Manifest
from augury.data.splits import grouped_folds
from augury.data.store import Preparation, prepare
from augury.errors import UserError
from augury.generators import GENERATORS
from augury.studies.holding_out import HeldOut, other_set, set_aside, share_of
from augury.studies.preparing import chosen, preparation_of
from augury.studies.told import pairs_of, tell

Progress = Callable[[str, int, int], None]  # stage, done, in all
Note = Callable[[str], None]
SIZES = {"classifier": (64, 64), "segmenter": (128, 128)}  # where a method does not take 32 x 32
BATCHES = {"segmenter": 16}  # where a method does not take 64 images a step


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What to fit to what. `size`, `steps` and `batch` None: the method's own."""

    method: str
    data: str
    out: Path
    config: Any  # of the method's configuration class: config_of(method)
    size: tuple[int, int] | None = None
    seed: int = 0
    steps: int | None = None
    batch: int | None = None
    device: str = "cpu"
    no_patients: bool = False
    layout: str | None = None  # of the data on disk; None: recognised
    slices: str | None = None  # the rule by which volumes are cut (data.slices); None: the middle eight
    modality: str | None = None  # None: guessed
    preparation: Mapping[str, Any] = field(default_factory=dict)  # fields above the modality's own
    holdout: str | None = None  # a share of the patients, or a data set, which a generator is not fitted to
    stop_at_memorisation: bool = False  # one half of the held-out images may end the fit
    condition: tuple[str, ...] = ("label",)  # what a generator is told: told.parsed
    edges: str | None = None  # what finds edges: edge_finder.finder
    contour: bool = True  # the masks' contours are added to the edges
    init: Path | None = None  # a fitted model to start from; None: from nothing

    @property
    def images_a_step(self) -> int:
        """The batch, as asked for or the method's own."""
        return self.batch or BATCHES.get(self.method, 64)


@dataclass(frozen=True, kw_only=True)
class Material:
    """The images of a fit: those to fit to and, for predictors, those that choose the checkpoint."""

    manifest: Manifest  # labelled samples only; of a segmenter, and where labels are not told, all of them
    pairs: Pairs
    train: IntArray
    choose: IntArray
    preparation: Preparation
    choice: Choice
    held: HeldOut | None  # not in `manifest`
    held_pairs: Pairs | None
    masks: str | None = None  # digest of the masks that a segmenter learns from
    told: Mapping[str, Any] | None = None  # what a generator is told beside labels: told.tell

    @property
    def shape(self) -> Shape:
        """Of its images."""
        channels, height, width = self.pairs.shape
        return Shape(channels=channels, height=height, width=width, classes=self.pairs.classes)


def gather(asked: Fit, *, progress: Progress | None, note: Note) -> Material:
    """Read, decode and prepare the data, and set a fifth of the patients aside where a predictor needs them."""
    stage = staged(progress)
    _refuse_conditions(asked)
    whole, prints = load_with_fingerprints(
        asked.data, no_patients=True, layout=asked.layout, slices=asked.slices, progress=stage("reading images")
    )
    for text in (*whole.notes, *(f"unreadable: {u.image!r}: {u.why}" for u in whole.unreadable)):
        note(text)
    manifest = _usable(whole, asked, note)
    used = np.arange(len(whole)) if len(manifest) == len(whole) else np.flatnonzero(whole.label_N >= 0)
    manifest, held = _held(asked, manifest, prints.subset(used), stage)
    size = asked.size or SIZES.get(asked.method, (32, 32))
    choice = chosen(manifest, named=asked.modality, asked=asked.preparation)
    for text in choice.words():
        note(text)
    facts = {"size": size, **choice.preparation}
    store = prepare(manifest, preparation_of(facts), progress=stage("preparing images"))
    pairs, masks, told = pairs_of(manifest, store), None, None
    if asked.method == "segmenter":
        mask_NHW = prepare_masks(manifest, store, progress=stage("preparing masks"))
        pairs = replace(pairs, map_NKHW=mask_NHW[:, None], maps=("mask",))
        masks = masks_digest(manifest, store)
    if asked.condition != ("label",):
        pairs, told = tell(
            pairs, manifest, store, asked.condition, edges=asked.edges, contour=asked.contour,
            modality=asked.modality, device=asked.device, stage=stage, note=note,
        )  # fmt: skip
    preparation = preparation_of({**facts, "channels": 1 if pairs.shape[0] == 1 else 3})
    train, choose = _parts(manifest, asked, note)
    held_pairs = None
    if held is not None:
        held_store = prepare(held.images, preparation, progress=stage("preparing held-out images"))
        held_pairs = pairs_of(held.images, held_store)
    return Material(
        manifest=manifest, pairs=pairs, train=train, choose=choose, preparation=preparation, choice=choice, held=held,
        held_pairs=held_pairs, masks=masks, told=told,
    )  # fmt: skip


def _held(
    asked: Fit, manifest: Manifest, prints: Fingerprints, stage: Callable[[str], Callable[[int, int], None] | None]
) -> tuple[Manifest, HeldOut | None]:
    """What is left to fit to, and what is held out."""
    if asked.holdout is None:
        if asked.stop_at_memorisation:
            raise UserError("--stop-at-memorisation got no images to watch with; expected --holdout; try --holdout 0.2")
        return manifest, None
    if asked.method not in GENERATORS:
        raise UserError(
            f"--holdout got the method {asked.method}; expected a generator: a predictor sets a fifth of the patients "
            "aside by itself; leave the option out"
        )
    share = share_of(asked.holdout)
    if share is not None:
        return set_aside(manifest, share, seed=asked.seed, decides=asked.stop_at_memorisation)
    other = other_set(
        asked.holdout, manifest, prints, no_patients=True, slices=asked.slices, seed=asked.seed,
        decides=asked.stop_at_memorisation, progress=stage("reading held-out images"),
    )  # fmt: skip
    return manifest, other


def masked(whole: Manifest, note: Note) -> Manifest:
    """All samples, labelled or not: one without a mask has no lesion, which is noted. UserError where none has any."""
    bare = sum(not sample.masks for sample in whole)
    if bare == len(whole):
        raise UserError(
            f"{whole.name!r} has {len(whole)} images and no mask; a segmenter needs masks to learn from; add a column "
            "`mask` with the path of each mask"
        )
    if bare:
        note(f"{bare} of {len(whole)} images have no mask and are taken as having no lesion: remove them if they have")
    return whole


def _refuse_conditions(asked: Fit) -> None:
    """UserError where a method is to be told what it cannot hear, or conditions are named as a setting."""
    named = tuple(getattr(asked.config, "conditions", ("label",)))
    if named != ("label",):
        raise UserError(
            f"--set got conditions={list(named)}; expected --condition {','.join(named)}, which also makes the maps "
            "and the words; say that"
        )
    if asked.condition == ("label",) or hasattr(asked.config, "conditions"):
        return
    if asked.method in GENERATORS:
        raise UserError(
            f"--condition got {','.join(asked.condition)} for {asked.method}, which is told labels alone; expected "
            "label; leave it out or fit flow"
        )
    raise UserError(
        f"--condition got {','.join(asked.condition)} for {asked.method}, which draws nothing; leave it out"
    )


def _usable(whole: Manifest, asked: Fit, note: Note) -> Manifest:
    """The samples that the method can learn from."""
    if asked.method == "segmenter":
        return masked(whole, note)
    return _labelled(whole, asked, note) if "label" in asked.condition else whole


def _labelled(whole: Manifest, asked: Fit, note: Note) -> Manifest:
    manifest = whole.labelled()
    least = 1 if asked.method in GENERATORS else 2
    if len(manifest) == 0 or len(set(manifest.label_N)) < least:
        raise UserError(
            f"{whole.name!r} has {len(manifest)} labelled images of {len(set(manifest.label_N))} classes; "
            f"{asked.method} needs at least {least} class{'es' * (least > 1)}; add labels"
        )
    if len(manifest) < len(whole):
        note(f"{len(whole) - len(manifest)} unlabelled images are not used: {asked.method} learns from labels")
    return manifest


def _parts(manifest: Manifest, asked: Fit, note: Note) -> tuple[IntArray, IntArray]:
    everything = np.arange(len(manifest))
    if asked.method in GENERATORS:
        return everything, everything[:0]
    label_N = manifest.label_N
    if asked.method == "segmenter":
        label_N = np.array([bool(sample.masks) for sample in manifest], dtype=np.int64)
    try:
        fold_N = grouped_folds(label_N, manifest.group_N, count=5, seed=asked.seed)
    except UserError as error:
        note(f"no images are set aside to choose the checkpoint, so the last one is taken: {error}")
        return everything, everything[:0]
    return np.flatnonzero(fold_N != 0), np.flatnonzero(fold_N == 0)


def staged(progress: Progress | None) -> Callable[[str], Callable[[int, int], None] | None]:
    """Progress within a named stage; None where nobody listens."""

    def of(name: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(name, done, total)

    return of

"""Real images that steer drawn ones: `augury sample MODEL --like DATA --edit ...`.

N drawn images, B batch, K maps, H height, W width. The maps are made of the images as those of the fit were: same
preparation, same finder of edges. Every drawn image has one real source; the sources take turns in a random order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from augury.conditions.edits import Pool, edited
from augury.conditions.edits import parsed as parsed_edits
from augury.conditions.mask_shapes import MaskShapes
from augury.conditions.prompt import prompt_of
from augury.data.importers import load
from augury.data.provenance import Artefact
from augury.data.sample import IntArray, Manifest, Sample
from augury.data.store import prepare
from augury.errors import UserError
from augury.studies.edge_finder import finder_of
from augury.studies.preparing import preparation_of
from augury.studies.told import Raw, Stage, composed, raw_maps

POOL = 4_096  # images from which lesions are swapped and of which masks are learnt, at most
BORROWS = frozenset({"swap", "new"})  # edits that use other images than the source


@dataclass(frozen=True, kw_only=True)
class Guide:
    """Which real image steers each drawn one, and its maps."""

    manifest: Manifest  # of the images that are needed
    digest: str  # of all the images of --like
    source_N: IntArray  # positions in the manifest
    raw: Raw
    maps: tuple[str, ...]
    contour: bool
    turns: tuple[tuple[str, ...], ...]
    pool: Pool
    seed: int

    def told(self, first: int, count: int) -> tuple[Tensor, Tensor | None]:
        """map_BKHW of drawn images first, ..., and mask_BHW (None: the set has none), after the edits."""
        steer = self.raw.steer(_class_N(self.manifest), self.source_N[first : first + count])
        steer = edited(steer, self.turns, self.pool, first=first, seed=self.seed)
        return composed(steer, self.maps, contour=self.contour), steer.mask_BHW

    def source(self, place: int) -> Sample:
        """The real sample that steers this drawn image."""
        return self.manifest[int(self.source_N[place])]

    def prompts(self, modality: str | None) -> list[str]:
        """What is known of each source, in words; `modality` of those that name none."""
        classes, places = self.manifest.classes, range(len(self.source_N))
        return [prompt_of(self.source(place), classes, modality=modality) for place in places]

    def used(self) -> list[Sample]:
        """Every sample that has a part in the drawing."""
        used = np.unique(self.source_N)
        if _borrows(self.turns):
            used = np.union1d(used, self.pool.whole.place_B.numpy())
        return [self.manifest[int(i)] for i in used]

    def facts(self) -> dict[str, Any]:
        """For the set's record."""
        return {
            "like": {"data": self.manifest.name, "manifest": self.digest},
            "edit": ",".join("+".join(turn) for turn in self.turns),
        }


def guide(
    model: Artefact,
    like: str,
    *,
    n: int,
    label: str | None,
    edit: str,
    edges: str | None,
    layout: str | None,
    slices: str | None,
    seed: int,
    device: str,
    stage: Stage,
    note: Callable[[str], None],
) -> Guide:
    """The guide of `n` drawings of a model by the images of `like`. UserError where those cannot steer it."""
    turns, told = parsed_edits(edit), model.facts["told"]
    whole = load(
        like, no_patients=True, classes=model.facts["classes"], layout=layout, slices=slices,
        progress=stage("reading images"),
    )  # fmt: skip
    manifest = whole.labelled() if "label" in told["conditions"] or label is not None else whole
    if len(manifest) < len(whole):
        note(f"{len(whole) - len(manifest)} of {len(whole)} images have no label and steer nothing")
    digest, source_N = manifest.digest, sources(manifest, n, label=label, seed=seed)
    needed = np.unique(source_N)
    if 2 * len(needed) < len(manifest) and not _borrows(turns):  # edges of a thousand images take minutes
        manifest, source_N = manifest.subset(needed), np.searchsorted(needed, source_N)
    found = finder_of(told["edges"], asked=edges, device=device) if "edges" in told else None
    store = prepare(manifest, preparation_of(model.facts["preparation"]), progress=stage("preparing images"))
    raw = raw_maps(manifest, store, told["conditions"], finder=found, stage=stage)
    if told.get("contour") and raw.mask_NHW is None:
        note(f"no image of {manifest.name!r} that steers has a mask: the edges are told without contours")
    return Guide(
        manifest=manifest, digest=digest, source_N=source_N, raw=raw, maps=maps_of(model),
        contour=told.get("contour", False), turns=turns, pool=_pool(manifest, raw, turns, seed=seed), seed=seed,
    )  # fmt: skip


def maps_of(model: Artefact) -> tuple[str, ...]:
    """The maps that a model is told, in its order; none for a model that is told no more than labels."""
    conditions: Sequence[str] = model.facts.get("told", {}).get("conditions", ())
    return tuple(name for name in conditions if name not in ("label", "prompt"))


def sources(manifest: Manifest, n: int, *, label: str | None, seed: int) -> IntArray:
    """Positions of the images that steer: each as often as any other, in a random order."""
    candidates = np.arange(len(manifest))
    if label is not None:
        if label not in manifest.classes:
            known = ", ".join(map(repr, manifest.classes))
            raise UserError(f"--label got {label!r}; the model knows {known}; name one of them")
        candidates = np.flatnonzero(manifest.label_N == manifest.classes.index(label))
    if not len(candidates):
        which = "image" if label is None else f"image of class {label!r}"
        raise UserError(f"{manifest.name!r} has no labelled {which} to steer by; name another --like or --label")
    rng = np.random.default_rng([seed, 0x11CE])
    rounds = -(-n // len(candidates))
    return np.concatenate([rng.permutation(candidates) for _ in range(rounds)])[:n]


def _borrows(turns: tuple[tuple[str, ...], ...]) -> bool:
    return any(name in BORROWS for turn in turns for name in turn)


def _class_N(manifest: Manifest) -> IntArray:
    """The class of each image, those without a label being a class of their own."""
    return np.where(manifest.label_N < 0, len(manifest.classes), manifest.label_N)


def _pool(manifest: Manifest, raw: Raw, turns: tuple[tuple[str, ...], ...], *, seed: int) -> Pool:
    """What swapped and new lesions come from; nothing where no edit needs it."""
    count, class_N = len(manifest) if _borrows(turns) else 0, _class_N(manifest)
    index_n = np.arange(count)
    if count > POOL:
        index_n = np.sort(np.random.default_rng([seed, 0x900D]).permutation(count)[:POOL])
    whole, shapes = raw.steer(class_N, index_n), None
    if any("new" in turn for turn in turns) and raw.mask_NHW is not None:
        classes = len(manifest.classes) + 1
        shapes = MaskShapes.fit(np.asarray(raw.mask_NHW[index_n]), class_N[index_n], classes=classes)
    return Pool(whole=whole, shapes=shapes)

"""What a model is told of a set: its maps and its words, and the record from which the same comes again.

N images, K maps, H height, W width. Masks are laid over the prepared images by data/mask_store.py; boxes are the
sample's own, else those of its mask's components; edges come from studies/edge_finder.py, with the contours of the
masks added where the set has masks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from augury.conditions.condition import Condition
from augury.conditions.edges import with_contour
from augury.conditions.edits import Steer, as_steer
from augury.conditions.maps import MAPS, box_map, boxes_of, placed_boxes
from augury.conditions.pairs import Pairs
from augury.conditions.prompt import Vocabulary, prompts_of
from augury.data.cache import atomic_folder
from augury.data.mask_store import masks_digest, prepare_masks
from augury.data.sample import Manifest, digest_of
from augury.data.store import Store, applied, prepare
from augury.errors import UserError
from augury.studies.edge_finder import Finder, edge_maps, finder, finder_of
from augury.studies.edge_finder import in_words as edges_in_words
from augury.studies.preparing import preparation_of

KINDS = ("label", "prompt", *MAPS)
Stage = Callable[[str], Callable[[int, int], None] | None]
_FILE = "maps.npy"
_AT_ONCE = 256  # images whose maps are composed together


@dataclass(frozen=True, kw_only=True)
class Raw:
    """The maps of a set before they are put together; None: not needed, or not to be had."""

    edge_NHW: NDArray[np.uint8] | None  # without contours
    mask_NHW: NDArray[np.uint8] | None  # None: the set has no masks
    box_NHW: NDArray[np.uint8] | None

    def steer(self, label_N: NDArray[np.int64], index_n: NDArray[np.int64]) -> Steer:
        """These images' maps, to be edited."""
        edge_BHW, mask_BHW, box_BHW = (
            None if value is None else value[index_n] for value in (self.edge_NHW, self.mask_NHW, self.box_NHW)
        )
        return as_steer(label_N[index_n], index_n, edge_NHW=edge_BHW, mask_NHW=mask_BHW, box_NHW=box_BHW)


def parsed(text: str) -> tuple[str, ...]:
    """The kinds of condition that a user lists, in our order; UserError for one that there is not.

    >>> parsed("edges,label")
    ('label', 'edges')
    """
    given = [name.strip() for name in text.split(",")]
    strange = next((name for name in given if name.partition("=")[0] not in KINDS), None)
    if strange is not None or len(set(given)) < len(given):
        raise UserError(f"--condition got {text!r}; expected some of {', '.join(KINDS)}, each once: correct the list")
    if any(name.startswith("cam") for name in given):
        raise UserError(
            "--condition got cam, which needs a classifier's heat maps; the command line cannot pass them yet: "
            "expected label, prompt, edges, mask or boxes; leave it out"
        )
    return tuple(name for name in KINDS if name in given)


def raw_maps(manifest: Manifest, store: Store, kinds: Sequence[str], *, finder: Finder | None, stage: Stage) -> Raw:
    """What the conditions `kinds` need, made or found beside the store. UserError where the set cannot give it."""
    marked = any(sample.masks for sample in manifest)
    mask_NHW = prepare_masks(manifest, store, progress=stage("preparing masks")) if marked else None
    if mask_NHW is None and "mask" in kinds:
        raise UserError(
            f"masks are to be told, and no image of {manifest.name!r} has one; name images with masks, or leave mask "
            "out of --condition"
        )
    if mask_NHW is None and "boxes" in kinds and not any(sample.boxes for sample in manifest):
        raise UserError(
            f"boxes are to be told, and no image of {manifest.name!r} has any, nor a mask; name images with boxes, or "
            "leave boxes out of --condition"
        )
    edge_NHW = edge_maps(store, finder, progress=stage("finding edges")) if finder is not None else None
    box_NHW = _boxes(manifest, store, mask_NHW) if "boxes" in kinds else None
    return Raw(edge_NHW=edge_NHW, mask_NHW=mask_NHW, box_NHW=box_NHW)


def composed(steer: Steer, maps: Sequence[str], *, contour: bool) -> torch.Tensor:
    """map_BKHW as a generator is told them: edges with the masks' contours, masks, boxes."""
    edge_BHW = steer.edge_BHW
    if edge_BHW is not None and contour and steer.mask_BHW is not None:
        edge_BHW = with_contour(edge_BHW[:, None], steer.mask_BHW[:, None])[:, 0]
    planes = {"edges": edge_BHW, "mask": steer.mask_BHW, "boxes": steer.box_BHW}
    missing = [name for name in maps if planes.get(name) is None]
    if missing:
        raise UserError(f"the images have no {missing[0]}, which the model is told of; name images that have")
    return torch.stack([plane for name in maps if (plane := planes[name]) is not None], dim=1)


def whole_map(raw: Raw, label_N: NDArray[np.int64], maps: Sequence[str], *, contour: bool) -> NDArray[np.uint8]:
    """map_NKHW of a whole set as a generator is told it, 255 meaning 1."""
    parts = []
    for first in range(0, len(label_N), _AT_ONCE):
        steer = raw.steer(label_N, np.arange(first, min(first + _AT_ONCE, len(label_N))))
        parts.append(composed(steer, maps, contour=contour).mul(255).round().to(torch.uint8).numpy())
    return np.concatenate(parts)


def stored_map(
    raw: Raw, manifest: Manifest, store: Store, maps: Sequence[str], *, facts: Mapping[str, Any]
) -> NDArray[np.uint8]:
    """`whole_map`, written once beside the store and mapped."""
    boxes = [[asdict(box) for box in sample.boxes] for sample in manifest] if "boxes" in maps else []
    masks = "" if raw.mask_NHW is None else masks_digest(manifest, store)
    digest = digest_of({"store": store.digest, "maps": list(maps), "masks": masks, "boxes": boxes, "told": dict(facts)})
    place = store.path.parent.parent / digest
    if not (place / _FILE).exists():
        with atomic_folder(place) as beside:
            np.save(beside / _FILE, whole_map(raw, manifest.label_N, maps, contour=facts.get("contour", False)))
    map_NKHW: NDArray[np.uint8] = np.load(place / _FILE, mmap_mode="r", allow_pickle=False)
    return map_NKHW


def tell(
    pairs: Pairs, manifest: Manifest, store: Store, kinds: Sequence[str], *, edges: str | None, contour: bool,
    modality: str | None, device: str, stage: Stage, note: Callable[[str], None],
) -> tuple[Pairs, Mapping[str, Any]]:  # fmt: skip
    """The pairs with the maps and words of `kinds`, and what the model's record says of them.

    `modality` is what prompts say of samples that name none.
    """
    maps = tuple(name for name in kinds if name in MAPS)
    found = finder(edges, device=device) if "edges" in kinds else None
    facts: dict[str, Any] = {"conditions": list(kinds)}
    if maps:
        raw = raw_maps(manifest, store, kinds, finder=found, stage=stage)
        if found is not None:
            facts |= {"edges": dict(found.facts), "contour": contour and raw.mask_NHW is not None}
            note(edges_in_words(found.facts) + (", with the contours of the masks" if facts["contour"] else ""))
        pairs = replace(pairs, map_NKHW=stored_map(raw, manifest, store, maps, facts=facts), maps=maps)
    if "prompt" in kinds:
        prompts = prompts_of(manifest, modality=modality)
        vocabulary = Vocabulary.of(prompts)
        note(f"prompts of {len(vocabulary.words)} words, such as {prompts[0]!r}")
        pairs = replace(pairs, condition=replace(pairs.condition, text_BT=vocabulary.encode(prompts)))
        facts |= {
            "modality": modality, "prompts": frequent_prompts(manifest, prompts), "words": list(vocabulary.words),
        }  # fmt: skip
    return pairs, facts


def told_again(
    facts: Mapping[str, Any],
    manifest: Manifest,
    *,
    edges: str | None = None,
    device: str = "cpu",
    stage: Stage = lambda _: None,
) -> Pairs:
    """Pairs of any images, told what the model of this record (`facts`) was told of its own.

    The labels are the manifest's. UserError where the images cannot give it: no masks, unknown words, another finder.
    """
    told = facts.get("told", {"conditions": ["label"]})
    store = prepare(manifest, preparation_of(facts["preparation"]), progress=stage("preparing images"))
    pairs, maps = pairs_of(manifest, store), tuple(name for name in told["conditions"] if name in MAPS)
    if maps:
        found = finder_of(told["edges"], asked=edges, device=device) if "edges" in told else None
        raw = raw_maps(manifest, store, told["conditions"], finder=found, stage=stage)
        spoken = {name: told[name] for name in ("conditions", "edges", "contour") if name in told}
        pairs = replace(pairs, map_NKHW=stored_map(raw, manifest, store, maps, facts=spoken), maps=maps)
    if "prompt" in told["conditions"]:
        prompts = prompts_of(manifest, modality=told["modality"])
        text_BT = Vocabulary(words=tuple(told["words"])).encode(prompts)
        pairs = replace(pairs, condition=replace(pairs.condition, text_BT=text_BT))
    return pairs


def pairs_of(manifest: Manifest, store: Store) -> Pairs:
    """Images with their labels and groups."""
    return Pairs(
        pixels_NCHW=store.pixels_NCHW, condition=Condition(label_B=torch.from_numpy(manifest.label_N)),
        classes=len(manifest.classes), group_N=torch.from_numpy(manifest.group_N),
    )  # fmt: skip


def in_words(facts: Mapping[str, Any]) -> str:
    """A line of the model's card."""
    parts = [f"told {', '.join(facts['conditions'])}"]
    if "edges" in facts:
        contours = "with" if facts["contour"] else "without"
        parts.append(f"{edges_in_words(facts['edges'])} {contours} the contours of masks")
    if "words" in facts:
        parts.append(f"{len(facts['words'])} words known")
    return "; ".join(parts)


def frequent_prompts(manifest: Manifest, prompts: Sequence[str]) -> dict[str, str]:
    """Of each class the prompt that most of its images have: what a drawing without --prompt says."""
    found: dict[str, Counter[str]] = {name: Counter() for name in manifest.classes}
    for sample, prompt in zip(manifest, prompts, strict=True):
        if sample.label is not None:
            found[manifest.classes[sample.label]][prompt] += 1
    return {name: counts.most_common(1)[0][0] for name, counts in found.items() if counts}


def _boxes(manifest: Manifest, store: Store, mask_NHW: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    size = (store.pixels_NCHW.shape[2], store.pixels_NCHW.shape[3])
    box_NHW = np.zeros((len(manifest), *size), dtype=np.uint8)
    for i, (sample, facts) in enumerate(zip(manifest, applied(store), strict=True)):
        if sample.boxes:
            corners = placed_boxes(sample.boxes, facts)
        else:
            corners = [] if mask_NHW is None else boxes_of(mask_NHW[i])
        box_NHW[i] = np.round(255 * box_map(corners, size=size))
    return box_NHW

"""Which finder makes the edges of a set, and the edges themselves, made once and kept beside the prepared images.

N images, B batch, H height, W width. A model remembers its finder (for HED the SHA-256 of its weights): edges of
another finder look otherwise, and a model told them draws something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from augury.conditions.edges import Edges, enlarged, gradient_edges
from augury.conditions.pairs import to_unit
from augury.data.cache import atomic_folder, cache_folder
from augury.data.croissant import sha256_of
from augury.data.sample import digest_of
from augury.data.store import Store
from augury.data.weights import load_weights
from augury.errors import UserError
from augury.nets.hed import HED

REVISION = 1  # raised when either finder's edges come out otherwise
GRADIENT = "gradient"
EDGES = "edges.npy"
_BATCH = 8  # images at a time: HED keeps 64 maps of the enlarged image


@dataclass(frozen=True, kw_only=True)
class Finder:
    """A finder of edges and what a model's record says of it."""

    facts: Mapping[str, Any]  # {"finder": "hed" or "gradient", "sha256": of the weights or None, "revision"}
    find: Edges


def in_words(facts: Mapping[str, Any]) -> str:
    """A finder's name, for the terminal and the card.

    >>> in_words({"finder": "gradient", "sha256": None, "revision": 1})
    'edges by gradients at three scales'
    """
    if facts["sha256"] is None:
        return "edges by gradients at three scales"
    return f"edges by HED, weights {facts['sha256'][:12]}"


def finder(asked: str | None, *, device: str = "cpu") -> Finder:
    """The finder that a user names: "gradient", or a file of HED's weights; None: HED's where its weights lie ready.

    They are looked for as hed*.safetensors in the cache's folder `weights`; without them gradients stand in. UserError
    for a file that is not HED's.
    """
    if asked == GRADIENT:
        return _gradient()
    if asked is not None:
        return _hed(Path(asked).expanduser(), device=device)
    ready = found_weights()
    return _hed(ready[0], device=device) if ready else _gradient()


def finder_of(facts: Mapping[str, Any], *, asked: str | None, device: str = "cpu") -> Finder:
    """The very finder that a model's record names; UserError where another is asked for or its weights are missing."""
    if facts["finder"] == GRADIENT:
        found = finder(asked or GRADIENT, device=device)
    elif asked is not None:
        found = finder(asked, device=device)
    else:
        fitting = [file for file in found_weights() if sha256_of(file) == facts["sha256"]]
        if not fitting:
            raise UserError(
                f"the model was told edges by HED with the weights {facts['sha256'][:12]}, which are not in "
                f"{str(cache_folder() / 'weights')!r}; put their file there, or name it by --edges FILE"
            )
        found = _hed(fitting[0], device=device)
    if dict(found.facts) != dict(facts):
        raise UserError(
            f"--edges got {in_words(found.facts)}; the model was told {in_words(facts)}, "
            "and other edges would steer it elsewhere; name that finder or leave --edges out"
        )
    return found


def found_weights() -> list[Path]:
    """HED's weights in the cache's folder of weights."""
    return sorted((cache_folder() / "weights").glob("hed*.safetensors"))


def edge_maps(store: Store, found: Finder, *, progress: Callable[[int, int], None] | None = None) -> NDArray[np.uint8]:
    """edge_NHW, 255 meaning 1, mapped read-only; computed once for a store and a finder."""
    digest = digest_of({"store": store.digest, "edges": dict(found.facts), "revision": REVISION})
    place = store.path.parent.parent / digest
    if not (place / EDGES).exists():
        with atomic_folder(place) as beside:
            _write(store, found.find, path=beside / EDGES, progress=progress)
    edge_NHW: NDArray[np.uint8] = np.load(place / EDGES, mmap_mode="r", allow_pickle=False)
    return edge_NHW


def edges_of(image_NCHW: torch.Tensor, find: Edges) -> torch.Tensor:
    """edge_NHW in [0, 1] of images in [-1, 1], a few at a time."""
    with torch.no_grad():
        parts = [find(image_BCHW)[:, 0].float().cpu() for image_BCHW in image_NCHW.split(_BATCH)]
    return torch.cat(parts) if parts else torch.zeros(0, *image_NCHW.shape[2:])


def _write(store: Store, find: Edges, *, path: Path, progress: Callable[[int, int], None] | None) -> None:
    count, _, *size = store.pixels_NCHW.shape
    edge_NHW = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, *size))
    for first in range(0, count, _BATCH):
        image_BCHW = to_unit(np.array(store.pixels_NCHW[first : first + _BATCH]))
        edge_NHW[first : first + _BATCH] = edges_of(image_BCHW, find).mul(255).round().to(torch.uint8).numpy()
        if progress is not None:
            progress(min(first + _BATCH, count), count)
    edge_NHW.flush()


def _gradient() -> Finder:
    return Finder(facts={"finder": GRADIENT, "sha256": None, "revision": REVISION}, find=gradient_edges)


def _hed(file: Path, *, device: str) -> Finder:
    net = HED()
    load_weights(net, file)
    net.eval().requires_grad_(False).to(device)
    find = enlarged(lambda image_BCHW: net(image_BCHW.to(device)))
    return Finder(facts={"finder": "hed", "sha256": sha256_of(file), "revision": REVISION}, find=find)

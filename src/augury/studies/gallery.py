"""Pictures for the page: real beside synthetic images of each class, and the nearest training image of some synthetic.

N synthetic images, M training images, P pixels.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augury.data.cache import atomic_folder
from augury.studies.graph import Graph
from augury.studies.partition import Partition
from augury.studies.workspace import Workspace

IN_A_GRID = 10
NEIGHBOURS = 3  # a class
CLASSES = 8  # at most, lest the page drown


def write(folder: Path, graph: Graph, space: Workspace) -> None:
    """Write PNG files and gallery.json, from the first fold."""
    part = graph.partitions[0]
    shutil.rmtree(folder, ignore_errors=True)
    with atomic_folder(folder) as temporary:
        album = Album(temporary)
        real, label_n = space.pairs(part.train).pixels_NCHW, space.manifest.label_N[part.train]
        facts: dict[str, Any] = {"grids": [], "neighbours": []}
        for name, drawn in _sources(graph, space, part, real, label_n).items():
            for k, class_name in enumerate(space.manifest.classes[:CLASSES]):
                shown = drawn[0][drawn[1] == k]
                images = [album.add(image) for image in shown[:IN_A_GRID]]
                facts["grids"].append({"title": name, "class": class_name, "images": images})
                if name != "real" and len(shown):
                    rows = _neighbours(album, shown[:NEIGHBOURS], real)
                    facts["neighbours"] += [{"generator": name, "class": class_name, **row} for row in rows]
        (temporary / "gallery.json").write_text(json.dumps(facts, indent=1))


def _sources(
    graph: Graph, space: Workspace, part: Partition, real: NDArray[Any], label_n: NDArray[np.int64]
) -> dict[str, tuple[NDArray[Any], NDArray[np.int64]]]:
    found = {"real": (real, label_n)}
    for name in space.plan.generators:
        folder = space.artefacts / f"draw-{graph.draws[name, part.repeat, part.fold, 0]}"
        found[name] = (np.load(folder / "pixels.npy", mmap_mode="r"), np.load(folder / "label.npy"))
    return found


def _neighbours(album: Album, synthetic: NDArray[Any], real: NDArray[Any]) -> list[dict[str, Any]]:
    place_N, r_N = nearest(synthetic, real)
    return [
        {"synthetic": album.add(synthetic[i]), "nearest": album.add(real[place_N[i]]), "correlation": float(r_N[i])}
        for i in range(len(synthetic))
    ]


def nearest(synthetic_NCHW: NDArray[Any], real_MCHW: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each synthetic image the training image of highest Pearson correlation over left-right mirrors, and r."""
    real_MP = _standardised(real_MCHW)
    straight_NM = _standardised(synthetic_NCHW) @ real_MP.T
    mirrored_NM = _standardised(synthetic_NCHW[..., ::-1]) @ real_MP.T
    r_NM = np.maximum(straight_NM, mirrored_NM)
    return r_NM.argmax(1).astype(np.int64), np.minimum(r_NM.max(1), 1.0).astype(np.float64)


def _standardised(image_NCHW: NDArray[Any]) -> NDArray[np.float32]:
    flat_NP = np.asarray(image_NCHW, dtype=np.float32).reshape(len(image_NCHW), -1)
    flat_NP -= flat_NP.mean(1, keepdims=True)
    return np.asarray(flat_NP / np.maximum(np.linalg.norm(flat_NP, axis=1, keepdims=True), 1e-6), dtype=np.float32)


class Album:
    """Numbered PNG files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def add(self, image_CHW: NDArray[Any]) -> str:
        """Save an image; returns its file name."""
        pixels = np.asarray(image_CHW)
        if pixels.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)
        name = f"{self.count:04d}.png"
        Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)).save(self.folder / name)
        self.count += 1
        return name

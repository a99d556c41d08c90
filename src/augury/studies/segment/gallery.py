"""Pictures for the page: what was asked and what was found, drawn as contours over the images.

C channels, H height, W width.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from augury.data.cache import atomic_folder
from augury.studies.arms import REFERENCE
from augury.studies.gallery import Album
from augury.studies.graph import Graph
from augury.studies.segment.steps import SHOWN
from augury.studies.workspace import Workspace

ASKED, FOUND = (0, 200, 255), (255, 140, 0)  # blue and orange, told apart by the colour-blind too


def write(folder: Path, graph: Graph, space: Workspace) -> None:
    """Write PNG files and gallery.json, from the first fold: test images, then synthetic ones."""
    shutil.rmtree(folder, ignore_errors=True)
    with atomic_folder(folder) as temporary:
        album = Album(temporary)
        overlays = [*_tested(album, graph, space), *_drawn(album, graph, space)]
        (temporary / "gallery.json").write_text(json.dumps({"overlays": overlays}, indent=1))


def _tested(album: Album, graph: Graph, space: Workspace) -> list[dict[str, Any]]:
    """What the reference and the primary arm found in the first test images."""
    part = graph.partitions[0]
    index_n = part.test[:SHOWN]
    pairs, rows = space.pairs(index_n), []
    for arm in dict.fromkeys((REFERENCE, space.plan.primary)):
        folder = space.artefacts / f"fit-{graph.fits[arm, part.repeat, part.fold, 0]}"
        found_NHW = np.load(folder / "found.npy")
        pictures = [
            album.add(overlay(image_CHW, truth_HW >= 128, found_HW))
            for image_CHW, truth_HW, found_HW in zip(
                pairs.pixels_NCHW, pairs.channel("mask"), found_NHW, strict=True
            )
        ]  # fmt: skip
        rows.append({"title": f"found by {arm} in test images", "synthetic": False, "images": pictures})
    return rows


def _drawn(album: Album, graph: Graph, space: Workspace) -> list[dict[str, Any]]:
    """What the reference found in synthetic images."""
    rows, part = [], graph.partitions[0]
    for name in space.plan.generators:
        drawn = space.artefacts / f"draw-{graph.draws[name, part.repeat, part.fold, 0]}"
        judged = space.artefacts / f"fidelity-{graph.fidelity[name, part.repeat, part.fold]}"
        pixels, asked, found = (
            np.load(drawn / "pixels.npy", mmap_mode="r")[: 2 * SHOWN],
            np.load(drawn / "mask.npy", mmap_mode="r")[: 2 * SHOWN] >= 128,
            np.load(judged / "found.npy"),
        )
        with_mask = np.flatnonzero(asked.any(axis=(1, 2)))[:SHOWN]
        pictures = [album.add(overlay(pixels[i], asked[i], found[i])) for i in with_mask]
        plain = [album.add(pixels[i]) for i in with_mask]
        rows.append({"title": f"drawn by {name}", "synthetic": True, "images": plain})
        rows.append({"title": f"found by {REFERENCE} in images of {name}", "synthetic": True, "images": pictures})
    return rows


def overlay(image_CHW: NDArray[Any], asked_HW: NDArray[np.bool_], found_HW: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The image as bytes in colour, with the outline of what was asked under that of what was found."""
    image = np.asarray(image_CHW)
    bytes_CHW = (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image.astype(np.uint8)
    shown_3HW = np.broadcast_to(bytes_CHW, (3, *bytes_CHW.shape[1:])).copy()
    for mask_HW, colour in ((asked_HW, ASKED), (found_HW, FOUND)):
        line_HW = mask_HW & ~binary_erosion(mask_HW)
        shown_3HW[:, line_HW] = np.array(colour, dtype=np.uint8)[:, None]
    return shown_3HW

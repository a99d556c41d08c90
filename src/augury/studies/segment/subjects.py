"""Which images a segmentation study takes, and their masks and edges as they are prepared."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from augury.data.cache import write_atomically
from augury.data.fingerprints import Fingerprints
from augury.data.mask_store import mask_files
from augury.data.masks import mask_faults
from augury.data.sample import Manifest, digest_of
from augury.data.store import Store
from augury.errors import UserError
from augury.studies.edge_finder import GRADIENT, finder
from augury.studies.plan import Plan
from augury.studies.told import raw_maps, whole_map


def with_masks(manifest: Manifest, prints: Fingerprints) -> tuple[Manifest, tuple[str, ...]]:
    """All samples but those whose masks cannot be used, and what is to be said of them.

    `prints` are of the same samples. UserError where no sample has a mask that can be used.
    """
    masked = [i for i, sample in enumerate(manifest) if sample.masks]
    sizes = {manifest[i].row: (int(prints.height_N[i]), int(prints.width_N[i])) for i in masked}
    faults = {fault.image: fault.why for fault in mask_faults([manifest[i] for i in masked], sizes)}
    if len(masked) == len(faults):
        more = f"; the first: {next(iter(faults))!r} {next(iter(faults.values()))}" if faults else ""
        raise UserError(
            f"{manifest.name!r} has {len(masked)} images with masks, of which none can be used{more}; expected some; "
            "add a column `mask`, or files named <image>_mask"
        )
    kept = [i for i, sample in enumerate(manifest) if sample.row not in faults]
    return manifest.subset(kept), tuple(f"left out: {row!r} {why}" for row, why in faults.items())


def without_mask(manifest: Manifest) -> tuple[str, ...]:
    """The sentence about images without a mask, if there are any."""
    count = sum(not sample.masks for sample in manifest)
    return (f"{count} of {len(manifest)} images have no mask: taken as without a lesion",) if count else ()


def prepared_maps(
    plan: Plan, manifest: Manifest, store: Store, *, weights: Path | None, folder: Path, device: str
) -> Path:
    """maps.npy in `folder`: map_NKHW of the plan's maps, in the manifest's order.

    Edges have the contours of the masks added; they are HED's where its weights are given, else gradients. UserError
    where the mask files have changed since the plan was made, or where every mask is empty.
    """
    if digest_of(mask_files(manifest)) != plan.masks:
        raise UserError(
            f"the masks of {manifest.name!r} have changed since the plan was made; expected the same; choose another "
            "--out"
        )
    path = folder / "maps.npy"
    if not path.exists():
        found = finder(GRADIENT if weights is None else str(weights), device=device) if "edges" in plan.maps else None
        raw = raw_maps(manifest, store, plan.maps, finder=found, stage=lambda _: None)
        map_NKHW = whole_map(raw, manifest.label_N, plan.maps, contour=True)
        if not map_NKHW[:, plan.maps.index("mask")].any():
            raise UserError(f"every mask of {manifest.name!r} is empty; expected lesions in some; correct the masks")
        buffer = io.BytesIO()
        np.save(buffer, map_NKHW)
        write_atomically(path, buffer.getvalue())
    return path

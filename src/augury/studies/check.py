"""Is this set fit for use? The audit of the images, and what a study of them could detect at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from augury.data.audit import audit
from augury.data.copies import Copy, conflicting, copies
from augury.data.fingerprints import Fingerprints
from augury.data.importers import load_with_fingerprints
from augury.data.masks import mask_faults
from augury.data.preparation.choice import steps_in_words
from augury.data.preparation.modalities import bounds_in_words
from augury.data.sample import Manifest
from augury.data.twins import twins
from augury.metrics.power import smallest_detectable_difference
from augury.studies.preparing import chosen

# What EVALUATION.md's own figures assume: a middling classifier, two arms that mostly agree.
AUROC, CORRELATION = 0.80, 0.7
LISTED = 200  # pairs of copies that are named
LEAST = 10  # patients a class: every fold holds two, since both halves of a validation fold need every class


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A set that was looked at: what `check` says of it, and what its page is drawn from."""

    manifest: Manifest
    prints: Fingerprints
    copies: tuple[Copy, ...]  # every pair of images that are one picture twice
    found: Mapping[str, Any]


def check(
    data: str,
    *,
    layout: str | None = None,
    slices: str | None = None,
    modality: str | None = None,
    preparation: Mapping[str, Any] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """The audit of `data` as a JSON value (INTERFACE.md, `check --json`), and what could be detected.

    `smallest_detectable_difference` is of the macro AUROC with every patient of the rarest class tested once (presets
    standard and rigorous); null where that cannot be said. `modality` None: guessed; `preparation`: fields above the
    modality's own. `progress` is called with (stage, done, total).
    """
    seen = examine(data, layout=layout, slices=slices, modality=modality, preparation=preparation, progress=progress)
    return dict(seen.found)


def examine(
    data: str,
    *,
    layout: str | None = None,
    slices: str | None = None,
    modality: str | None = None,
    preparation: Mapping[str, Any] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Examined:
    """As `check`, with what a page shows."""
    reading = None if progress is None else lambda done, total: progress("reading images", done, total)
    manifest, fingerprints = load_with_fingerprints(
        data, no_patients=True, layout=layout, slices=slices, progress=reading
    )
    near = twins(fingerprints)
    pairs = copies(manifest, near)
    per_class = patients_per_class(manifest)
    rarest = min(per_class.values(), default=0)
    found = audit(manifest, fingerprints, near=near) | {
        "name": manifest.name,
        "digest": manifest.digest,
        "notes": list(manifest.notes),
        "copies": _listed(pairs, manifest),
        "copies_with_other_labels": _listed(conflicting(pairs, manifest), manifest),
        "mask_faults": _mask_faults(manifest, fingerprints),
        "preparation": _preparation(manifest, modality, preparation or {}),
        "groups_per_class": per_class,
        "smallest_detectable_difference": detectable(rarest, classes=len(per_class)),
        "smallest_detectable_difference_of": {"metric": "auroc_macro", "auroc": AUROC, "correlation": CORRELATION,
                                              "test_patients_a_class": rarest},
        "concerns": concerns(manifest, per_class),
    }  # fmt: skip
    return Examined(manifest=manifest, prints=fingerprints, copies=tuple(pairs), found=found)


def _listed(pairs: Sequence[Copy], manifest: Manifest) -> dict[str, Any]:
    """How many pairs there are, and the first of them by their rows."""
    names = [*manifest.classes, None]
    return {
        "count": len(pairs),
        "pairs": [
            {
                "images": [manifest[i].row for i in (pair.first, pair.second)],
                "labels": [names[-1 if (label := manifest[i].label) is None else label]
                           for i in (pair.first, pair.second)],
                "correlation": round(pair.correlation, 4), "exact": pair.exact,
            }
            for pair in pairs[:LISTED]
        ],
    }  # fmt: skip


def _mask_faults(manifest: Manifest, prints: Fingerprints) -> list[dict[str, str]]:
    """Images whose masks cannot be used, and why; every mask is opened."""
    masked = [i for i, sample in enumerate(manifest) if sample.masks]
    sizes = {manifest[i].row: (int(prints.height_N[i]), int(prints.width_N[i])) for i in masked}
    return [{"image": one.image, "why": one.why} for one in mask_faults([manifest[i] for i in masked], sizes)]


def _preparation(manifest: Manifest, modality: str | None, asked: Mapping[str, Any]) -> dict[str, Any]:
    """As what the images would be prepared, why, and what augmentation would leave alone."""
    choice = chosen(manifest, named=modality, asked=asked)
    return {
        "modality": choice.modality, "because": choice.because, "words": choice.words(),
        "steps": steps_in_words(choice.preparation), "augmentation": bounds_in_words(choice.kind, asked={}),
    }  # fmt: skip


def detectable(per_class: int, *, classes: int) -> float | None:
    """The smallest difference in AUROC that `per_class` test patients a class could show; None where none could."""
    if classes < 2 or per_class < 2:
        return None
    return smallest_detectable_difference(AUROC, CORRELATION, n=per_class)


def patients_per_class(manifest: Manifest) -> dict[str, int]:
    """Independent groups (patients joined with their duplicates) that hold each class."""
    groups: dict[int, set[str]] = defaultdict(set)
    for sample in manifest:
        if sample.label is not None:
            groups[sample.label].add(sample.group)
    return {name: len(groups[index]) for index, name in enumerate(manifest.classes)}


def concerns(manifest: Manifest, per_class: dict[str, int]) -> list[str]:
    """What would stop or weaken a study, one sentence each."""
    said = []
    if len(per_class) < 2:
        said.append(f"a study compares classes and needs at least 2; this set has {len(per_class)}")
    said += [
        f"class {name!r} has {count} independent patients; a study of five folds needs at least {LEAST}"
        for name, count in per_class.items()
        if count < LEAST
    ]
    if not manifest.patients_known:
        said.append(
            "patients are not known: a study needs --no-patients and takes every image for a patient of its own"
        )
    return said

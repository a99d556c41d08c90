"""Is this set fit for use? The audit of the images, and what a study of them could detect at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from augury.data.audit import audit
from augury.data.importers import load_with_fingerprints
from augury.data.sample import Manifest
from augury.data.twins import twins
from augury.metrics.power import smallest_detectable_difference

# What EVALUATION.md's own figures assume: a middling classifier, two arms that mostly agree.
AUROC, CORRELATION = 0.80, 0.7
LEAST = 10  # patients a class: every fold holds two, since both halves of a validation fold need every class


def check(
    data: str,
    *,
    layout: str | None = None,
    slices: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """The audit of `data` as a JSON value (INTERFACE.md, `check --json`), and what could be detected.

    `smallest_detectable_difference` is of the macro AUROC with every patient of the rarest class tested once (presets
    standard and rigorous); null where that cannot be said. `progress` is called with (stage, done, total).
    """
    reading = None if progress is None else lambda done, total: progress("reading images", done, total)
    manifest, fingerprints = load_with_fingerprints(
        data, no_patients=True, layout=layout, slices=slices, progress=reading
    )
    found = audit(manifest, fingerprints, near=twins(fingerprints))
    per_class = patients_per_class(manifest)
    rarest = min(per_class.values(), default=0)
    return found | {
        "name": manifest.name,
        "digest": manifest.digest,
        "notes": list(manifest.notes),
        "groups_per_class": per_class,
        "smallest_detectable_difference": detectable(rarest, classes=len(per_class)),
        "smallest_detectable_difference_of": {"metric": "auroc_macro", "auroc": AUROC, "correlation": CORRELATION,
                                              "test_patients_a_class": rarest},
        "concerns": concerns(manifest, per_class),
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

"""A synthetic set handed over with what is known of it. Whoever calls decides whether that takes an audit.

manifest = synthetic_set("set")
hand_over(manifest, "set", Path("out"), layout="dicom", audit=audit_of(manifest, "set"), on=date.today())
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

from augury.data import provenance, readers
from augury.data.croissant import About
from augury.data.export import export, refuse_real
from augury.data.importers import load
from augury.data.in_order import Progress
from augury.data.layouts import writable
from augury.data.sample import Manifest
from augury.errors import Refused, UserError
from augury.studies.audit.verdict import COPIES
from augury.studies.export.audited import Audit, audit_of, audited_already
from augury.studies.export.card import LIMITS, NO_LICENCE, USES, Facts, card, drawn_by, verdict_of, warning_of

__all__ = ["Audit", "audit_of", "audited_already", "hand_over", "synthetic_set"]

_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{1,63}|https?://\S+")


def synthetic_set(data: str, *, layout: str | None = None, progress: Progress | None = None) -> Manifest:
    """The images to hand over; Refused where one of them is real."""
    manifest = load(data, no_patients=True, layout=layout, progress=progress)
    refuse_real(manifest)
    if manifest.unreadable:
        first = manifest.unreadable[0]
        raise UserError(
            f"{len(manifest.unreadable)} images of {manifest.name!r} cannot be read (first: {first.image!r} "
            f"{first.why}); expected all of them: restore them, or leave them out"
        )
    return manifest


def hand_over(
    manifest: Manifest,
    data: str,
    out: Path,
    *,
    layout: str,
    audit: Audit | None,
    on: date,
    licence: str | None = None,
    despite_copies: bool = False,
) -> dict[str, Any]:
    """Export the set that was read from `data`, with its card; returns what was done.

    `audit` None: it was not audited, and its card says so first. Refused where copies were found, unless
    `despite_copies`. `on` is the day that the metadata name.
    """
    _expect_sound(layout, licence)
    if audit is not None and audit.verdict == COPIES and not despite_copies:
        raise Refused(
            f"the audit of {manifest.name!r} says COPIES FOUND ({audit.flagged} images flagged); expected a set "
            "without copies of training images: drop them and audit again, or say --despite-copies, and the card says "
            "it first"
        )
    facts = _facts(manifest, Path(data).expanduser(), layout=layout, licence=licence)
    done = export(manifest, out, layout=layout, card=card(facts, audit), about=_about(facts, audit, on=on))
    return {
        "export": str(done.folder), "format": done.layout, "images": done.images, "classes": dict(facts.counts),
        "verdict": verdict_of(audit), "licence": licence, "digest": facts.digest, "notes": list(done.notes),
    }  # fmt: skip


def _expect_sound(layout: str, licence: str | None) -> None:
    if layout not in writable():
        raise UserError(f"--to got {layout!r}; expected one of {', '.join(writable())}: name one of them")
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise UserError(f"--licence got {licence!r}; expected an SPDX identifier such as CC-BY-4.0, or an address")


def _facts(manifest: Manifest, data: Path, *, layout: str, licence: str | None) -> Facts:
    recorded = provenance.read(data).facts if provenance.complete(data) else {}
    labels = Counter(manifest.classes[sample.label] for sample in manifest if sample.label is not None)
    source = recorded.get("generator")
    return Facts(
        name=manifest.name, digest=manifest.digest, images=len(manifest),
        counts={name: labels[name] for name in manifest.classes if labels[name]},
        unlabelled=len(manifest) - labels.total(), looks=_looks(manifest), layout=layout, licence=licence,
        method=recorded.get("method"), generators=sorted({sample.origin for sample in manifest}),
        source=source if isinstance(source, dict) else {}, seed=recorded.get("seed"),
    )  # fmt: skip


def _looks(manifest: Manifest) -> str:
    """Of the first image: a set that a generator drew is alike throughout."""
    pixels = readers.decode(manifest[0].image, manifest[0].member)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    bits = 8 * pixels.dtype.itemsize
    return (
        f"{pixels.shape[0]} x {pixels.shape[1]}, {channels} channel(s), {bits} bits (height x width of the first image)"
    )


def _about(facts: Facts, audit: Audit | None, *, on: date) -> About:
    spdx = facts.licence and not facts.licence.startswith("http")
    address = f"https://spdx.org/licenses/{facts.licence}" if spdx else facts.licence
    made, warning = drawn_by(facts), warning_of(audit).replace("**", "")  # there is no bold in JSON
    return About(
        name=facts.name, licence=address or NO_LICENCE, published=on.isoformat(), uses=USES, limits=LIMITS,
        description=f"{verdict_of(audit)}: {facts.images} synthetic images, drawn by {made}. {warning}",
        cite_as=f"{facts.images} synthetic images, set {facts.digest}, drawn by {made}, {on.year}",
        made_how=f"Drawn by {made}; no image was acquired.",
        personal=f"No image shows a patient. Copies of training images: {verdict_of(audit)}.",
    )  # fmt: skip

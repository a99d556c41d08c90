"""The command that judges a synthetic set: audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from augury.app.options import AsJson, Device, Layout, Modality, Quiet, Seed, Size, device_of, size_of
from augury.app.talk import talk


def audit(
    data: Annotated[str, typer.Argument(metavar="SET", help="A synthetic set: the folder of augury sample, or any.")],
    *,
    train: Annotated[str, typer.Option("--train", metavar="DATA", help="The images that its generator was fitted to.")],
    holdout: Annotated[
        str | None,
        typer.Option("--holdout", metavar="DATA", help="Images of other patients; else those of --train it never saw."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="For audit.json and audit.html; SET/audit if absent.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="A second encoder: timm's weights, safetensors.")
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option("--encoder", metavar="MODEL", help="A further encoder: a fitted classifier.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="MODEL", help="The generator, to ask it who was a member.")
    ] = None,
    canaries: Annotated[
        int, typer.Option("--canaries", metavar="K", min=0, help="Fit it once more with K marked images.")
    ] = 0,
    release: Annotated[
        Path | None,
        typer.Option("--release", metavar="DIR", help="Write the set without what is too near, and audit that."),
    ] = None,
    layout: Layout = None,
    modality: Modality = None,
    size: Size = None,
    seed: Seed = 0,
    device: Device = "cpu",
    no_images: Annotated[bool, typer.Option("--no-images", help="No image in the page.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fidelity, diversity, copies: may this set be used, may it be shared?"""
    pixels = None if size is None else size_of(size, default=(0, 0))
    with talk(as_json=as_json, quiet=quiet) as voice:
        voice.note(f"auditing {data}")
        from augury.app.audit_words import audit_text
        from augury.studies.audit.release import release_set
        from augury.studies.audit.run import Options, publish
        from augury.studies.audit.run import audit as run_audit
        from augury.studies.audit.subjects import Asked
        from augury.studies.export.audited import place_of

        asked = Asked(data=data, train=train, holdout=holdout, layout=layout, size=pixels, modality=modality, seed=seed)
        options = Options(weights=weights, encoder=encoder, model=model, canaries=canaries, device=device_of(device))
        seen = run_audit(asked, options, progress=voice.progress, note=voice.note)
        page = publish(out or place_of(data).parent, seen, images=not no_images)
        if release is not None:
            voice.note(f"the whole set: {seen.facts['verdict']}; page: {page}")
            seen = release_set(asked, options, seen, release, progress=voice.progress, note=voice.note)
            page = publish(place_of(release).parent, seen, images=not no_images)
        voice.result(dict(seen.facts), f"{audit_text(seen.facts)}\npage: {page}")

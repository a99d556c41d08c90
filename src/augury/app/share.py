"""The command that hands a synthetic set over: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from augury.app.options import AsJson, Layout, Quiet
from augury.app.talk import talk
from augury.errors import UserError


def export(
    data: Annotated[str, typer.Argument(metavar="SET", help="A synthetic set: the folder of `augury sample`.")],
    *,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="manifest, medmnist, imagefolder, monai, nnunet, dicom, coco, class_folders, busi, "
            "kaggle_retinopathy or mmc_amd.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="D", help="A new or empty folder.")],
    audit: Annotated[
        Path | None, typer.Option("--audit", metavar="FILE", help="The audit.json; SET/audit/audit.json if absent.")
    ] = None,
    without_audit: Annotated[
        bool, typer.Option("--without-audit", help="Export a set that was not audited; its card says so first.")
    ] = False,
    despite_copies: Annotated[
        bool, typer.Option("--despite-copies", help="Export a set in which copies were found; its card says so first.")
    ] = False,
    licence: Annotated[
        str | None, typer.Option("--licence", metavar="ID", help="An SPDX identifier such as CC-BY-4.0, or an address.")
    ] = None,
    layout: Layout = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Hand a synthetic set over in a format of the field, with its card. No audit, no export."""
    if without_audit and (audit is not None or despite_copies):
        raise UserError("got --without-audit beside --audit or --despite-copies; expected one of them: leave one out")
    with talk(as_json=as_json, quiet=quiet) as voice:
        from datetime import UTC, datetime

        from augury.studies.export import audit_of, audited_already, hand_over, synthetic_set

        manifest = synthetic_set(data, layout=layout, progress=voice.progress.stage("reading images"))
        if without_audit and (known := audited_already(manifest, data)) is not None:
            raise UserError(
                f"got --without-audit, but {data!r} was audited ({known.verdict}); expected its card to say so: leave "
                "the option out"
            )
        facts = hand_over(
            manifest, data, out, layout=to, audit=None if without_audit else audit_of(manifest, data, file=audit),
            on=datetime.now(UTC).date(), licence=licence, despite_copies=despite_copies,
        )  # fmt: skip
        for note in facts["notes"]:
            voice.note(note)
        voice.result(facts, f"{facts['images']} images as {facts['format']}: {out} ({facts['verdict']})")

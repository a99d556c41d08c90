"""Commands that look and change nothing of the user's: check, report, doctor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from augury.app.config import split_settings
from augury.app.options import AsJson, Data, Layout, Modality, Quiet, Settings, Slices
from augury.app.talk import talk, to_json
from augury.errors import UserError


def check(
    data: Data,
    *,
    layout: Layout = None,
    slices: Slices = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Also write a page, check.html, and check.json there.")
    ] = None,
    no_images: Annotated[bool, typer.Option("--no-images", help="No image of the set in the page.")] = False,
    modality: Modality = None,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Is this set fit for use? Counts, unreadable files, duplicates, leaks, what could be detected at all."""
    with talk(as_json=as_json, quiet=quiet) as voice:
        voice.note(f"checking {data}")
        from augury.app.words import check_text
        from augury.data.cache import write_atomically
        from augury.studies.check import examine

        asked = _preparation(settings or [])
        seen = examine(
            data, layout=layout, slices=slices, modality=modality, preparation=asked, progress=voice.progress
        )
        words = check_text(seen.found)
        if out is not None:
            from augury.studies.data_page import build

            write_atomically(out / "check.json", to_json(seen.found))
            words += f"\n{'page':22} {build(out, seen, images=not no_images)}"
        voice.result(seen.found, words)


def _preparation(settings: Sequence[str]) -> dict[str, Any]:
    """The fields of Preparation that "preparation.FIELD=VALUE" sets; nothing else can be set here."""
    own, values = split_settings(settings)
    if own:
        raise UserError(f"--set got {own[0]!r}; expected preparation.FIELD=VALUE; check has no other settings")
    return values


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder.")],
    *,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Build a study's report again."""
    with talk(as_json=as_json, quiet=quiet) as voice:
        from augury.studies.report import build

        page = build(folder)
        voice.result({"report": str(page)}, f"report: {page}")


def doctor(*, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Versions, devices, optional parts, weights found."""
    with talk(as_json=as_json, quiet=quiet) as voice:
        from augury.app.doctor import examine, text

        facts = examine()
        voice.result(facts, text(facts))

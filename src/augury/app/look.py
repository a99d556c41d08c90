"""Commands that look and change nothing of the user's: check, report, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from augury.app.options import AsJson, Data, Layout, Quiet, Slices
from augury.app.talk import talk, to_json


def check(
    data: Data,
    *,
    layout: Layout = None,
    slices: Slices = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Also write check.json there.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Is this set fit for use? Counts, unreadable files, duplicates, leaks, what could be detected at all."""
    with talk(as_json=as_json, quiet=quiet) as voice:
        voice.note(f"checking {data}")
        from augury.app.words import check_text
        from augury.data.cache import write_atomically
        from augury.studies.check import check as examine

        found = examine(data, layout=layout, slices=slices, progress=voice.progress)
        if out is not None:
            write_atomically(out / "check.json", to_json(found))
        voice.result(found, check_text(found))


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

"""What a command says and where: its result on standard output, everything else on standard error."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from augury.app.progress import Progress, printable


@dataclass(frozen=True, kw_only=True)
class Talk:
    """One command's voice.

    With `as_json` the result is one JSON object on standard output and the words go to standard error. With `quiet`
    nothing but the result (and an error) is written.
    """

    as_json: bool
    quiet: bool
    progress: Progress

    def __enter__(self) -> Self:
        self.progress.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.progress.__exit__(kind, error, at)

    def note(self, text: str) -> None:
        """Words beside the result."""
        self.progress.say(text)

    def result(self, facts: Mapping[str, Any], text: str) -> None:
        """The result: as JSON for programs or as words for people."""
        if self.as_json:
            print(to_json(facts), flush=True)
            self.note(text)
        else:
            print(printable(text, sys.stdout), flush=True)


def talk(*, as_json: bool, quiet: bool) -> Talk:
    """A command's voice with its progress."""
    return Talk(as_json=as_json, quiet=quiet, progress=Progress(quiet=quiet))


def to_json(facts: Any) -> str:
    """A JSON text in ASCII; a number that is not finite becomes null, so that every reader can read it.

    >>> to_json({"a": float("nan"), "b": (1, 2.5)})
    '{"a": null, "b": [1, 2.5]}'
    """
    return json.dumps(_plain(facts), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):  # a number or an array of NumPy's
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value

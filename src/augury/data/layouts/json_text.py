"""JSON that is what it says: bounded, without doubled keys, without numbers that JSON does not have.

Python's own reader takes NaN, lets the last of two equal keys win and turns 1e400 into infinity; each of these is a
file that somebody wrote wrongly, so each is said instead.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from augury.errors import UserError

MAX_BYTES = 48 << 20  # values take up to 34 times as much memory (measured with 16 MiB of {"":0}): 1.6 GiB


def read_json(path: Path) -> Any:
    """The one value in the file; UserError where it is not JSON, too large, or says a key twice."""
    return parse(read_text(path), where=repr(path.name))


def read_json_lines(path: Path) -> list[tuple[int, Any]]:
    """One value a line (JSON Lines), with the numbers of the lines; blank lines are passed over."""
    lines = read_text(path).split("\n")
    return [(n, parse(line, where=f"{path.name!r} line {n}")) for n, line in enumerate(lines, 1) if line.strip()]


def read_text(path: Path) -> str:
    """The file's text, UTF-8 with or without a byte order mark; UserError for more than 48 MiB."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(
                f"{str(path)!r} has {size >> 20} MiB; expected at most {MAX_BYTES >> 20} MiB of JSON: divide it, one "
                "file a split, or write a manifest.csv"
            )
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{str(path)!r} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read ({error.strerror}); check the path") from error


def parse(text: str, *, where: str) -> Any:
    """The value of a JSON text. `where` names the file in messages."""
    try:
        return json.loads(text, object_pairs_hook=_no_doubles, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError as error:
        raise UserError(f"{where} is nested too deeply; expected a list of images: repair the file") from error
    except ValueError as error:
        raise UserError(
            f"{where} is no readable JSON ({_short(error)}); expected a list of images: repair it"
        ) from error


def as_dict(value: Any, *, where: str) -> dict[str, Any]:
    """The value, if it is an object."""
    if not isinstance(value, dict):
        raise wrong(value, "an object", where=where)
    return value


def as_list(value: Any, *, where: str) -> list[Any]:
    """The value, if it is a list."""
    if not isinstance(value, list):
        raise wrong(value, "a list", where=where)
    return value


def as_text(value: Any, *, where: str) -> str:
    """The value, if it is text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise wrong(value, "text", where=where)
    return value


def as_number(value: Any, *, where: str) -> float:
    """The value, if it is a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(value, "a number", where=where)
    try:
        return float(value)
    except OverflowError as error:  # a whole number of 400 digits
        raise wrong(value, "a number that can be held", where=where) from error


def as_word(value: Any, *, where: str) -> str | None:
    """Text, numbers and true or false as text; None for null and for blank text.

    >>> as_word(3, where=""), as_word(" a ", where=""), as_word(None, where=""), as_word(True, where="")
    ('3', 'a', None, 'true')
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value).strip() or None
    raise wrong(value, "text or a number", where=where)


def wrong(value: Any, expected: str, *, where: str) -> UserError:
    """The error for a value of another kind."""
    return UserError(f"{where} is {describe(value)}; expected {expected}: correct it")


def describe(value: Any) -> str:
    """A JSON value in a few words.

    >>> describe([1, 2]), describe({}), describe(None), describe(2.5), describe("a")
    ('a list of 2', 'an object', 'null', 'the number 2.5', "the text 'a'")
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"the text {value[:40]!r}" if isinstance(value, str) else f"the number {str(value)[:40]}"


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:60]!r} stands twice in one object")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]

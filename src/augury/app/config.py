"""A frozen dataclass from its defaults, a YAML file and dotted settings, in that order."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from augury.errors import UserError

T = TypeVar("T")


def configure(
    kind: type[T], settings: Sequence[str] = (), *, file: Path | None = None, values: Mapping[str, Any] | None = None
) -> T:
    """An instance of the dataclass `kind`: defaults, then `file`, then settings such as "a.b=c", then `values`.

    Raises UserError for an unknown field (with the nearest known one), a value of the wrong kind, a broken file.
    """
    import pydantic

    resolved = _defaults(kind)
    for given in [*([read_yaml(file)] if file else []), *(setting(text) for text in settings), values or {}]:
        _refuse_unknown(kind, given, at="")
        resolved = merge(resolved, given)
    try:
        return pydantic.TypeAdapter(kind).validate_python(resolved)
    except pydantic.ValidationError as error:
        raise UserError(_explain(error.errors()[0])) from error


def read_yaml(file: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds; UserError where it is absent or holds something else."""
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the configuration {str(file)!r}: {error}; give --config a YAML file") from error
    except yaml.YAMLError as error:
        raise UserError(f"{str(file)!r} is not YAML: {' '.join(str(error).split())}; correct the file") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise UserError(f"{str(file)!r} holds no mapping of names to values; write lines such as 'latent: 128'")
    return content


def setting(text: str) -> dict[str, Any]:
    """The nested mapping that a text such as "a.b=c" stands for; the value is read as YAML."""
    import yaml

    path, equals, value = text.partition("=")
    if not equals or not all(path.split(".")):
        raise UserError(
            f"--set got {text!r}, expected NAME=VALUE or PART.NAME=VALUE; write for example --set latent=64"
        )
    try:
        content: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UserError(f"--set {path} got {value!r}, which is not a YAML value; quote it or correct it") from error
    for name in reversed(path.split(".")):
        content = {name: content}
    return typing.cast(dict[str, Any], content)


def _defaults(kind: type) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            values[field.name] = _plain(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            values[field.name] = _plain(field.default_factory())
    return values


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


def merge(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with what is given over them, mapping by mapping."""
    merged = dict(values)
    for name, value in given.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = merge(merged[name], value) if both else value
    return merged


def _refuse_unknown(kind: type, given: Mapping[str, Any], *, at: str) -> None:
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    for name, value in given.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            advice = f"did you mean {at}{near[0]}?" if near else f"its fields are: {', '.join(names)}"
            raise UserError(f"there is no setting {at + name!r} in {kind.__name__}; {advice}")
        inner = list(_dataclasses_in(hints[name]))
        if isinstance(value, Mapping) and len(inner) == 1:
            _refuse_unknown(inner[0], value, at=f"{at}{name}.")


def _dataclasses_in(hint: Any) -> Iterator[type]:
    if dataclasses.is_dataclass(hint):
        yield typing.cast(type, hint)
    for inner in typing.get_args(hint):
        yield from _dataclasses_in(inner)


def _explain(error: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"] if not isinstance(part, str) or part.isidentifier())
    expected = str(error["msg"]).removeprefix("Value error, ")
    got = "" if error["type"] == "missing" else f" got {error['input']!r}:"
    what = f"the setting {place}" if place else "the settings as a whole"
    return f"{what}{got} {expected[:1].lower()}{expected[1:]}; correct it with --set or --config"

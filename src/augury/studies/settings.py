"""A frozen dataclass from its defaults and the mappings that override them; every mistake is one line."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import pydantic

from augury.errors import UserError

T = TypeVar("T")


def configured(kind: type[T], *given: Mapping[str, Any], at: str = "") -> T:
    """An instance of the dataclass `kind`: its defaults, overridden field by field by each mapping in turn.

    Mappings may be nested like the dataclasses. `at` stands before field names in messages, such as "cvae.". Raises
    UserError for an unknown field (with the nearest known one) and a value of the wrong kind.
    """
    resolved = _defaults(kind)
    for mapping in given:
        _refuse_unknown(kind, mapping, at=at)
        resolved = merge(resolved, mapping)
    try:
        return pydantic.TypeAdapter(kind).validate_python(resolved)
    except pydantic.ValidationError as error:
        raise UserError(_explain(error.errors()[0], at=at)) from error


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Names with dots as mappings in mappings.

    >>> nested({"a.b": 1, "a.c": 2, "d": 3})
    {'a': {'b': 1, 'c': 2}, 'd': 3}
    """
    whole: dict[str, Any] = {}
    for path, value in dotted.items():
        for name in reversed(path.split(".")):
            value = {name: value}
        whole = merge(whole, value)
    return whole


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


def _explain(error: Mapping[str, Any], *, at: str) -> str:
    place = at + ".".join(str(part) for part in error["loc"] if not isinstance(part, str) or part.isidentifier())
    expected = str(error["msg"]).removeprefix("Value error, ")
    got = "" if error["type"] == "missing" else f" got {error['input']!r}:"
    what = f"the setting {place}" if place else "the settings as a whole"
    return f"{what}{got} {expected[:1].lower()}{expected[1:]}; correct it with --set or --config"

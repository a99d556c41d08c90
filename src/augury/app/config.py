"""A frozen dataclass from its defaults, a YAML file and dotted settings, in that order."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
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
    from augury.studies.settings import configured

    return configured(kind, read_yaml(file) if file else {}, *(setting(text) for text in settings), values or {})


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


def split_settings(settings: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """What else was set, and the fields of Preparation that "preparation.FIELD=VALUE" sets."""
    prepared = [text for text in settings if text.startswith("preparation.")]
    values: dict[str, Any] = {}
    for text in prepared:
        values |= setting(text)["preparation"]
    return [text for text in settings if text not in prepared], values

"""Phantom sets by name, as a user writes them: `brain?n=600&seed=3&size=64`."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path
from urllib.parse import parse_qsl

from augury.data.cache import cache_folder
from augury.data.phantoms.amd import AmdConfig
from augury.data.phantoms.brain import BrainConfig
from augury.data.phantoms.breast import BreastConfig
from augury.data.phantoms.fundus import FundusConfig
from augury.data.phantoms.population import Population, batches
from augury.data.phantoms.writing import write
from augury.data.sample import digest_of
from augury.errors import UserError

PHANTOMS: dict[str, type[Population]] = {
    "brain": BrainConfig,
    "breast": BreastConfig,
    "fundus": FundusConfig,
    "amd": AmdConfig,
}
IMAGES = 600  # where the name does not say n
MOST_IMAGES = 1_000_000


def phantom_set(spec: str) -> Path:
    """The folder, with its manifest.csv, of the set that `KIND?n=...&seed=...&FIELD=...` names; rendered once.

    FIELD is any field of the kind's configuration. The folder lies in the cache, named by the digest of everything that
    the spec resolves to. UserError for an unknown kind or field and for values out of range.
    """
    kind, n, seed, config = parse(spec)
    facts = {"kind": kind, "revision": config.revision, "n": n, "seed": seed, "config": asdict(config)}
    folder = cache_folder() / "phantoms" / digest_of(facts)
    if not folder.is_dir():
        write(batches(config, n=n, seed=seed), folder)
    return folder


def parse(spec: str) -> tuple[str, int, int, Population]:
    """(kind, n, seed, configuration) of a spec.

    >>> parse("brain?n=40&seed=3&size=64")[:3]
    ('brain', 40, 3)
    """
    kind, _, query = spec.partition("?")
    if kind not in PHANTOMS:
        raise UserError(f"phantom {kind!r}: expected one of {', '.join(PHANTOMS)}, such as phantom:brain?n=600&seed=3")
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        raise UserError(f"phantom {spec!r}: expected KIND?name=value&name=value, such as brain?n=600&seed=3") from None
    n = int(_number(given.pop("n", str(IMAGES)), name="n", whole=True))
    seed = int(_number(given.pop("seed", "0"), name="seed", whole=True))
    if not 1 <= n <= MOST_IMAGES:
        raise UserError(f"phantom n={n}: expected 1 to {MOST_IMAGES:,} images")
    return kind, n, seed, _configured(PHANTOMS[kind](), given)


def _configured(config: Population, given: dict[str, str]) -> Population:
    """The configuration with the given fields, each read as the type of its default."""
    known = {field.name: getattr(config, field.name) for field in fields(config)}
    for name, text in given.items():
        if name not in known:
            raise UserError(f"phantom field {name!r}: expected one of n, seed, {', '.join(known)}")
        config = replace(config, **{name: _value(text, name=name, like=known[name])})  # type: ignore[arg-type]
    return config


def _value(text: str, *, name: str, like: float | bool) -> float | bool:
    if isinstance(like, bool):
        if text.lower() not in ("true", "false", "0", "1"):
            raise UserError(f"phantom {name}={text!r}: expected true or false")
        return text.lower() in ("true", "1")
    return _number(text, name=name, whole=isinstance(like, int))


def _number(text: str, *, name: str, whole: bool) -> float:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        raise UserError(f"phantom {name}={text!r}: expected a {'whole ' if whole else ''}number") from None

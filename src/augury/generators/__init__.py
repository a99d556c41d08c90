"""Generators: p(image | condition). A new one is a file and a row in this table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from augury.conditions.shape import Shape
from augury.errors import UserError
from augury.generators.cgan import CGAN, CGANConfig
from augury.generators.cvae import CVAE, CVAEConfig
from augury.generators.flow import Flow
from augury.generators.flow_settings import FlowConfig
from augury.generators.generator import Generator
from augury.generators.wgan_gp import WGANGP, WGANGPConfig

GENERATORS: dict[str, tuple[Any, Any]] = {
    "cgan": (CGAN, CGANConfig),
    "wgan_gp": (WGANGP, WGANGPConfig),
    "cvae": (CVAE, CVAEConfig),
    "flow": (Flow, FlowConfig),
}


def load(folder: Path) -> Generator:
    """The generator that was saved in a folder, on the CPU, ready to sample.

    Raises:
        UserError: there is none, it is of an unknown method or revision, or its weights are not its own or not finite.
    """
    try:
        facts = json.loads((folder / "config.json").read_text())
        method, revision, config, shape = facts["method"], facts["revision"], facts["config"], Shape(**facts["shape"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{str(folder)!r} holds no model ({error}); expected config.json; name a model") from error
    if method not in GENERATORS:
        raise UserError(f"{str(folder)!r} holds a {method}; expected one of {', '.join(GENERATORS)}; name a generator")
    kind, settings = GENERATORS[method]
    if revision != kind.revision:
        raise UserError(
            f"{str(folder)!r} is {method} revision {revision}; this is revision {kind.revision}; fit it anew"
        )
    try:
        parsed = TypeAdapter(settings).validate_python(config)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise UserError(f"{str(folder)!r}: setting {where} is not one of {method}'s; fit the model anew") from error
    generator: Generator = kind(parsed, shape)
    return generator.restore(folder)

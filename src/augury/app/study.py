"""The main command: does synthesis, pretraining or zooming help on these images?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augury.app.config import configure, read_yaml, setting
from augury.app.options import (
    AsJson,
    Config,
    Data,
    Device,
    Layout,
    Modality,
    NoPatients,
    Quiet,
    Settings,
    Slices,
    device_of,
    size_of,
)
from augury.app.talk import talk
from augury.errors import UserError

if TYPE_CHECKING:
    from augury.studies.study import Study

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def study(
    data: Data,
    *,
    task: Annotated[str | None, typer.Option(help="classify, or segment: what is scored is a mask.")] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The study's folder; an unfinished one goes on.")],
    preset: Annotated[str | None, typer.Option(help="quick, standard or rigorous.")] = None,
    budget: Annotated[str | None, typer.Option(help="Time to keep to: 90s, 5m, 2h.")] = None,
    arms: Annotated[str | None, typer.Option(help="Comma-separated, such as augmented,mixed:cvae:0.5")] = None,
    generators: Annotated[str | None, typer.Option(help="Comma-separated, such as cvae,wgan_gp")] = None,
    metric: Annotated[str | None, typer.Option(help="The primary metric: auroc_macro, or dice of masks.")] = None,
    smallest_effect: Annotated[float | None, typer.Option(help="The smallest difference of interest; 0.02.")] = None,
    gate_level: Annotated[float | None, typer.Option(help="How sure the gate must be; 0.20, strict 0.05.")] = None,
    split: Annotated[str | None, typer.Option(help="grouped, or given: the data's own split column.")] = None,
    drop_leaks: Annotated[bool, typer.Option("--drop-leaks", help="With --split given: drop training twins.")] = False,
    no_patients: NoPatients = False,
    layout: Layout = None,
    slices: Slices = None,
    modality: Modality = None,
    weights: Annotated[Path | None, typer.Option(help="A .safetensors file for the arms probe, pretrained.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Exactly an earlier plan.json, on any machine.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")] = None,
    size: Annotated[str | None, typer.Option(metavar="P|HxW", help="Pixels; chosen by the planner if absent.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed gives the same study.")] = None,
    device: Device = "cpu",
    config: Config = None,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Does synthesis, pretraining or zooming help on these images? A verdict, a report and the best model."""
    flags = {
        "data": data, "out": out, "task": task, "preset": preset, "budget": None if budget is None else seconds(budget),
        "arms": _names(arms), "generators": _names(generators), "metric": metric, "smallest_effect": smallest_effect,
        "gate_level": gate_level, "split": split, "drop_leaks": drop_leaks or None, "modality": modality,
        "no_patients": no_patients or None, "layout": layout, "slices": slices,
        "weights": weights, "plan": plan, "workers": workers, "seed": seed, "device": device_of(device),
        "size": None if size is None else size_of(size, default=(0, 0)),
    }  # fmt: skip
    with talk(as_json=as_json, quiet=quiet) as voice:
        voice.note(f"studying {data}")
        from augury.app.words import study_text
        from augury.studies.runner import run_study

        asked = question(flags, file=config, settings=settings or [])
        results = run_study(asked, progress=voice.progress, note=voice.note)
        voice.result(results, study_text(results, asked.out))


def question(flags: Mapping[str, Any], *, file: Path | None, settings: Sequence[str]) -> Study:
    """The study that a file, --set and flags ask for; a later one of these wins.

    A field that is not the study's own, such as classifier.width, becomes one of its overrides.
    """
    from augury.studies.settings import merge
    from augury.studies.study import Study

    own = {field.name for field in fields(Study)} - {"overrides"}
    given: dict[str, Any] = read_yaml(file) if file else {}
    for text in settings:
        given = merge(given, setting(text))
    values = {name: value for name, value in given.items() if name in own}
    values["overrides"] = _dotted({name: value for name, value in given.items() if name not in own})
    values |= {name: value for name, value in flags.items() if value is not None}
    return configure(Study, values=values)


def seconds(text: str) -> float:
    """A time such as 90, 90s, 5m, 1.5h in seconds.

    >>> seconds("90"), seconds("5m"), seconds("1.5h")
    (90.0, 300.0, 5400.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|)", text.strip())
    if not found or float(found[1]) == 0:
        raise UserError(f"--budget got {text!r}, expected a time above zero; write for example --budget 15m")
    return float(found[1]) * _UNITS[found[2]]


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def _dotted(values: Mapping[str, Any], *, at: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _dotted(value, at=f"{at}{name}.") if isinstance(value, Mapping) else {at + name: value}
    return flat

"""What the planners of all tasks share: lengths of training, overrides, generators, images as they are prepared."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from augury.data.store import REVISION as STORE
from augury.errors import UserError
from augury.generators import GENERATORS
from augury.studies import preparing
from augury.studies.arms import Arm
from augury.studies.plan import GeneratorPlan
from augury.studies.settings import configured, nested
from augury.studies.study import Extent, Study

BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Length:
    """How long something is trained."""

    steps: int
    batch: int = BATCH

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2:
            raise UserError(f"got steps={self.steps}, batch={self.batch}; expected steps from 1 and a batch from 2")


def own_of(kind: type) -> tuple[str, ...]:
    """The fields of the plan itself that a user may override."""
    return tuple(field.name for field in fields(kind))


def expect_known(study: Study, *, own: Iterable[str], predictor: str, generators: Iterable[str]) -> None:
    """UserError for a generator or a setting that this task has not, and for weights that are no file."""
    known = tuple(generators)
    unknown = [name for name in study.generators if name not in known]
    if unknown or not study.generators:
        raise UserError(f"got the generators {unknown}; expected some of {', '.join(known)}; correct --generators")
    prefixes = (predictor, *preparing.SECTIONS, *study.generators)
    strange = [n for n in study.overrides if n not in own and n.split(".")[0] not in prefixes]
    if strange:
        wanted = ", ".join([*own, *(f"{prefix}.FIELD" for prefix in prefixes)])
        raise UserError(f"got the setting {strange[0]!r}; expected one of {wanted}; correct --set or the file")
    if study.weights is not None and not study.weights.is_file():
        raise UserError(f"got --weights {study.weights}, which is no file; expected a .safetensors file")


def extent_of(extent: Extent, study: Study, *, folds: int, seeds: int) -> Extent:
    """The preset's extent with the user's folds and seeds; a given split is one fold."""
    extent = replace(extent, folds=folds, seeds=seeds)
    if study.split == "given":
        return replace(extent, folds=1, used=1, repeats=1)
    return replace(extent, used=1 if extent.used == 1 else extent.folds)


def generator_plan(name: str, overrides: Mapping[str, Any], *, usual: Mapping[str, Any]) -> GeneratorPlan:
    """How a generator is fitted: `usual` steps, batch and fields of its configuration below the user's own."""
    given = prefixed(name, overrides)
    training: dict[str, Any] = {key: given.pop(key) for key in ("steps", "batch") if key in given}
    plain = {key: value for key, value in usual.items() if key not in ("steps", "batch")}
    length = configured(Length, {k: v for k, v in usual.items() if k not in plain}, training, at=f"{name}.")
    config = configured(GENERATORS[name][1], plain, given, at=f"{name}.")
    return GeneratorPlan(config=asdict(config), steps=length.steps, batch=length.batch)


def prefixed(prefix: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides that begin with this prefix, without it, nested."""
    return nested({n.removeprefix(f"{prefix}."): v for n, v in overrides.items() if n.startswith(f"{prefix}.")})


def generator_revisions(generators: Iterable[str]) -> dict[str, int]:
    """Of the store and of each generator."""
    return {"store": STORE} | {name: GENERATORS[name][0].revision for name in generators}


def workers_of(study: Study) -> int:
    """Processes: what was asked for, else one a core, or one on a GPU."""
    if study.workers is not None:
        return study.workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if study.device == "cpu" else 1


def expect_two(arms: Sequence[Arm]) -> None:
    """UserError where there is nothing to compare the reference with."""
    if len(arms) < 2:
        raise UserError("got the reference alone; a study compares it with something; add an arm such as real")


def weights_digest(path: Path) -> str:
    """Sixteen hex digits of a weights file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]

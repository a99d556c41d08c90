"""What a user asks of a study, before anything is known about the data or the machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from augury.errors import UserError

Preset = Literal["quick", "standard", "rigorous"]


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How often a study repeats itself."""

    folds: int  # outer folds that the data are divided into
    used: int  # of these, how many serve as the test fold
    repeats: int  # times that the division is drawn anew
    seeds: int  # runs of every arm per fold
    generator_seeds: int  # of these, how many different generators feed them


PRESETS: dict[str, Extent] = {
    "quick": Extent(folds=5, used=1, repeats=1, seeds=3, generator_seeds=1),
    "standard": Extent(folds=5, used=5, repeats=1, seeds=3, generator_seeds=1),
    "rigorous": Extent(folds=5, used=5, repeats=3, seeds=6, generator_seeds=2),
}
# N steps of a study on its own time; a budget shrinks them.
STEPS = {"quick": 400, "standard": 600, "rigorous": 900}


@dataclass(frozen=True, kw_only=True)
class Usual:
    """What a task takes where the user says nothing."""

    metric: str
    generators: tuple[str, ...]


TASKS: dict[str, Usual] = {
    "classify": Usual(metric="auroc_macro", generators=("cvae", "wgan_gp")),
    "segment": Usual(metric="dice", generators=("flow",)),
}


@dataclass(frozen=True, kw_only=True)
class Study:
    """One question asked of one data set.

    `arms` None: the default arms; `metric` "" and `generators` (): the task's own. `size` None: chosen by the planner.
    `budget` is in seconds; None: unlimited. `workers` None: one process a core on a CPU, one on a GPU. `overrides` are
    dotted configuration fields, such as {"classifier.width": 24, "cvae.latent": 256, "steps": 300}.
    """

    data: str
    out: Path
    task: str = "classify"  # or "segment"
    preset: Preset = "standard"
    budget: float | None = None
    arms: tuple[str, ...] | None = None
    generators: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    seed: int = 0
    metric: str = ""
    smallest_effect: float = 0.02
    gate_level: float = 0.20
    split: Literal["grouped", "given"] = "grouped"
    drop_leaks: bool = False
    no_patients: bool = False
    layout: str | None = None  # of the data on disk; None: recognised
    slices: str | None = None  # the rule by which volumes are cut (data.slices); None: the middle eight
    modality: str | None = None  # None: guessed from the data
    weights: Path | None = None
    device: str = "cpu"
    plan: Path | None = None
    workers: int | None = None
    overrides: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UserError(f"got --task {self.task!r}; expected classify or segment; grades are not there yet")
        # frozen: what was left open is closed here, once, so that a plan says what was done
        object.__setattr__(self, "metric", self.metric or TASKS[self.task].metric)
        object.__setattr__(self, "generators", self.generators or TASKS[self.task].generators)
        if self.preset not in PRESETS:
            raise UserError(f"got the preset {self.preset!r}; expected quick, standard or rigorous; choose one")
        if self.budget is not None and not self.budget > 0:
            raise UserError(f"got a budget of {self.budget} s; expected a positive time; write e.g. --budget 15m")
        if not 0 < self.smallest_effect < 1:
            raise UserError(f"got --smallest-effect {self.smallest_effect}; expected a number between 0 and 1")
        if not 0 < self.gate_level < 0.5:
            raise UserError(f"got --gate-level {self.gate_level}; expected a number between 0 and 0.5, such as 0.2")

    def request(self) -> dict[str, Any]:
        """What makes two commands the same study: everything but where it runs and where it is written."""
        facts = asdict(self)
        for name in ("out", "plan", "device", "workers"):
            del facts[name]
        if self.slices is None:  # so that a study begun before there were volumes goes on
            del facts["slices"]
        if self.task == "classify":  # likewise before there were tasks
            del facts["task"]
        facts["weights"] = str(self.weights) if self.weights else None
        return facts

"""The plan: everything that a study will do, fixed and on disk before the first step.

`plan.json` is complete: with the same data it gives the same predictions on any machine of the same kind. Its hash
stands in the report.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from augury.data.augmentation import Augmentation
from augury.data.cache import write_atomically
from augury.data.sample import digest_of
from augury.errors import UserError
from augury.studies import arms
from augury.studies.arms import Arm
from augury.studies.segment import arms as segment_arms
from augury.studies.study import Extent

FILE = "plan.json"
PARSERS = {"": arms.parse, "segment": segment_arms.parse}  # what an arm's id means, by task
LATER = {"modality", "handling", "preparation", "augmentations", "task", "segmenter", "masks", "siblings", "maps",
         "moved"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GeneratorPlan:
    """How a generator is fitted."""

    config: dict[str, Any]
    steps: int
    batch: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that determines a study's numbers, and what they are expected to cost."""

    schema: int = 1
    request: dict[str, Any]  # the command's own words: two commands with equal ones are the same study
    data: str  # digest of the manifest
    preset: str
    question: str
    size: tuple[int, int]
    channels: Literal[1, 3]
    split: str
    drop_leaks: bool
    extent: Extent
    seed: int
    classifier: dict[str, Any]
    steps: int  # N of the budget rule
    batch: int
    candidates: tuple[str, ...]  # augmentation presets to tune over
    generators: dict[str, GeneratorPlan]
    arms: tuple[str, ...]
    reference: str
    primary: str  # the arm of the primary contrast
    metric: str
    smallest_effect: float
    gate_level: float
    weights: str | None = None
    weights_digest: str | None = None
    workers: int = 1
    estimate_seconds: float = 0.0
    costs: dict[str, Any] = field(default_factory=dict)  # seconds on one core as measured, for the progress bar
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    revisions: dict[str, int] = field(default_factory=dict)
    modality: str = ""  # as which the images are prepared; "": a plan from before this was asked
    handling: tuple[str, ...] = ()  # what that means, in sentences
    preparation: dict[str, Any] = field(default_factory=dict)  # fields of Preparation that are not as usual
    augmentations: dict[str, dict[str, Any]] = field(default_factory=dict)  # presets within the modality's bounds
    task: Literal["", "segment"] = ""  # "": classification
    segmenter: dict[str, Any] = field(default_factory=dict)
    masks: str = ""  # digest of the mask files
    maps: tuple[str, ...] = ()  # what generators are told of an image besides its class
    siblings: int = 0  # synthetic images of each training mask for arms that merge
    moved: bool = False  # whether synthetic images of other arms have masks that were turned, cropped and shifted

    @property
    def hash(self) -> str:
        """Sixteen hex digits of all that determines a number; what this machine needs for it does not enter.

        Nor do fields that an older plan did not have, as long as they say nothing.
        """
        here = ("workers", "estimate_seconds", "costs")
        facts = {name: value for name, value in asdict(self).items() if name not in here}
        return digest_of({name: value for name, value in facts.items() if value or name not in LATER})

    def augmentation(self, name: str) -> str | Augmentation:
        """The preset of this name as the plan's modality allows it."""
        return Augmentation(**self.augmentations[name]) if name in self.augmentations else name

    def parsed(self) -> tuple[Arm, ...]:
        """The arms, reference first."""
        return tuple(self.arm(text) for text in self.arms)

    def arm(self, text: str) -> Arm:
        """The arm that an id names in this plan's task. UserError for an id that names none."""
        return PARSERS[self.task](text, generators=tuple(self.generators))

    def completed(self, wanted: Sequence[Arm]) -> tuple[Arm, ...]:
        """These arms with the reference first and every control added, each once."""
        return arms.complete(wanted, generators=tuple(self.generators), read=PARSERS[self.task])

    def words(self) -> str:
        """The plan and its estimate as lines for people."""
        e, (height, width) = self.extent, self.size
        runs = f"{e.used} of {e.folds} folds, {e.seeds} seeds" + (f", {e.repeats} repeats" if e.repeats > 1 else "")
        lines = [
            f"question: {self.question}",
            f"plan {self.hash}: {runs}, {height}x{width} pixels, {self.steps} steps of {self.batch} images",
            f"arms: {', '.join(self.arms)}",
            f"generators: {', '.join(f'{name} ({g.steps} steps)' for name, g in self.generators.items()) or 'none'}",
            *(f"dropped for the budget: {text}" for text in self.dropped),
            *self.handling,
            *self.notes,
            f"estimate: {self.estimate_seconds / 60:.1f} minutes with {self.workers} worker(s)",
        ]
        return "\n".join(lines)

    def write(self, folder: Path) -> None:
        """Write plan.json."""
        write_atomically(
            folder / FILE, json.dumps({**asdict(self), "hash": self.hash}, indent=1, sort_keys=True) + "\n"
        )


def read(path: Path) -> Plan:
    """The plan in a file. Raises UserError where the file is no plan, or is one that was changed by hand."""
    try:
        facts = json.loads(path.read_text())
        stated = facts.pop("hash", None)
        plan = TypeAdapter(Plan).validate_python(facts)
    except (OSError, ValueError, AttributeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is no plan ({reason}); expected a plan.json that `augury study` wrote") from error
    if stated != plan.hash:
        raise UserError(
            f"{path} says hash {stated} but its content has {plan.hash}; expected an unchanged plan; restore it, or "
            "plan anew in another folder"
        )
    return plan

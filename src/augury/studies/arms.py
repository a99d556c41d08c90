"""Arms: what a study compares. An id such as `mixed:cvae:0.5` says how a predictor is trained.

The budget rule (N: the plan's steps): `augmented` takes N steps; `mixed` and `sequential` N on real and rN on synthetic
batches; `generated` N synthetic; `duplicated:r` (1 + r) N real; `merged` N steps of two forward passes each. Each
synthetic arm is controlled by the `duplicated` of its own count and steps.

Here are the arms of classification; those of segmentation are in segment/arms.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from augury.errors import UserError

REFERENCE = "augmented"
ID = re.compile(r"[a-z0-9_]+(:[a-z0-9_.]+)*")

Mode = Literal["real", "mixed", "sequential", "generated", "merged"]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """How one arm trains its predictor."""

    id: str
    mode: Mode = "real"
    generator: str | None = None
    ratio: float = 0.0  # synthetic (or, for `duplicated`, repeated real) steps over N
    augmented: bool = True
    augmentation: str = ""  # a named one that is not tuned; "": the tuned one where `augmented`, else none
    balanced: bool = False
    share: float = 1.0  # of the labelled patients
    weight: float = 1.0  # of a synthetic batch in the loss; below 1 it falls to 0 in the last third
    given_weights: bool = False
    frozen: bool = False  # logistic regression on frozen features
    shuffled: bool = False  # synthetic labels permuted: the negative control
    control: str | None = None
    description: str = ""

    @property
    def phrase(self) -> str:
        """What the arm does, as the subject of a sentence."""
        if self.shuffled or self.mode == "real":
            return f"The arm {self.id}"
        return PHRASES[self.mode].format(generator=self.generator)

    @property
    def candidate(self) -> bool:
        """Whether it could be handed over: controls, and the reference on fewer labels, are there to compare with."""
        return not (self.shuffled or self.share < 1 or self.id == REFERENCE or self.id.startswith("duplicated"))

    @property
    def cost(self) -> float:
        """Predictor steps in units of N."""
        if self.frozen:
            return 0.0
        return 1.0 if self.mode == "generated" else 1.0 + self.ratio


WORDS = {
    "real": "real images without augmentation",
    "augmented": "real images with standard augmentation, its strength tuned on validation patients: the reference",
    "balanced": "the reference with a class-balanced sampler",
    "probe": "logistic regression on frozen features of the given weights",
    "pretrained": "the reference started from the given weights",
}
PHRASES = {
    "mixed": "Mixing synthetic images of {generator} into the real ones",
    "sequential": "Training first on synthetic images of {generator}, then on the real ones,",
    "generated": "Taking synthetic images of {generator} in place of the real ones",
    "merged": "Merging synthetic siblings of {generator} into each real image's loss",
}
SIMPLE = {
    "real": Arm(id="real", augmented=False, description=WORDS["real"]),
    "augmented": Arm(id="augmented", description=WORDS["augmented"]),
    "balanced": Arm(id="balanced", balanced=True, description=WORDS["balanced"]),
    "probe": Arm(id="probe", given_weights=True, frozen=True, description=WORDS["probe"]),
    "pretrained": Arm(id="pretrained", given_weights=True, description=WORDS["pretrained"]),
}


def parse(text: str, *, generators: Sequence[str]) -> Arm:
    """The arm that an id names. Raises UserError for an id that names none.

    >>> parse("mixed:cvae:0.5", generators=["cvae"]).control
    'duplicated:0.5'
    """
    head, *rest = text.split(":")
    if not ID.fullmatch(text):
        raise _unknown(text, generators)
    if text in SIMPLE:
        return SIMPLE[text]
    if head in ("duplicated", "labels") and len(rest) == 1:
        return counted(head, text, number(rest[0], text))
    if head in ("generated", "mixed", "sequential", "shuffled") and 1 <= len(rest) <= 3:
        return _synthetic(head, text, rest, generators)
    raise _unknown(text, generators)


def counted(head: str, text: str, value: float) -> Arm:
    """The arm `duplicated` or `labels` with its number; UserError for a share of 1 or more."""
    if head == "duplicated":
        words = f"the reference with its real images repeated for {value:g} times as many further steps: the control"
        return Arm(id=text, ratio=value, description=words)
    if value >= 1:
        raise UserError(f"got the arm {text!r}; expected a share of the labels between 0 and 1; write e.g. labels:0.25")
    return Arm(id=text, share=value, description=f"the reference on {value:.0%} of the labelled patients")


def _synthetic(head: str, text: str, rest: Sequence[str], generators: Sequence[str]) -> Arm:
    name, *numbers = rest
    if name not in generators:
        known = ", ".join(generators)
        raise UserError(f"got the arm {text!r} with the generator {name!r}; expected one of {known}; correct the name")
    if head == "generated" and not numbers:
        words = f"synthetic images of {name} only"
        return Arm(id=text, mode="generated", generator=name, ratio=1.0, description=words)
    if head == "generated" or (head != "mixed" and len(numbers) > 1):
        raise _unknown(text, generators)
    ratio, weight = [*(number(n, text) for n in numbers), 1.0, 1.0][:2] if numbers else (1.0, 1.0)
    return Arm(
        id=text, mode="sequential" if head == "sequential" else "mixed", generator=name, ratio=ratio, weight=weight,
        shuffled=head == "shuffled", control=f"duplicated:{ratio:g}", description=_words(head, name, ratio, weight),
    )  # fmt: skip


def _words(head: str, name: str, ratio: float, weight: float) -> str:
    amount = f"{ratio:g} times as many synthetic images of {name}"
    if head == "sequential":
        return f"first trained on {amount}, then on the real ones"
    if head == "shuffled":
        return f"real images and {amount} with shuffled labels: the negative control, which must lose"
    tail = "" if weight == 1 else f", weighted {weight:g} and faded out in the last third"
    return f"real images and {amount}{tail}"


def number(text: str, arm: str) -> float:
    """A ratio or a share that stands in an arm's id; UserError for what is none."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 100:
        raise UserError(
            f"got the arm {arm!r}; expected a number above 0 and up to 100 in place of {text!r}; correct it"
        )
    return value


def _unknown(text: str, generators: Sequence[str]) -> UserError:
    name = generators[0] if generators else "cvae"
    return UserError(
        f"got the arm {text!r}; expected one of {', '.join(SIMPLE)}, duplicated:R, labels:P, generated:G, mixed:G:R, "
        f"sequential:G:R, shuffled:G:R; write e.g. mixed:{name}:0.5"
    )


def complete(arms: Sequence[Arm], *, generators: Sequence[str], read: Callable[..., Arm] = parse) -> tuple[Arm, ...]:
    """The arms with the reference first and every control added, each once; `read` is the task's own parse."""
    wanted = [read(REFERENCE, generators=generators), *arms]
    wanted += [read(arm.control, generators=generators) for arm in arms if arm.control]
    return tuple({arm.id: arm for arm in wanted}.values())


def default(*, generators: Sequence[str], ratios: Sequence[float], weights: bool) -> tuple[Arm, ...]:
    """The arms of a study that names none."""
    ids = ["real", "augmented", "balanced", *(["probe", "pretrained"] if weights else [])]
    for name in generators:
        ids += [f"generated:{name}", *(f"mixed:{name}:{r:g}" for r in ratios), f"sequential:{name}:{max(ratios):g}"]
    ids += [f"shuffled:{generators[0]}:{min(ratios):g}"] if generators else []
    ids += ["labels:0.25", "labels:0.5"]
    return complete([parse(text, generators=generators) for text in ids], generators=generators)


def question(arms: Sequence[Arm], metric: str) -> str:
    """What the primary contrast asks."""
    arm = primary(arms)
    return f"Does the arm {arm.id} ({arm.description}) change {metric} on new patients, against {REFERENCE}?"


def primary(arms: Sequence[Arm]) -> Arm:
    """The arm of the primary contrast: pretraining on synthetic images if present, else the first that is no control.

    Fixed by the order of the list before anything is trained (EVALUATION.md: sequential is expected to help most; of
    segmentation `merged`, the published method, stands first).
    """
    for mode in ("sequential", "merged", "mixed", "generated"):
        found = [arm for arm in arms if arm.mode == mode and not arm.shuffled]
        if found:
            return found[0]
    others = [arm for arm in arms if arm.candidate and arm.id != "real"]
    return (others or [arm for arm in arms if arm.id != REFERENCE])[0]

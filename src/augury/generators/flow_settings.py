"""What `flow` may be asked for: its network, its training, its samplers. Frozen, and checked when made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from augury.errors import Refused, UserError
from augury.generators.latent_space import Latent
from augury.generators.private import DP

KINDS = ("label", "prompt", "edges", "mask", "boxes", "cam")  # what it may be told
MAPS = KINDS[2:]
STRONGEST = 20.0  # guidance beyond which samples are noise or flat grey at any length
SAMPLERS = {"flow": ("heun", "euler", "student"), "ddpm": ("ddim", "ancestral")}
STEPS = {"heun": 16, "euler": 32, "student": 4, "ddim": 50, "ancestral": 1000}

Sampler = Literal["heun", "euler", "student", "ddim", "ancestral"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How images are drawn. Heun's method evaluates the network twice a step (but in the last), the others once.

    `guidance` 1 follows the condition as it was learned, more exaggerates it, 0 ignores it (Ho 2022). Under
    `guide="early"` the samples are pushed away from an earlier, worse state of the network instead (Karras 2024b).
    """

    sampler: Sampler | None = None  # None: heun under objective flow, ddim under ddpm
    steps: int | None = None  # None: the sampler's own number
    guidance: float = 1.0
    guide: Literal["condition", "early"] = "condition"
    early: float = 0.3  # share of the training after which the guide was laid aside

    def __post_init__(self) -> None:
        if not 0 <= self.guidance <= STRONGEST:
            raise UserError(
                f"guidance={self.guidance:g}: expected from 0 (the condition is ignored) to {STRONGEST:g}; try 1 to 3"
            )
        if self.steps is not None and not 1 <= self.steps <= 1000:
            raise UserError(f"steps={self.steps}: expected from 1 to 1000 sampling steps; try 16")
        if not 0 < self.early < 1:
            raise UserError(f"early={self.early:g}: expected a share of the training between 0 and 1; try 0.3")


@dataclass(frozen=True, kw_only=True)
class UNet:
    """The network; None for a patch is one that suits the picture's size."""

    widths: tuple[int, ...] = (32, 64, 128)  # features of each map, the largest first
    blocks: int = 1  # a map
    patch: int | None = None  # squares of so many pixels a side become channels
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 8 or self.blocks < 1 or not 0 <= self.dropout < 1:
            raise UserError(
                f"net.widths={list(self.widths)}, net.blocks={self.blocks}, net.dropout={self.dropout}: expected "
                "widths from 8, blocks from 1 and a dropout of at least 0 and less than 1; try the defaults"
            )


@dataclass(frozen=True, kw_only=True)
class Warps:
    """Augmentation that does not leak into samples, since the network is told of it (Karras 2022, appendix F.2)."""

    chance: float = 0.12  # of each kind of change, for each image; 0 turns them off
    strength: float = 1.0  # 1: shifts of 12 %, scales of 1.15, turns of 15 degrees, stretches of 1.1
    mirror: bool = False  # also left-right; only where an image has no side

    def __post_init__(self) -> None:
        if not 0 <= self.chance <= 1 or not 0 <= self.strength < math.inf:
            raise UserError(
                f"warps.chance={self.chance}, warps.strength={self.strength}: expected a share of 0 to 1 and a number "
                "from 0; try 0.12 and 1"
            )


@dataclass(frozen=True, kw_only=True)
class FlowConfig:
    """What the model is told, what it learns, how long it remembers its weights, how it draws."""

    conditions: tuple[str, ...] = ("label",)
    words: tuple[str, ...] = ()  # the prompt's vocabulary; id 1 is the first, 0 pads
    objective: Literal["flow", "ddpm"] = "flow"
    schedule: Literal["linear", "scaled_linear"] = "linear"  # of ddpm's 1000 steps
    net: UNet = field(default_factory=UNet)
    warps: Warps = field(default_factory=Warps)
    latent: Latent | None = field(default_factory=Latent)  # None: pixels at any size
    control: Literal["concat", "branch"] = "concat"  # maps beside the image, or by a branch (ControlNet, Zhang 2023)
    trunk_share: float = 0.5  # of the model's steps train the branch's trunk first, without maps; not after --init
    rate: float = 2e-3  # Adam's largest learning rate
    drop: float = 0.1  # share of images whose condition is dropped, for guidance
    # Of the logit-normal times (Esser 2024). They are the log-normal noise levels of Karras 2022, table 1: for data of
    # unit variance the logarithm of noise over signal is the logit of t; -0.5 is their -1.2 less ln 0.5.
    time_mean: float = -0.5
    time_sd: float = 1.2
    lengths: tuple[float, float] = (0.05, 0.1)  # of the two averages; samples come from the first
    snapshots: int = 4  # copies of both that are kept, for any other length and for guidance; half precision
    student_share: float | None = None  # extra steps for a sampler of 1 to 4; None: 0.2 under flow, 0 under ddpm
    student_steps: int = 4
    sampling: Sampling = field(default_factory=Sampling)
    dp: DP | None = None  # differential privacy, which this method cannot have: always None

    def __post_init__(self) -> None:
        if self.dp is not None:
            raise Refused("flow got dp.epsilon; expected a method that can be private; fit cgan or cvae")
        self._expect_conditions()
        self._expect_numbers()
        expect_sampler(self.sampling, self)

    def _expect_conditions(self) -> None:
        strange = [name for name in self.conditions if name not in KINDS]
        if strange or len(set(self.conditions)) < len(self.conditions):
            raise UserError(
                f"conditions={list(self.conditions)}: expected some of {', '.join(KINDS)}, each once; correct the list"
            )
        if bool(self.words) != ("prompt" in self.conditions):
            raise UserError(
                f"conditions={list(self.conditions)} with {len(self.words)} words: expected words where there is a "
                "prompt and only there; give both or neither"
            )

    def _expect_numbers(self) -> None:
        if not 0 < self.trunk_share < 1:
            raise UserError(f"trunk_share={self.trunk_share}: expected a share between 0 and 1; try 0.5")
        if not (self.rate > 0 and self.time_sd > 0 and 0 <= self.drop < 1):
            raise UserError(
                f"rate={self.rate}, time_sd={self.time_sd}, drop={self.drop}: expected two numbers above 0 and a "
                "share of at least 0 and less than 1; try the defaults"
            )
        if not all(0.01 <= length <= 0.25 for length in self.lengths) or self.lengths[0] == self.lengths[1]:
            raise UserError(f"lengths={list(self.lengths)}: expected two lengths from 0.01 to 0.25; try 0.05 and 0.1")
        if not 0 <= self.snapshots <= 64:
            raise UserError(f"snapshots={self.snapshots}: expected 0 (none) to 64; try 4")
        if self.student_share is not None and not 0 <= self.student_share <= 1:
            raise UserError(f"student_share={self.student_share}: expected 0 (no student) to 1; try 0.2")
        if self.student_share and self.objective == "ddpm":
            raise UserError(
                f"student_share={self.student_share} with objective=ddpm: expected 0, since the student learns the "
                "steps of a flow; leave one of them out"
            )
        if not 1 <= self.student_steps <= 8:
            raise UserError(f"student_steps={self.student_steps}: expected 1 to 8; try 4")

    @property
    def maps(self) -> tuple[str, ...]:
        """The map channels that it is told, in their order."""
        return tuple(name for name in self.conditions if name in MAPS)

    @property
    def extra(self) -> float:
        """The student's steps as a share of the model's own."""
        if self.student_share is not None:
            return self.student_share
        return 0.2 if self.objective == "flow" else 0.0


def expect_sampler(sampling: Sampling, config: FlowConfig) -> tuple[str, int]:
    """The sampler and its number of steps.

    Raises:
        UserError: the sampler is of another objective, or a student was asked for and none trained.
    """
    known = SAMPLERS[config.objective]
    sampler = sampling.sampler or known[0]
    if sampler not in known:
        raise UserError(
            f"sampler={sampler} got for a model of objective={config.objective}; expected {' or '.join(known)}; "
            "name one of them"
        )
    if sampler == "student":
        if not config.extra:
            raise UserError("sampler=student got for a model without one; expected heun or euler; fit it anew with "
                            "student_share=0.2")  # fmt: skip
        if sampling.steps not in (None, config.student_steps):
            raise UserError(f"steps={sampling.steps} got for a student of {config.student_steps} steps; expected that "
                            "number; leave steps out, or fit a student of as many")  # fmt: skip
        if sampling.guidance != 1:
            raise UserError(f"guidance={sampling.guidance:g} got for the student; expected 1, since it learned "
                            "unguided steps; leave it out or take sampler=heun")  # fmt: skip
    own = config.student_steps if sampler == "student" else STEPS[sampler]
    return sampler, sampling.steps or own

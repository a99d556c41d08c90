"""The planner: measures this machine and fits a study to the time there is.

It gives up, in this order and saying so: ratios other than the smallest, labels, the second generator, balanced or (of
masks) single augmentations, resolution, the tuning grid, (of masks) stacked augmentations and synthetic images alone,
the real and shuffled arms, steps; last, all folds but one. Never the reference, its control, one synthetic arm and
three seeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol

import numpy as np
import torch

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.data.sample import Manifest
from augury.errors import UserError
from augury.generators import GENERATORS
from augury.predictors.classifier import Classifier, ClassifierConfig
from augury.predictors.phases import Phase, Source
from augury.studies.arms import Arm, primary, question
from augury.studies.graph import Costs, build
from augury.studies.plan import GeneratorPlan, Plan
from augury.studies.settings import configured
from augury.training import Run

START = 9.0  # seconds until a worker has imported everything
PREPARING = 0.003  # seconds an image until the store stands
FINISH = 4.0  # seconds for the report, and for the intervals of
AN_ARM = 2.0
CONTENTION = 1.15  # two processes on two cores share caches and memory (measured)
LEAST_STEPS = 0.35  # of the preset's steps; below this the reference itself would not be a fair one
SIZES = {"": (32, 28), "segment": (48, 32)}  # by task
STACKED = ("deepstack", "nnunet")
PLAIN = "standard"  # the augmentation of a study that has no time to tune it


class Measure(Protocol):
    """Seconds on one core of each thing that a plan does, measured on this machine."""

    def __call__(self, plan: Plan, manifest: Manifest, *, device: str) -> Costs:
        """The costs."""


def measure(plan: Plan, manifest: Manifest, *, device: str) -> Costs:
    """Seconds on one core of each thing that the plan does, from a few steps on noise."""
    height, width = plan.size
    shape = Shape(channels=plan.channels, height=height, width=width, classes=len(manifest.classes))
    noise = np.random.default_rng(0).integers(0, 256, (256, plan.channels, height, width), dtype=np.uint8)
    label_N = torch.arange(256) % shape.classes
    pairs = Pairs(
        pixels_NCHW=noise, condition=Condition(label_B=label_N), classes=shape.classes, group_N=torch.arange(256)
    )
    return on_one_thread(
        plan, device=device, predictor=lambda: _predictor(plan, pairs, shape, device),
        generator=lambda name, g: generator_costs(
            name, g, pairs, shape, device=device, asked=Condition(label_B=label_N[:64])
        ),
    )  # fmt: skip


def on_one_thread(
    plan: Plan,
    *,
    device: str,
    predictor: Callable[[], tuple[float, float]],
    generator: Callable[[str, GeneratorPlan], tuple[float, float]],
) -> Costs:
    """What both measure on one thread: seconds a step and an image scored; seconds a step and an image drawn."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if device == "cpu" else threads)
    try:
        train, score = predictor()
        drawn = {name: generator(name, g) for name, g in plan.generators.items()}
    finally:
        torch.set_num_threads(threads)
    share = CONTENTION if plan.workers > 1 else 1.0
    return Costs(
        train=share * train, score=share * score, start=0.3,
        fit={name: share * fit for name, (fit, _) in drawn.items()},
        draw={name: share * draw for name, (_, draw) in drawn.items()},
    )  # fmt: skip


def _predictor(plan: Plan, pairs: Pairs, shape: Shape, device: str) -> tuple[float, float]:
    config = ClassifierConfig(**{**plan.classifier, "augmentation": plan.augmentation(plan.candidates[-1])})
    net = Classifier(config, shape)

    def steps(count: int) -> None:
        run = Run(seed=0, steps=count, batch=plan.batch, device=device)
        net.fit([Phase(sources=(Source(pairs=pairs),), steps=count)], run, validation=None)

    train = seconds_a_step(steps)
    start = time.monotonic()
    net.predict(pairs.pixels_NCHW)
    return train, (time.monotonic() - start) / len(pairs)


def generator_costs(
    name: str, plan: GeneratorPlan, pairs: Pairs, shape: Shape, *, device: str, asked: Condition
) -> tuple[float, float]:
    """Seconds of a generator's step, and of an image drawn as `asked`."""
    kind, config = GENERATORS[name]
    net = kind(configured(config, plan.config), shape)

    def steps(count: int) -> None:
        net.fit(pairs, Run(seed=0, steps=count, batch=plan.batch, device=device))

    fit = seconds_a_step(steps, least=3)
    start = time.monotonic()
    net.sample(asked, seed=0)
    return fit, (time.monotonic() - start) / len(asked)


def seconds_a_step(steps: Callable[[int], None], *, least: int = 6) -> float:
    """The slope between a short and a longer run, so that the constant part does not count."""
    steps(2)
    start = time.monotonic()
    steps(least)
    short = time.monotonic() - start
    start = time.monotonic()
    steps(4 * least)
    return max((time.monotonic() - start - short) / (3 * least), 1e-5)


def estimate(plan: Plan, manifest: Manifest, costs: Costs) -> float:
    """Expected seconds of the whole study on this machine."""
    graph = build(plan, manifest, costs)
    work = sum(step.cost for step in graph.steps.values())
    heaviest = max((step.cost for step in graph.steps.values()), default=0.0)
    waves = work / plan.workers + (heaviest / 2 if plan.workers > 1 else 0.0)
    return waves + _chain(plan, costs) + FINISH + AN_ARM * len(plan.arms) + (START if plan.workers > 1 else 0.0)


def _chain(plan: Plan, costs: Costs) -> float:
    """The refitted best model: at worst one generator and the hungriest predictor."""
    generators = [g.steps * costs.fit[name] for name, g in plan.generators.items()]
    return max(generators, default=0.0) + max(arm.cost for arm in plan.parsed()) * plan.steps * costs.train


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One thing that may be given up; `apply` returns None where there is nothing to give up."""

    words: str
    apply: Callable[[Plan], Plan | None]


def fit_to(
    plan: Plan,
    manifest: Manifest,
    *,
    seconds: float,
    spent: float = 0.0,
    measured: Callable[[Plan], Costs],
    fixed: frozenset[str],
) -> Plan:
    """The plan cut down to `seconds`, of which `spent` are gone.

    `fixed` names what the user said and must stay (arms, generators, size, steps, ...); `measured` gives a plan's
    costs on this machine. Raises UserError where not even the smallest honest study fits.
    """
    whole, began = seconds, time.monotonic() - spent
    costs = measured(plan)
    seconds = whole - (time.monotonic() - began) - PREPARING * len(manifest)
    for cut in _cuts(fixed, plan.task):
        if estimate(plan, manifest, costs) <= seconds:
            break
        smaller = cut.apply(plan)
        if smaller is None:
            continue
        if smaller.size != plan.size:
            costs = measured(smaller)
        plan = replace(smaller, dropped=(*plan.dropped, cut.words))
    shorter = _fewer_steps(plan, manifest, costs, seconds=seconds, fixed=fixed)
    if estimate(shorter, manifest, costs) > seconds and plan.extent.used > 1 and "folds" not in fixed:
        words = "all folds but one: such a study can only lean"
        one = replace(plan.extent, used=1, repeats=1, generator_seeds=1)
        quick = replace(plan, extent=one, preset="quick", dropped=(*plan.dropped, words))
        shorter = _fewer_steps(quick, manifest, costs, seconds=seconds, fixed=fixed)
    plan = shorter
    needed = estimate(plan, manifest, costs)
    if needed > 1.3 * seconds:
        raise UserError(
            f"got a budget of {whole:.0f} s; the smallest honest study of these images needs about "
            f"{needed + whole - seconds:.0f} s on this machine; give --budget more, or fewer arms"
        )
    return replace(plan, estimate_seconds=round(needed + whole - seconds, 1), costs=asdict(costs))


def _fewer_steps(plan: Plan, manifest: Manifest, costs: Costs, *, seconds: float, fixed: frozenset[str]) -> Plan:
    """Scale every count of steps by one factor, down to LEAST_STEPS of the plan's; unless it fits, or was said."""
    if "steps" in fixed or estimate(plan, manifest, costs) <= seconds:
        return plan
    for share in np.arange(0.95, LEAST_STEPS - 1e-9, -0.05):
        smaller = _scaled(plan, float(share))
        if estimate(smaller, manifest, costs) <= seconds:
            return smaller
    return _scaled(plan, LEAST_STEPS)


def _scaled(plan: Plan, share: float) -> Plan:
    generators = {n: replace(g, steps=max(1, round(share * g.steps))) for n, g in plan.generators.items()}
    words = f"{1 - share:.0%} of all training steps"
    return replace(plan, steps=round(share * plan.steps), generators=generators, dropped=(*plan.dropped, words))


def _cuts(fixed: frozenset[str], task: str) -> Sequence[Cut]:
    arms = [
        Cut(words="ratios other than the smallest", apply=_one_ratio),
        Cut(words="arms with a share of the labels", apply=lambda p: _without(p, lambda a: a.share < 1)),
        Cut(words="the second generator", apply=lambda p: _one_generator(p) if "generators" not in fixed else None),
        Cut(words="the balanced arm", apply=lambda p: _without(p, lambda a: a.balanced)),
        Cut(words="arms of a single augmentation", apply=lambda p: _without(p, _single)),
    ]
    size = [Cut(words=f"resolution above {s} px", apply=lambda p, s=s: _shrunk(p, s)) for s in SIZES[task]]  # type: ignore[misc]
    grid = [Cut(words="tuning of the augmentation", apply=_untuned)]
    more = [
        Cut(words="stacked augmentations", apply=lambda p: _without(p, lambda a: a.augmentation in STACKED)),
        Cut(
            words="synthetic images alone", apply=lambda p: _without(p, lambda a: bool(task) and a.mode == "generated")
        ),
        Cut(words="the arm without augmentation", apply=lambda p: _without(p, lambda a: a.id == "real")),
        Cut(words="the negative control", apply=lambda p: _without(p, lambda a: a.shuffled)),
    ]
    return [
        *(arms if "arms" not in fixed else []), *(size if "size" not in fixed else []),
        *(grid if "candidates" not in fixed else []), *(more if "arms" not in fixed else []),
    ]  # fmt: skip


def _single(arm: Arm) -> bool:
    return bool(arm.augmentation) and arm.augmentation not in STACKED


def _with_arms(plan: Plan, arms: Sequence[Arm], generators: Mapping[str, GeneratorPlan] | None = None) -> Plan | None:
    kept = dict(generators if generators is not None else plan.generators)
    ids = tuple(arm.id for arm in replace(plan, generators=kept).completed(arms))
    if set(ids) == set(plan.arms):
        return None
    smaller = replace(plan, arms=ids, generators=kept)
    left = smaller.parsed()
    return replace(smaller, primary=primary(left).id, question=question(left, plan.metric))


def _without(plan: Plan, drop: Callable[[Arm], bool]) -> Plan | None:
    return _with_arms(plan, [arm for arm in plan.parsed() if not drop(arm) and not arm.id.startswith("duplicated")])


def _one_ratio(plan: Plan) -> Plan | None:
    """Every synthetic arm at the smallest ratio: one control serves them all."""
    ratios = [arm.ratio for arm in plan.parsed() if arm.mode == "mixed"]
    if not ratios:
        return None
    kept = []
    for arm in plan.parsed():
        if arm.id.startswith("duplicated"):
            continue
        head, *rest = arm.id.split(":")
        text = f"{head}:{rest[0]}:{min(ratios):g}" if head in ("mixed", "sequential", "shuffled") else arm.id
        kept.append(plan.arm(text))
    return _with_arms(plan, kept)


def _one_generator(plan: Plan) -> Plan | None:
    first, *others = plan.generators
    if not others:
        return None
    kept = [a for a in plan.parsed() if a.generator in (None, first) and not a.id.startswith("duplicated")]
    return _with_arms(plan, kept, {first: plan.generators[first]})


def _shrunk(plan: Plan, size: int) -> Plan | None:
    return replace(plan, size=(size, size)) if min(plan.size) > size else None


def _untuned(plan: Plan) -> Plan | None:
    return replace(plan, candidates=(PLAIN,)) if len(plan.candidates) > 1 else None

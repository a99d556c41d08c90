"""A study as a graph of content-addressed steps: equal work is done once, done work is never repeated.

tune ─┐
      ├─ fit (arm, fold, seed) ── predictions
generator ── draw ─┘      └ fidelity
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from augury.data.provenance import Recipe, samples_digest
from augury.data.sample import Manifest, digest_of
from augury.studies.arms import REFERENCE, SIMPLE, Arm
from augury.studies.partition import Partition, cases, given, given_cases, grouped
from augury.studies.plan import Plan

Run = tuple[str, int, int, int]  # arm, repeat, fold, seed


@dataclass(frozen=True, kw_only=True)
class Step:
    """One artefact to be made."""

    recipe: Recipe
    partition: int  # position among the partitions; -1: all labelled images
    words: str
    cost: float  # expected seconds on one core; no part of the digest

    @property
    def digest(self) -> str:
        """The artefact's name."""
        return self.recipe.digest

    @property
    def name(self) -> str:
        """The artefact's folder."""
        return f"{self.recipe.kind}-{self.digest}"


@dataclass(kw_only=True)
class Graph:
    """Steps by digest, parents before children, and where each arm's result will stand."""

    partitions: tuple[Partition, ...]
    steps: dict[str, Step] = field(default_factory=dict)
    fits: dict[Run, str] = field(default_factory=dict)
    draws: dict[tuple[str, int, int, int], str] = field(default_factory=dict)  # generator, repeat, fold, its seed
    siblings: dict[tuple[str, int, int, int], str] = field(default_factory=dict)  # likewise, for arms that merge
    fidelity: dict[tuple[str, int, int], str] = field(default_factory=dict)  # generator, repeat, fold

    def add(self, step: Step) -> str:
        """Add a step once; returns its digest."""
        return self.steps.setdefault(step.digest, step).digest


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds on one core, as measured."""

    train: float = 0.0  # a predictor step
    score: float = 0.0  # an image scored
    fit: Mapping[str, float] = field(default_factory=dict)  # a generator's step
    draw: Mapping[str, float] = field(default_factory=dict)  # an image drawn
    start: float = 0.0  # of any step


def partitions_of(plan: Plan, manifest: Manifest) -> tuple[Partition, ...]:
    """The plan's partitions of the samples."""
    by_split, by_fold = (given_cases, cases) if plan.task == "segment" else (given, grouped)
    if plan.split == "given":
        return by_split(manifest, drop_leaks=plan.drop_leaks, seed=plan.seed)
    e = plan.extent
    return by_fold(manifest, folds=e.folds, used=e.used, repeats=e.repeats, seed=plan.seed)


def build(plan: Plan, manifest: Manifest, costs: Costs | None = None) -> Graph:
    """The whole graph of a study on the samples of a manifest."""
    costs = costs or Costs()
    graph = Graph(partitions=partitions_of(plan, manifest))
    for place, part in enumerate(graph.partitions):
        _add_partition(graph, plan, manifest, place, part, costs)
    return graph


def _add_partition(graph: Graph, plan: Plan, manifest: Manifest, place: int, part: Partition, costs: Costs) -> None:
    maker = Maker(plan=plan, manifest=manifest, place=place, part=part, costs=costs)
    tune = graph.add(maker.tune()) if len(plan.candidates) > 1 else None
    for name in plan.generators:
        for seed in range(plan.extent.generator_seeds):
            at = (name, part.repeat, part.fold, seed)
            source = graph.add(maker.generator(name, seed))
            merging = {arm.mode == "merged" for arm in plan.parsed() if arm.generator == name}
            if True in merging:
                graph.draws[at] = graph.siblings[at] = graph.add(maker.siblings(name, source, seed))
            if merging != {True}:
                graph.draws[at] = graph.add(maker.draw(name, source, seed))
    for arm in plan.parsed():
        for seed in range(plan.extent.seeds):
            tuned = arm.augmented and not arm.frozen and not arm.augmentation
            parents = {"tune": tune} if tune and tuned else {}
            if arm.generator:
                drawn = seed % plan.extent.generator_seeds
                drawings = graph.siblings if arm.mode == "merged" else graph.draws
                parents["synthetic"] = drawings[arm.generator, part.repeat, part.fold, drawn]
            graph.fits[arm.id, part.repeat, part.fold, seed] = graph.add(maker.fit(arm, seed, parents))
    for name in plan.generators:
        parents = {
            "judge": graph.fits[REFERENCE, part.repeat, part.fold, 0],
            "synthetic": graph.draws[name, part.repeat, part.fold, 0],
        }
        graph.fidelity[name, part.repeat, part.fold] = graph.add(maker.fidelity(name, parents))


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes the steps of one partition."""

    plan: Plan
    manifest: Manifest
    place: int
    part: Partition
    costs: Costs

    def common(self) -> dict[str, Any]:
        """Facts that enter every step."""
        plan = self.plan
        prepared: dict[str, Any] = {"preparation": plan.preparation} if plan.preparation else {}
        if plan.task:
            prepared |= {"task": plan.task, "masks": plan.masks, "maps": plan.maps, "edges": plan.weights_digest}
        return {
            "size": plan.size, "channels": plan.channels, "seed": plan.seed, "precision": "fp32",
            "store": plan.revisions.get("store"), "steps_revision": plan.revisions.get("steps"), **prepared,
        }  # fmt: skip

    def tune(self) -> Step:
        """Choose the strength of augmentation for the reference on the choosing half."""
        plan = self.plan
        facts = {**self._predictor(SIMPLE[REFERENCE], 0), "candidates": plan.candidates, "metric": plan.metric}
        cost = len(plan.candidates) * self._train_cost(1.0)
        return self._step("tune", facts, {}, f"tuning augmentation, fold {self.part.fold + 1}", cost)

    def generator(self, name: str, seed: int) -> Step:
        """Fit a generator on the training part."""
        plan = self.plan.generators[name]
        facts = {"method": name, "revision": self.plan.revisions.get(name, 1), **asdict(plan), "draw_seed": seed}
        cost = plan.steps * self.costs.fit.get(name, 0.0)
        return self._step("generator", facts, {}, f"{name}, fold {self.part.fold + 1}", cost)

    def draw(self, name: str, source: str, seed: int) -> Step:
        """Draw as many images as the hungriest arm wants."""
        arms = [arm for arm in self.plan.parsed() if arm.generator == name and arm.mode != "merged"]
        facts = {"method": name, "ratio": max((arm.ratio for arm in arms), default=1.0), "draw_seed": seed}
        if self.plan.moved:
            facts["moved"] = True
        return self._draw(name, source, facts)

    def siblings(self, name: str, source: str, seed: int) -> Step:
        """Draw siblings that keep the masks of their images, as many of each as merging arms want."""
        return self._draw(name, source, {"method": name, "ratio": float(self.plan.siblings), "draw_seed": seed})

    def _draw(self, name: str, source: str, facts: dict[str, Any]) -> Step:
        cost = facts["ratio"] * len(self.part.train) * self.costs.draw.get(name, 0.0)
        words = f"drawing from {name}, fold {self.part.fold + 1}"
        return self._step("draw", facts, {"generator": source}, words, cost)

    def fit(self, arm: Arm, seed: int, parents: Mapping[str, str]) -> Step:
        """Train a predictor and score the held-out parts."""
        facts = {**self._predictor(arm, seed), "scored": self._digest("test", "gate")}
        words = f"{arm.id}, fold {self.part.fold + 1}, seed {seed + 1}"
        return self._step("fit", facts, parents, words, self._train_cost(arm.cost) + self._score_cost())

    def fidelity(self, name: str, parents: Mapping[str, str]) -> Step:
        """Ask the reference what class each synthetic image shows, and find its nearest training image."""
        cost = 2.0 + len(self.part.train) * self.costs.score
        return self._step("fidelity", {"method": name}, parents, f"inspecting {name}, fold {self.part.fold + 1}", cost)

    def _predictor(self, arm: Arm, seed: int) -> dict[str, Any]:
        plan = self.plan
        training = {
            "mode": arm.mode, "ratio": arm.ratio, "augmented": arm.augmented, "balanced": arm.balanced,
            "share": arm.share, "weight": arm.weight, "frozen": arm.frozen, "shuffled": arm.shuffled,
            "weights": plan.weights_digest if arm.given_weights else None,
        }  # fmt: skip
        if plan.task == "segment":
            merged = plan.siblings if arm.mode == "merged" else 0
            training |= {"augmentation": arm.augmentation, "siblings": merged}
            return {
                "training": training, "segmenter": plan.segmenter, "steps": plan.steps, "batch": plan.batch,
                "run_seed": seed, "candidates": plan.candidates if len(plan.candidates) == 1 else None,
                "revision": plan.revisions.get("segmenter", 1),
            }  # fmt: skip
        bounds = {"augmentations": plan.augmentations} if plan.augmentations else {}
        return bounds | {
            "training": training, "classifier": plan.classifier, "steps": plan.steps, "batch": plan.batch,
            "run_seed": 0 if arm.frozen else seed, "candidates": plan.candidates if len(plan.candidates) == 1 else None,
            "revision": plan.revisions.get("probe" if arm.frozen else "classifier", 1),
        }  # fmt: skip

    def _step(self, kind: str, facts: dict[str, Any], parents: Mapping[str, str], words: str, cost: float) -> Step:
        roles = {"train": self._samples("train")}
        if kind in ("tune", "fit"):
            roles["choose"] = self._samples("choose")
        recipe = Recipe(kind=kind, facts={**self.common(), **facts}, fitted_on=roles, parents=parents)
        return Step(recipe=recipe, partition=self.place, words=words, cost=cost + self.costs.start)

    def _samples(self, role: str) -> tuple[str, ...]:
        return samples_digest(self.manifest.samples[i] for i in getattr(self.part, role))

    def _digest(self, *roles: str) -> str:
        return digest_of([self._samples(role) for role in roles])

    def _train_cost(self, units: float) -> float:
        return units * self.plan.steps * self.costs.train

    def _score_cost(self) -> float:
        part = self.part
        return self.costs.score * (4 * len(part.choose) + len(part.gate) + len(part.test) + len(part.train))

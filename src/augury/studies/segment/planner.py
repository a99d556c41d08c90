"""The plan of a segmentation study that may take its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from augury.data.mask_store import mask_files
from augury.data.sample import Manifest, digest_of
from augury.data.segment_augmentation import SEGMENT_AUGMENTATIONS
from augury.errors import UserError
from augury.generators import GENERATORS
from augury.metrics.case_measures import MEASURES
from augury.predictors.segmenter import Segmenter, SegmenterConfig
from augury.studies import planning, preparing
from augury.studies.arms import REFERENCE, Arm, complete, primary, question
from augury.studies.edge_finder import finder
from augury.studies.plan import GeneratorPlan, Plan
from augury.studies.planning import Length, expect_two, extent_of, generator_plan, prefixed, weights_digest, workers_of
from augury.studies.segment import arms as named
from augury.studies.segment.steps import REVISION
from augury.studies.segment.subjects import without_mask
from augury.studies.settings import configured
from augury.studies.study import Extent, Study

MAPS = ("mask", "edges")  # what a generator is told besides the class
BATCH = 16
SIZE = {"cpu": 64, "cuda": 128}
FOLDS = 3  # as published, by patient here
SIBLINGS = 4  # of each training mask for the merged loss; the paper draws 50
# From mild to strong: with few steps on busi (150 of 16 images at 64 px) strong augmentation was worse than none.
CANDIDATES = ("rotate", "standard", "deepstack", "nnunet")
STEPS = {"quick": 300, "standard": 600, "rigorous": 1200}
PRESETS = {
    "quick": Extent(folds=FOLDS, used=1, repeats=1, seeds=3, generator_seeds=1),
    "standard": Extent(folds=FOLDS, used=FOLDS, repeats=1, seeds=3, generator_seeds=1),
    "rigorous": Extent(folds=FOLDS, used=FOLDS, repeats=3, seeds=6, generator_seeds=2),
}
GENERATOR_STEPS = {"quick": 600, "standard": 2000, "rigorous": 6000}


@dataclass(frozen=True, kw_only=True)
class Settings(Length):
    """Overrides that are the plan's own fields."""

    folds: int
    seeds: int
    siblings: int = SIBLINGS
    moved: bool = True
    candidates: tuple[str, ...] = CANDIDATES

    def __post_init__(self) -> None:
        Length.__post_init__(self)
        if self.folds < 2 or self.seeds < 1 or self.siblings < 1:
            raise UserError(
                f"got folds={self.folds}, seeds={self.seeds}, siblings={self.siblings}; expected at least 2 folds, 1 "
                "seed and 1 sibling"
            )
        unknown = [name for name in self.candidates if name not in SEGMENT_AUGMENTATIONS]
        if unknown or not self.candidates:
            known = ", ".join(SEGMENT_AUGMENTATIONS)
            raise UserError(f"got candidates={list(self.candidates)}; expected some of {known}")


OWN = planning.own_of(Settings)


def whole(study: Study, manifest: Manifest, channels: Literal[1, 3]) -> Plan:
    """What the study does if it may take its time. UserError for an unknown arm, generator, metric or setting."""
    planning.expect_known(study, own=OWN, predictor="segmenter", generators=_guided())
    if study.metric not in MEASURES:
        raise UserError(f"got --metric {study.metric!r}; expected one of {', '.join(MEASURES)}")
    own, arms = _own(study), _arms(study)
    used = [name for name in study.generators if name in {arm.generator for arm in arms}]
    choice = preparing.chosen(
        manifest, named=study.modality, asked=preparing.section("preparation", study.overrides)
    )  # fmt: skip
    labelled = bool((manifest.label_N >= 0).any())
    generators = {name: _generator(name, study, labelled=labelled) for name in used}
    told = {kind for generator in generators.values() for kind in generator.config["conditions"]}
    maps = tuple(name for name in MAPS if name == "mask" or name in told)
    return Plan(
        task="segment", request=study.request(), data=manifest.digest, masks=digest_of(mask_files(manifest)),
        preset=study.preset, question=question(arms, study.metric), channels=channels,
        size=study.size or (SIZE["cpu" if study.device == "cpu" else "cuda"],) * 2,
        split=study.split, drop_leaks=study.drop_leaks, seed=study.seed,
        extent=extent_of(PRESETS[study.preset], study, folds=own.folds, seeds=own.seeds),
        classifier={}, segmenter=_segmenter(study), steps=own.steps, batch=own.batch, candidates=own.candidates,
        generators=generators, weights=str(study.weights) if study.weights else None,
        weights_digest=weights_digest(study.weights) if study.weights else None,
        arms=tuple(arm.id for arm in arms), reference=REFERENCE, primary=primary(arms).id, metric=study.metric,
        smallest_effect=study.smallest_effect, gate_level=study.gate_level, workers=workers_of(study),
        siblings=own.siblings, moved=own.moved, maps=maps,
        notes=(*without_mask(manifest), *_said(generators, study, moved=own.moved)),
        revisions=revisions(used),
        modality=choice.modality, preparation=dict(choice.preparation), handling=tuple(choice.words()),
    )  # fmt: skip


def _said(generators: Mapping[str, GeneratorPlan], study: Study, *, moved: bool) -> Iterator[str]:
    """What each generator is told, and which masks its images have."""
    edges = "edges by HED" if study.weights else "edges by gradients"
    for name, plan in generators.items():
        told = [edges if kind == "edges" else kind for kind in plan.config["conditions"]]
        masks = "turned, cropped and shifted training masks" if moved else "the training masks"
        yield f"{name} is told {', '.join(told)}; its images have {masks}, those of merging arms the very same masks"


def revisions(generators: Iterable[str]) -> dict[str, int]:
    """Of every piece of code whose change changes results."""
    own = {"segmenter": Segmenter.revision, "segment_steps": REVISION}
    return own | planning.generator_revisions(generators)


def expect_loadable(weights: Path, _: Plan, __: Manifest) -> None:
    """Weights are those of HED, which finds edges; UserError where they are of something else."""
    finder(str(weights))


def _guided() -> list[str]:
    """The generators that can be told a map."""
    return [name for name, (_, config) in GENERATORS.items() if "conditions" in config.__dataclass_fields__]


def _own(study: Study) -> Settings:
    extent = PRESETS[study.preset]
    usual = {"steps": STEPS[study.preset], "batch": BATCH, "folds": extent.folds, "seeds": extent.seeds}
    return configured(Settings, usual, {name: value for name, value in study.overrides.items() if name in OWN})


def _arms(study: Study) -> tuple[Arm, ...]:
    if study.arms is None:
        return named.default(generators=study.generators, quick=study.preset == "quick")
    asked = [named.parse(text, generators=study.generators) for text in study.arms]
    arms = complete(asked, generators=study.generators, read=named.parse)
    expect_two(arms)
    return arms


def _segmenter(study: Study) -> dict[str, Any]:
    config = configured(SegmenterConfig, prefixed("segmenter", study.overrides), at="segmenter.")
    return {name: value for name, value in asdict(config).items() if name != "augmentation"}


def _generator(name: str, study: Study, *, labelled: bool) -> GeneratorPlan:
    """Told the class, where there are any, and the maps; drawn by its student, which is quick."""
    usual = {
        "steps": GENERATOR_STEPS[study.preset], "conditions": (*(("label",) if labelled else ()), *MAPS),
        "sampling": {"sampler": "student"},
    }  # fmt: skip
    plan = generator_plan(name, study.overrides, usual=usual)
    if strange := sorted(set(plan.config["conditions"]) - {"label", *MAPS}):
        raise UserError(
            f"got {name}.conditions with {strange[0]}; expected some of label, {', '.join(MAPS)}, which a study of "
            "masks can tell; correct --set"
        )
    return plan

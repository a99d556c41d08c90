"""Does synthetic data, pretraining or zooming help on these medical images, by how much, and may it be shared?

    import augury

    manifest = augury.load("images/")
    results = augury.run(augury.Study(data="images/", out=Path("study"), preset="quick"))

Names are loaded when they are first used, so that `import augury` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# public name -> module that holds it
_HOME = {
    "Augmentation": "augury.data.augmentation",
    "Artefact": "augury.data.provenance",
    "Box": "augury.data.sample",
    "Classifier": "augury.predictors.classifier",
    "ClassifierConfig": "augury.predictors.classifier",
    "Condition": "augury.conditions.condition",
    "Estimate": "augury.metrics.estimate",
    "Generator": "augury.generators.generator",
    "GENERATORS": "augury.generators",
    "METRICS": "augury.metrics.classification",
    "Manifest": "augury.data.sample",
    "Metric": "augury.metrics.estimate",
    "PREDICTORS": "augury.predictors",
    "Pairs": "augury.conditions.pairs",
    "Preparation": "augury.data.store",
    "Probe": "augury.predictors.probe",
    "Refused": "augury.errors",
    "Run": "augury.training",
    "Sample": "augury.data.sample",
    "Segmenter": "augury.predictors.segmenter",
    "SegmenterConfig": "augury.predictors.segmenter",
    "Study": "augury.studies.study",
    "UserError": "augury.errors",
    "augment": "augury.data.augmentation",
    "augment_pair": "augury.data.segment_augmentation",
    "case_scores": "augury.metrics.segmentation",
    "check": "augury.studies.check",
    "grouped_folds": "augury.data.splits",
    "load": "augury.data.importers",
    "prepare": "augury.data.store",
    "run": "augury.studies.runner",
}
# run is run_study under its short name
_ALIAS = {"run": "run_study"}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"augury has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), _ALIAS.get(name, name))


def __dir__() -> list[str]:
    return __all__

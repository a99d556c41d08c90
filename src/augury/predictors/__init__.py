"""Predictors: p(label | image), p(mask | image). A new one is a file and a row in this table."""

from __future__ import annotations

import json
from pathlib import Path

from augury.conditions.shape import Shape
from augury.data.augmentation import Augmentation
from augury.errors import UserError
from augury.predictors.classifier import Classifier, ClassifierConfig
from augury.predictors.predictor import Predictor
from augury.predictors.probe import Probe, ProbeConfig
from augury.predictors.segmenter import Segmenter, SegmenterConfig

PREDICTORS: dict[
    str,
    tuple[type[Classifier], type[ClassifierConfig]]
    | tuple[type[Probe], type[ProbeConfig]]
    | tuple[type[Segmenter], type[SegmenterConfig]],
] = {
    "classifier": (Classifier, ClassifierConfig),
    "probe": (Probe, ProbeConfig),
    "segmenter": (Segmenter, SegmenterConfig),
}


def load(folder: Path) -> Predictor:
    """The predictor that was saved in a folder, on the CPU, ready to predict. UserError where there is none."""
    try:
        facts = json.loads((folder / "config.json").read_text())
        method, config, shape = facts["method"], facts["config"], Shape(**facts["shape"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{str(folder)!r} holds no model ({error}); expected config.json; name a model") from error
    if method == "classifier":
        if isinstance(config["augmentation"], dict):
            config["augmentation"] = Augmentation(**config["augmentation"])
        return Classifier(ClassifierConfig(**config), shape).restore(folder)
    if method == "probe":
        config["strengths"] = tuple(config["strengths"])
        return Probe(ProbeConfig(**config), shape).restore(folder)
    if method == "segmenter":
        return Segmenter(SegmenterConfig(**config), shape).restore(folder)
    raise UserError(f"{str(folder)!r} holds a {method}; expected one of {', '.join(PREDICTORS)}; name a predictor")

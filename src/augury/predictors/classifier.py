"""The classifier: one network, one schedule for every arm, checkpoints chosen on real validation images only.

N images, B batch, C channels, H height, W width, D features, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.data.augmentation import Augmentation, augment, preset
from augury.metrics.classification import METRICS
from augury.predictors.backbones import build, load_given
from augury.predictors.batch_norm import estimate_again
from augury.predictors.course import adamw, take
from augury.predictors.phases import Phase, Turn
from augury.predictors.predictor import Images, Predictor, in_batches, probabilities
from augury.training import Run


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """How a classifier is built and trained; None for `lr`: 3e-3 for "small", 5e-4 for timm's."""

    backbone: str = "small"  # or any name of timm's
    weights: str | None = None  # a safetensors file for the backbone; None: random
    width: int = 16  # channels of the first stage of "small"; features are 8 times as many
    side: int = 64  # pixels to which images are resized for timm's networks
    augmentation: str | Augmentation = "standard"
    balanced: bool = False  # every class equally often
    lr: float | None = None
    weight_decay: float = 0.05
    label_smoothing: float = 0.0
    warm_up: float = 0.1  # share of each phase
    validations: int = 8  # evenly over the last phase


class Classifier(Predictor):
    """p(label | image) by a convolutional network."""

    method = "classifier"

    def __init__(self, config: ClassifierConfig, shape: Shape) -> None:
        self.config, self.shape, self.best_step = config, shape, 0
        backbone = build(config.backbone, shape, width=config.width, side=config.side)
        self.dim: int = backbone.dim  # type: ignore[assignment]
        self.nets = nn.ModuleDict({"backbone": backbone, "head": nn.Linear(self.dim, shape.classes)})

    def fit(self, phases: Sequence[Phase], run: Run, *, validation: Pairs | None = None) -> Self:
        """Train through the phases and keep the weights of the best validation (None: the last).

        Best is the highest macro AUROC, then the lowest loss; `best_step` says how many steps it had. Batch
        statistics are those of the first source of the last phase, whatever else was trained on.
        """
        if self.config.weights is not None:
            load_given(self.nets["backbone"], self.config.backbone, self.shape, weights=Path(self.config.weights))
        self.nets.to(run.device)
        optimizer, orders = self._optimizer(), _orders(phases, balanced=self.config.balanced)
        self.best_step = take(
            self.nets, phases, run, optimizer=optimizer, warm_up=self.config.warm_up,
            validations=self.config.validations,
            step=lambda turn: self._step(turn, run, optimizer, order_M=orders[turn.draw]),
            settle=lambda: estimate_again(self.nets["backbone"], phases[-1].sources[0].pairs),
            score=None if validation is None else lambda: self._score(validation, run),
        )  # fmt: skip
        return self

    def predict(self, image_NCHW: Images, *, batch: int = 256) -> NDArray[np.float32]:
        """probability_NK of stored pixels (uint8, uint16) or of images in [-1, 1]."""
        return probabilities(self.nets, image_NCHW, batch=batch)

    def features(self, image_NCHW: Images, *, batch: int = 256) -> Tensor:
        """z_ND, float32 on the CPU: what the last layer sees. `nets["backbone"]` itself is an Encoder."""
        return in_batches(self.nets["backbone"], image_NCHW, batch=batch)

    def _optimizer(self) -> torch.optim.AdamW:
        small = self.config.backbone == "small"
        lr = self.config.lr if self.config.lr is not None else (3e-3 if small else 5e-4)
        return adamw(self.nets, lr=lr, weight_decay=self.config.weight_decay)

    def _step(self, turn: Turn, run: Run, optimizer: torch.optim.Optimizer, *, order_M: Tensor) -> None:
        pairs = turn.source.pairs
        index_B = order_M[run.indices(len(order_M), draw=turn.draw, step=turn.count)]
        image_BCHW, condition = pairs[index_B]
        image_BCHW = augment(image_BCHW.to(run.device), self._augmentation, generator=run.random("augmentation"))
        weight = turn.source.weight_at(turn.progress)
        loss = run.update(self.nets, optimizer, self._loss, image_BCHW, condition, weight)
        run.log(loss=loss, source=turn.draw, rate=turn.rate)

    @property
    def _augmentation(self) -> Augmentation:
        given = self.config.augmentation
        return preset(given) if isinstance(given, str) else given

    def _loss(self, image_BCHW: Tensor, condition: Condition, weight: float) -> Tensor:
        logit_BK = self.nets["head"](self.nets["backbone"](image_BCHW))
        label_B, smoothing = condition.labels(), self.config.label_smoothing
        return weight * F.cross_entropy(logit_BK.float(), label_B, label_smoothing=smoothing)

    def _score(self, validation: Pairs, run: Run) -> tuple[float, float]:
        """(macro AUROC, minus the loss) on the validation images."""
        probability_NK = self.predict(validation.pixels_NCHW)
        label_N = validation.label_N.numpy()
        loss = -float(np.log(probability_NK[np.arange(len(label_N)), label_N] + 1e-9).mean())
        auroc = METRICS["auroc_macro"].compute(label_N, probability_NK)
        run.note(validation_auroc=auroc, validation_loss=loss)
        return (0.0 if math.isnan(auroc) else auroc), -loss


def _orders(phases: Sequence[Phase], *, balanced: bool) -> list[Tensor]:
    """For each source the positions that one epoch goes through: all, or every class equally often."""
    pairs = [source.pairs for phase in phases for source in phase.sources]
    return [_balanced(p.label_N) if balanced else torch.arange(len(p)) for p in pairs]


def _balanced(label_N: Tensor) -> Tensor:
    """Positions that repeat each class to the size of the largest."""
    places = [torch.nonzero(label_N == label).flatten() for label in torch.unique(label_N)]
    largest = max(len(place) for place in places)
    return torch.cat([place.repeat(-(-largest // len(place)))[:largest] for place in places])

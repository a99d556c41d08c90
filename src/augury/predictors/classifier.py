"""The classifier: one network, one schedule for every arm, checkpoints chosen on real validation images only.

N images, B batch, C channels, H height, W width, D features, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

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
from augury.predictors.phases import Phase, Turn, turns
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
        schedule = turns(phases, warm_up=self.config.warm_up)
        if len(schedule) != run.steps:
            raise ValueError(f"the phases have {len(schedule)} steps, the run {run.steps}; expected the same")
        if self.config.weights is not None:
            load_given(self.nets["backbone"], self.config.backbone, self.shape, weights=Path(self.config.weights))
        self.nets.to(run.device)
        optimizer, best, orders = self._optimizer(), Best(), _orders(phases, balanced=self.config.balanced)
        due = _due(run.steps, phases[-1].steps, self.config.validations) if validation is not None else set()
        for step in run.loop(nets=self.nets, optimizer=optimizer, best=best):
            self._step(schedule[step], run, optimizer, order_M=orders[schedule[step].draw])
            if validation is not None and step + 1 in due:
                estimate_again(self.nets["backbone"], phases[-1].sources[0].pairs)
                best.offer(self.nets, self._score(validation, run), step=step + 1)
        if validation is None:
            estimate_again(self.nets["backbone"], phases[-1].sources[0].pairs)
        else:
            self.nets.load_state_dict(best.weights)
        self.best_step = run.steps if validation is None else best.step
        self.nets.eval()
        return self

    def predict(self, image_NCHW: Images, *, batch: int = 256) -> NDArray[np.float32]:
        """probability_NK of stored pixels (uint8, uint16) or of images in [-1, 1]."""
        return probabilities(self.nets, image_NCHW, batch=batch)

    def features(self, image_NCHW: Images, *, batch: int = 256) -> Tensor:
        """z_ND, float32 on the CPU: what the last layer sees. `nets["backbone"]` itself is an Encoder."""
        return in_batches(self.nets["backbone"], image_NCHW, batch=batch)

    def _optimizer(self) -> torch.optim.AdamW:
        """Loshchilov and Hutter 2019, Algorithm 2; gains, shifts and biases do not decay."""
        small = self.config.backbone == "small"
        lr = self.config.lr if self.config.lr is not None else (3e-3 if small else 5e-4)
        matrices = [weight for weight in self.nets.parameters() if weight.ndim > 1]
        vectors = [weight for weight in self.nets.parameters() if weight.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "weight_decay": self.config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW([{**group, "peak": lr} for group in groups], lr)

    def _step(self, turn: Turn, run: Run, optimizer: torch.optim.Optimizer, *, order_M: Tensor) -> None:
        self.nets.train()
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * turn.rate
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


class Best:
    """The best weights so far; a part of the run, so that it survives an interruption."""

    def __init__(self) -> None:
        self.score: tuple[float, float] = (-math.inf, -math.inf)
        self.step = 0
        self.weights: dict[str, Tensor] = {}

    def offer(self, nets: nn.Module, score: tuple[float, float], *, step: int) -> None:
        """Keep these weights if none had a better score."""
        if score > self.score:
            self.score, self.step = score, step
            self.weights = {name: value.clone() for name, value in nets.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Score, step and weights."""
        return {"score": list(self.score), "step": self.step, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        first, second = state_dict["score"]
        self.score, self.step, self.weights = (first, second), state_dict["step"], state_dict["weights"]


def _due(steps: int, last_phase: int, validations: int) -> set[int]:
    """After how many steps to validate: evenly over the last phase, and at its end."""
    count = max(1, min(validations, last_phase))
    return {steps - last_phase + math.ceil(last_phase * (i + 1) / count) for i in range(count)}


def _orders(phases: Sequence[Phase], *, balanced: bool) -> list[Tensor]:
    """For each source the positions that one epoch goes through: all, or every class equally often."""
    pairs = [source.pairs for phase in phases for source in phase.sources]
    return [_balanced(p.label_N) if balanced else torch.arange(len(p)) for p in pairs]


def _balanced(label_N: Tensor) -> Tensor:
    """Positions that repeat each class to the size of the largest."""
    places = [torch.nonzero(label_N == label).flatten() for label in torch.unique(label_N)]
    largest = max(len(place) for place in places)
    return torch.cat([place.repeat(-(-largest // len(place)))[:largest] for place in places])

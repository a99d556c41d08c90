"""The probe: frozen features of given weights and a logistic regression; what a sensible user does in a minute.

N images, C channels, H height, W width, D features, K classes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.errors import UserError
from augury.metrics.classification import METRICS
from augury.predictors.backbones import build, load_given
from augury.predictors.predictor import Images, Predictor, in_batches, probabilities


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """Which features, and how strongly the regression may be penalised (C, tried from strong to weak)."""

    weights: str  # a safetensors file
    backbone: str | None = None  # timm's name; None: the file's own name up to the first dot
    side: int = 128  # pixels to which images are resized
    strengths: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    strength: float = 1e-2  # where no validation images choose one


class Probe(Predictor):
    """p(label | image) by a logistic regression on frozen features."""

    method = "probe"

    def __init__(self, config: ProbeConfig, shape: Shape) -> None:
        self.config, self.shape, self.strength = config, shape, config.strength
        backbone = build(self.backbone, shape, width=16, side=config.side)
        self.dim: int = backbone.dim  # type: ignore[assignment]
        self.nets = nn.ModuleDict({"backbone": backbone, "head": nn.Linear(self.dim, shape.classes)})
        self.nets.requires_grad_(False)

    @property
    def backbone(self) -> str:
        """The name of the network that the weights are of."""
        return self.config.backbone or Path(self.config.weights).name.split(".")[0]

    def fit(self, train: Pairs, *, validation: Pairs | None = None) -> Self:
        """Regress the labels on standardised features; C has the best macro AUROC, then loss, on the validation images.

        UserError where the weights file is missing, of another format or network, or where only one class occurs.
        """
        load_given(self.nets["backbone"], self.backbone, self.shape, weights=Path(self.config.weights))
        z_ND, label_N = self.features(train.pixels_NCHW).double().numpy(), train.label_N.numpy()
        if len(set(label_N)) < 2:
            raise UserError(f"all {len(label_N)} training images have one label; a probe needs two; add others")
        mean_D, sd_D = z_ND.mean(0), z_ND.std(0) + 1e-6
        fits = [_regress((z_ND - mean_D) / sd_D, label_N, strength) for strength in self._strengths(validation)]
        heads = [self._head(fit, mean_D, sd_D) for fit in fits]
        scores = [0.0] if validation is None else _scores(heads, self.features(validation.pixels_NCHW), validation)
        place = max(range(len(heads)), key=scores.__getitem__)
        self.strength = self._strengths(validation)[place]
        self.nets["head"].load_state_dict(heads[place].state_dict())
        self.nets.eval()
        return self

    def predict(self, image_NCHW: Images, *, batch: int = 256) -> NDArray[np.float32]:
        """probability_NK of stored pixels (uint8, uint16) or of images in [-1, 1]."""
        return probabilities(self.nets, image_NCHW, batch=batch)

    def features(self, image_NCHW: Images, *, batch: int = 64) -> Tensor:
        """z_ND, float32 on the CPU."""
        return in_batches(self.nets["backbone"], image_NCHW, batch=batch)

    def _strengths(self, validation: Pairs | None) -> tuple[float, ...]:
        return (self.config.strength,) if validation is None else self.config.strengths

    def _head(self, fit: Any, mean_D: NDArray[np.float64], sd_D: NDArray[np.float64]) -> nn.Linear:
        """The regression on standardised features as one linear layer on plain ones."""
        weight_KD, bias_K = _softmax_form(fit.coef_, fit.intercept_)
        whole_KD = np.zeros((self.shape.classes, len(mean_D)))
        whole_K = np.full(self.shape.classes, -30.0)  # a class that was never shown
        whole_KD[fit.classes_] = weight_KD / sd_D
        whole_K[fit.classes_] = bias_K - (weight_KD / sd_D) @ mean_D
        head = nn.Linear(len(mean_D), self.shape.classes).requires_grad_(False)
        head.weight.copy_(torch.from_numpy(whole_KD))
        head.bias.copy_(torch.from_numpy(whole_K))
        return head


def _regress(z_ND: NDArray[np.float64], label_N: NDArray[np.int64], strength: float) -> Any:
    from sklearn.exceptions import ConvergenceWarning  # a second of import, for probes only
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # weak penalties need not be optimal to be compared
        return LogisticRegression(C=strength, max_iter=300).fit(z_ND, label_N)


def _softmax_form(
    weight_KD: NDArray[np.float64], bias_K: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two classes have one row of log odds; half of it for and half against is the same softmax."""
    if len(weight_KD) > 1:
        return weight_KD, bias_K
    return np.concatenate([-weight_KD, weight_KD]) / 2, np.concatenate([-bias_K, bias_K]) / 2


def _scores(heads: list[nn.Linear], z_ND: Tensor, validation: Pairs) -> list[tuple[float, float]]:
    """(macro AUROC, minus the loss) of each head."""
    label_N = validation.label_N.numpy()
    scores = []
    for head in heads:
        probability_NK = head(z_ND).double().softmax(1).numpy()
        loss = -float(np.log(probability_NK[np.arange(len(label_N)), label_N] + 1e-9).mean())
        scores.append((float(np.nan_to_num(METRICS["auroc_macro"].compute(label_N, probability_NK))), -loss))
    return scores

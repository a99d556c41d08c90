"""The segmenter: p(mask | image) by a U-Net, checkpoints chosen on real validation images only.

N images, B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.data.segment_augmentation import augment_pair, recipe
from augury.metrics.segmentation import dice
from augury.predictors.batch_norm import estimate_again
from augury.predictors.course import adamw, take
from augury.predictors.phases import Merge, Phase, Turn
from augury.predictors.predictor import Images, Predictor, in_batches
from augury.predictors.segment_networks import build
from augury.training import Run

THRESHOLD = 0.5  # of the probability, from which a pixel is foreground
SETTLING = 128  # images whose batch statistics stay: each speaks for thousands of pixels
SOFTENING = 0.003  # share of the pixels; with a single pixel (tried on busi) every healthy image got a lesion


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig:
    """How a segmenter is built and trained."""

    network: str = "small"  # small, attention, monai or smp:NAME
    width: int = 16  # channels of the first stage of our own two
    augmentation: str = "standard"  # of SEGMENT_AUGMENTATIONS
    overlap: Literal["image", "batch"] = "image"  # the soft Dice is of each image, or of all pixels of the batch
    lr: float = 3e-3
    weight_decay: float = 0.01
    warm_up: float = 0.1  # share of each phase
    validations: int = 8  # evenly over the last phase


class Segmenter(Predictor):
    """p(foreground | image) for every pixel."""

    method = "segmenter"

    def __init__(self, config: SegmenterConfig, shape: Shape) -> None:
        recipe(config.augmentation)  # an unknown name is refused before anything is trained
        self.config, self.shape, self.best_step = config, shape, 0
        self.nets = nn.ModuleDict({"net": build(config.network, shape, width=config.width)})

    def fit(self, phases: Sequence[Phase], run: Run, *, validation: Pairs | None = None) -> Self:
        """Train through the phases and keep the weights of the best validation (None: the last).

        All pairs have a map "mask". Best is the highest mean Dice per case at THRESHOLD (an empty mask that is found
        empty counts 1), then the lowest cross-entropy; `best_step` says how many steps it had. Batch statistics are
        those of the first source of the last phase. Where a source has `merge`, its images and their siblings are
        augmented alike, and the two forward passes have batch statistics of their own.
        """
        self.nets.to(run.device)
        optimizer = adamw(self.nets, lr=self.config.lr, weight_decay=self.config.weight_decay)
        settled = phases[-1].sources[0].pairs
        self.best_step = take(
            self.nets, phases, run, optimizer=optimizer, warm_up=self.config.warm_up,
            validations=self.config.validations, step=lambda turn: self._step(turn, run, optimizer),
            settle=lambda: estimate_again(self.nets["net"], settled, images=SETTLING, batch=32),
            score=None if validation is None else lambda: self._score(validation, run),
        )  # fmt: skip
        return self

    def predict(self, image_NCHW: Images, *, batch: int = 32) -> NDArray[np.float32]:
        """probability_NHW of the foreground, of stored pixels (uint8, uint16) or of images in [-1, 1]."""
        if len(image_NCHW) == 0:
            return np.zeros((0, *image_NCHW.shape[2:]), dtype=np.float32)
        probability_NHW: NDArray[np.float32] = (
            in_batches(self.nets["net"], image_NCHW, batch=batch)[:, 0].sigmoid().numpy()
        )
        return probability_NHW

    def _step(self, turn: Turn, run: Run, optimizer: torch.optim.Optimizer) -> None:
        pairs, weight = turn.source.pairs, turn.source.weight_at(turn.progress)
        index_B = run.indices(len(pairs), draw=turn.draw, step=turn.count)
        image_BCHW, condition = pairs[index_B]
        mask_BHW = _mask(condition)
        moved_BCHW, moved_BHW = self._augmented(image_BCHW, mask_BHW, condition, run)
        if turn.source.merge is None:
            loss = run.update(self.nets, optimizer, self._loss, moved_BCHW, moved_BHW, weight)
        else:
            sibling_BCHW = _siblings(turn.source.merge, index_B, run)
            sibling_BCHW, _ = self._augmented(sibling_BCHW, mask_BHW, condition, run)
            real_B1HW = patches(sibling_BCHW, turn.source.merge, generator=run.random("patches"))
            loss = run.update(
                self.nets, optimizer, self._merged_loss, moved_BCHW, sibling_BCHW, real_B1HW, moved_BHW, weight
            )
        run.log(loss=loss, source=turn.draw, rate=turn.rate)

    def _augmented(self, image_BCHW: Tensor, mask_BHW: Tensor, condition: Condition, run: Run) -> tuple[Tensor, Tensor]:
        """Both on the run's device; every call within a step draws the same numbers."""
        label_B = None if condition.label_B is None else condition.label_B.to(run.device)
        return augment_pair(
            image_BCHW.to(run.device), mask_BHW.to(run.device), self.config.augmentation,
            generator=run.random("augmentation"), label_B=label_B,
        )  # fmt: skip

    def _loss(self, image_BCHW: Tensor, mask_BHW: Tensor, weight: float) -> Tensor:
        return weight * segmentation_loss(self.nets["net"](image_BCHW)[:, 0], mask_BHW, overlap=self.config.overlap)

    def _merged_loss(
        self, image_BCHW: Tensor, sibling_BCHW: Tensor, real_B1HW: Tensor, mask_BHW: Tensor, weight: float
    ) -> Tensor:
        """One loss of logits mixed patch by patch (Zhang et al. 2024, the merged loss)."""
        net = self.nets["net"]
        logit_BHW = torch.where(real_B1HW, net(image_BCHW), net(sibling_BCHW))[:, 0]
        return weight * segmentation_loss(logit_BHW, mask_BHW, overlap=self.config.overlap)

    def _score(self, validation: Pairs, run: Run) -> tuple[float, float]:
        """(mean Dice per case, minus the cross-entropy) on the validation images."""
        probability_NHW, truth_NHW = self.predict(validation.pixels_NCHW), validation.channel("mask") >= 128
        right_NHW = np.where(truth_NHW, probability_NHW, 1 - probability_NHW)
        loss = -float(np.log(right_NHW + 1e-9).mean())
        score = float(dice(probability_NHW >= THRESHOLD, truth_NHW).mean())
        run.note(validation_dice=score, validation_loss=loss)
        return score, -loss


def segmentation_loss(logit_BHW: Tensor, mask_BHW: Tensor, *, overlap: Literal["image", "batch"]) -> Tensor:
    """Cross-entropy plus one minus the soft Dice of the foreground, 2 sum(pg) / (sum p + sum g); both count alike.

    Milletari et al. 2016, section 3, without squares; the cross-entropy is the mean over pixels. "image": the mean of
    each image's Dice, so that small lesions weigh as much as large ones. "batch": one Dice over all pixels of the batch
    (of a micro-batch or rank, where there are several). SOFTENING of the pixels is added above and below the line: of
    an image without foreground the Dice then still tells more false pixels from fewer.
    """
    logit_BHW, mask_BHW = logit_BHW.float(), mask_BHW.float()
    probability_BHW = logit_BHW.sigmoid()
    axes = (1, 2) if overlap == "image" else (0, 1, 2)
    both, sizes = (probability_BHW * mask_BHW).sum(axes), (probability_BHW + mask_BHW).sum(axes)
    soft = SOFTENING * mask_BHW.numel() / both.numel()
    return F.binary_cross_entropy_with_logits(logit_BHW, mask_BHW) + 1 - ((2 * both + soft) / (sizes + soft)).mean()


def patches(image_BCHW: Tensor, merge: Merge, *, generator: torch.Generator) -> Tensor:
    """real_B1HW (bool): where the logits of the real image count, square by square."""
    height, width = image_BCHW.shape[-2:]
    side = merge.patch * max(height, width)
    cells = (max(1, round(height / side)), max(1, round(width / side)))
    real_B1hw = torch.rand((len(image_BCHW), 1, *cells), generator=generator) < merge.real
    real_B1HW = F.interpolate(real_B1hw.float(), size=(height, width), mode="nearest-exact")
    return (real_B1HW > 0.5).to(image_BCHW.device)


def _mask(condition: Condition) -> Tensor:
    """mask_BHW, 0 or 1."""
    if condition.map_BKHW is None or "mask" not in condition.maps:
        raise ValueError(f"got the maps {condition.maps}; a segmenter learns from a map 'mask'; make the pairs with it")
    return (condition.map_BKHW[:, condition.maps.index("mask")] >= 0.5).float()


def _siblings(merge: Merge, index_B: Tensor, run: Run) -> Tensor:
    """sibling_BCHW: of each image a random one of its K."""
    choice_B1 = torch.randint(merge.sibling_NK.shape[1], (len(index_B), 1), generator=run.random("sibling"))
    image_BCHW, _ = merge.siblings[merge.sibling_NK[index_B].gather(1, choice_B1)[:, 0]]
    return image_BCHW

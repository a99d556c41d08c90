"""What every class-conditional generator asks of its labels. B batch, N images."""

from __future__ import annotations

from torch import Tensor

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.errors import UserError
from augury.generators.generator import Shape


def class_labels(condition: Condition, classes: int) -> Tensor:
    """label_B, each within the classes.

    Raises:
        UserError: an image without a label, with a label that this generator was not told of, or a dropped one.
    """
    label_B = condition.labels()
    if condition.keep_B is not None and not bool(condition.keep_B.all()):
        raise UserError("got dropped conditions, expected a label for every image; this generator has no null label")
    outside = int(((label_B < 0) | (label_B >= classes)).sum())
    if outside:
        raise UserError(
            f"{outside} of {len(label_B)} labels are none of the {classes} classes (or empty); label those images or"
            " leave them out"
        )
    return label_B


def expect_pairs(train: Pairs, shape: Shape) -> None:
    """Raises UserError where the training images are not what the generator was built for."""
    wanted = (shape.channels, shape.height, shape.width)
    if train.shape != wanted:
        raise UserError(f"got images of shape {train.shape}, expected {wanted}; prepare them at the generator's size")
    if len(train) < 2:
        raise UserError(f"got {len(train)} training images, expected at least 2; give more images")
    class_labels(train.condition, shape.classes)


def wrong_labels(label_B: Tensor, uniform_B: Tensor, classes: int) -> Tensor:
    """For each label another one, all others equally likely; the label itself where there is only one class."""
    if classes == 1:
        return label_B
    step_B = 1 + (uniform_B * (classes - 1)).long().clamp_(max=classes - 2)
    return (label_B + step_B) % classes

"""How far a drawn image is from a given one, summed over pixels: error_B. B batch, C channels, H height, W width."""

from __future__ import annotations

from typing import Literal

from torch import Tensor


def reconstruction_error(image_BCHW: Tensor, drawn_BCHW: Tensor, *, kind: Literal["l1", "l2", "bce"] = "l1") -> Tensor:
    """error_B, summed over pixels."""
    if kind == "l1":
        return (image_BCHW - drawn_BCHW).abs().flatten(1).sum(1)
    if kind == "l2":
        return 0.5 * (image_BCHW - drawn_BCHW).square().flatten(1).sum(1)
    given_BCHW = (image_BCHW.float() + 1) / 2
    drawn_BCHW = 0.5 + drawn_BCHW.float() * (0.5 - 1e-6)
    log_BCHW = given_BCHW * drawn_BCHW.log() + (1 - given_BCHW) * (1 - drawn_BCHW).log()
    return -log_BCHW.flatten(1).sum(1)


def edge_error(image_BCHW: Tensor, drawn_BCHW: Tensor) -> Tensor:
    """error_B: absolute difference of the two images' differences of neighbours, summed (Mathieu 2016, equation 6)."""
    difference_BCHW = image_BCHW - drawn_BCHW
    down_B = difference_BCHW.diff(dim=2).abs().flatten(1).sum(1)
    return down_B + difference_BCHW.diff(dim=3).abs().flatten(1).sum(1)


def deviation_error(error_BCHW: Tensor, deviation_BCHW: Tensor) -> Tensor:
    """error_B: negative logarithm of a Laplace density with this mean absolute deviation, summed, without constants.

    It moves the deviation alone: in one loss with the mean, the empty background would outweigh the anatomy.
    """
    error_BCHW, deviation_BCHW = error_BCHW.detach().float(), deviation_BCHW.float()
    return 0.1 * (error_BCHW.abs() / deviation_BCHW + deviation_BCHW.log()).flatten(1).sum(1)

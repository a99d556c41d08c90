"""Batch normalisation over all ranks, with its gradient. N batch, C channels.

torch's SyncBatchNorm refuses the CPU and has no second derivative. This is a mode: within it every batch norm that
uses batch statistics, whoever's module it is, takes the statistics of the global batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class BatchStatistics(TorchFunctionMode):
    """Within it, batch statistics are of all ranks together.

    With `refuse` any use of batch statistics raises ValueError: micro-batches would change them. With one rank and
    nothing to refuse, entering costs nothing and changes nothing.
    """

    def __init__(self, *, ranks: int, refuse: bool) -> None:
        super().__init__()
        self.ranks, self.refuse = ranks, refuse

    def __enter__(self) -> Any:
        return super().__enter__() if self.active else self  # type: ignore[no-untyped-call]

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        if self.active:
            super().__exit__(kind, value, trace)  # type: ignore[no-untyped-call]

    @property
    def active(self) -> bool:
        """Whether there is anything to do."""
        return self.refuse or self.ranks > 1

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace batch norm in training; everything else passes."""
        if func is functional.batch_norm:
            return self._batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _batch_norm(
        self,
        x_NC: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if training and self.refuse:
            raise ValueError("batch statistics with micro-batches differ from those of the whole batch; use one "
                             "micro-batch, another normalisation, or allow statistics_per_micro_batch")  # fmt: skip
        if not training or self.ranks == 1:
            return functional.batch_norm(x_NC, running_mean, running_var, weight, bias, training, momentum, eps)
        mean_C, var_C, count = _global_moments(x_NC)
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean_C.to(running_mean.dtype), momentum)
                running_var.lerp_((var_C * count / (count - 1)).to(running_var.dtype), momentum)
        return _normalised(x_NC, mean_C, var_C, weight, bias, eps)


class _SumOverRanks(torch.autograd.Function):
    """The sum over the ranks; its own adjoint, so it can be differentiated again and again."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *grad: Tensor) -> Tensor:
        return _SumOverRanks.apply(grad[0].contiguous())  # type: ignore[no-any-return]


def _global_moments(x_NC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, biased variance (two passes, for precision) and number of values per channel, over all ranks."""
    axes = [axis for axis in range(x_NC.ndim) if axis != 1]
    x = x_NC.float()
    sums = torch.cat([x.sum(axes), x.new_full((1,), x.numel() / x.shape[1])])
    sums = _SumOverRanks.apply(sums)
    count = sums[-1].detach()
    mean_C = sums[:-1] / count
    squares_C = (x - _along_channels(mean_C, x)).square().sum(axes)
    return mean_C, _SumOverRanks.apply(squares_C) / count, count


def _normalised(
    x_NC: Tensor, mean_C: Tensor, var_C: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """Ioffe and Szegedy 2015, Algorithm 1."""
    y_NC = (x_NC.float() - _along_channels(mean_C, x_NC)) * _along_channels((var_C + eps).rsqrt(), x_NC)
    if weight is not None:
        y_NC = y_NC * _along_channels(weight, x_NC)
    if bias is not None:
        y_NC = y_NC + _along_channels(bias, x_NC)
    return y_NC.to(x_NC.dtype)


def _along_channels(value_C: Tensor, x_NC: Tensor) -> Tensor:
    return value_C.view(1, -1, *[1] * (x_NC.ndim - 2))

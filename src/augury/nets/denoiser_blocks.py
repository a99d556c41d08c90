"""The pieces of a denoiser: convolutions that are told the noise level, attention over places and words.

B batch, F features, H height, W width, T tokens, E embedding, S places of a map and tokens together.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two convolutions beside a shortcut, told by scale and shift (Dhariwal 2021); at first the shortcut alone."""

    def __init__(self, inputs: int, outputs: int, *, embedding: int, dropout: float, halves: bool = False) -> None:
        super().__init__()
        self.halves = halves
        self.norm_in = nn.GroupNorm(groups(inputs), inputs)
        self.conv_in = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.told = nn.Linear(embedding, 2 * outputs)
        self.norm_out = nn.GroupNorm(groups(outputs), outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)  # type: ignore[arg-type]

    def forward(self, x_BFHW: Tensor, told_BE: Tensor) -> Tensor:
        """The map, half as large where the block halves."""
        if self.halves:
            x_BFHW = F.avg_pool2d(x_BFHW, 2)
        y_BFHW = self.conv_in(F.silu(self.norm_in(x_BFHW)))
        scale_BF11, shift_BF11 = self.told(told_BE)[:, :, None, None].chunk(2, 1)
        y_BFHW = F.silu(torch.addcmul(shift_BF11, self.norm_out(y_BFHW), 1 + scale_BF11))
        out_BFHW: Tensor = self.shortcut(x_BFHW) + self.conv_out(self.dropout(y_BFHW))
        return out_BFHW


class Attention(nn.Module):
    """Every place of a map looks at all places and at the words (Vaswani 2017); at first it changes nothing."""

    def __init__(self, features: int, *, context: int, head: int = 32) -> None:
        super().__init__()
        self.heads = max(1, features // head)
        self.norm = nn.GroupNorm(groups(features), features)
        self.ask = nn.Linear(features, features)
        self.place = nn.Linear(features, 2 * features)
        self.word = nn.Linear(context, 2 * features)
        self.out = nn.Linear(features, features)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x_BFHW: Tensor, token_BTE: Tensor | None, heard_BT: Tensor | None) -> Tensor:
        """The map after it."""
        x_BSF = self.norm(x_BFHW).flatten(2).transpose(1, 2)
        known_BSF, mask_B11S = self.place(x_BSF), None
        if token_BTE is not None and heard_BT is not None:
            known_BSF = torch.cat([known_BSF, self.word(token_BTE)], 1)
            seen_BS = torch.cat([heard_BT.new_ones(x_BSF.shape[:2]), heard_BT], 1)
            mask_B11S = seen_BS[:, None, None, :]
        key_BSF, value_BSF = known_BSF.chunk(2, 2)
        ask, key, value = (self._split(part) for part in (self.ask(x_BSF), key_BSF, value_BSF))
        found = F.scaled_dot_product_attention(ask, key, value, attn_mask=mask_B11S)
        found_BSF = self.out(found.transpose(1, 2).flatten(2))
        out_BFHW: Tensor = x_BFHW + found_BSF.transpose(1, 2).reshape(x_BFHW.shape)
        return out_BFHW

    def _split(self, part_BSF: Tensor) -> Tensor:
        split_BHSF: Tensor = part_BSF.unflatten(2, (self.heads, -1)).transpose(1, 2)
        return split_BHSF


def groups(features: int, *, size: int = 8) -> int:
    """Groups of a group norm, of about `size` features each.

    >>> groups(32), groups(36), groups(5)
    (4, 4, 1)
    """
    return max(n for n in range(1, max(1, features // size) + 1) if features % n == 0)

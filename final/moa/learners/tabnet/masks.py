"""The masks of TabNet's attention: entmax with alpha 1.5 and sparsemax, over the last dimension.

Both are exact. The pytorch-tabnet library sorts whole rows to find the threshold above which columns get a share, but
only a few dozen of a thousand do. Here the largest values alone are sorted, and more if those were not enough, which
gives the library's bits. In training nothing is sorted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Largest values of a row that are sorted first.
_FIRST = 32
#: Steps after which the search for a threshold ends in any case; it takes seven for a thousand columns.
_MOST_STEPS = 50


def entmax(x: Tensor, training: bool = False) -> Tensor:
    """Entmax with alpha 1.5 (Peters, Niculae & Martins 2019) of each row, same shape as ``x``: (rows, columns).

    Args:
        x: the values.
        training: find the threshold without sorting: faster, and with other last bits.
    """
    return _Entmax.apply(x, training)


def sparsemax(x: Tensor, training: bool = False) -> Tensor:
    """Sparsemax (Martins & Astudillo 2016) of each row; arguments as of ``entmax``."""
    return _Sparsemax.apply(x, training)


MASKS = {"entmax": entmax, "sparsemax": sparsemax}


class _Entmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, training: bool) -> Tensor:
        roots = (x - x.amax(-1, keepdim=True)).div_(2)
        threshold = _by_rising(roots, _entmax_rise) if training else _by_sorting(roots, _entmax_rule)
        roots.sub_(threshold).clamp_(min=0)
        ctx.save_for_backward(roots)
        return roots.square()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (roots,) = ctx.saved_tensors
        level = (grad * roots).sum(-1, keepdim=True) / roots.sum(-1, keepdim=True)
        return (grad - level).mul_(roots), None


class _Sparsemax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, training: bool) -> Tensor:
        shares = x - x.amax(-1, keepdim=True)
        threshold = _by_rising(shares, _sparsemax_rise) if training else _by_sorting(shares, _sparsemax_rule)
        shares.sub_(threshold).clamp_(min=0)
        ctx.save_for_backward(shares)
        return shares

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (shares,) = ctx.saved_tensors
        inside = (shares > 0).to(grad.dtype)
        level = (grad * inside).sum(-1, keepdim=True) / inside.sum(-1, keepdim=True)
        return (grad - level).mul_(inside), None


def _by_rising(z: Tensor, rise: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Threshold of each row, shape (rows, 1); the largest value of a row must be 0.

    The search begins at -1, which is below the threshold. Each step finds the threshold that the values above the
    present one would have if they were all: it rises, and is exact once no further value falls below it.

    Args:
        z: shape (rows, columns).
        rise: by how much the present threshold of each row rises, shape (rows, 1); from how far values lie above it,
            0 for those that do not, shape (rows, columns), and from their number, shape (rows, 1).
    """
    threshold, before = z.new_full((len(z), 1), -1.0), z.new_zeros(len(z), 1)
    for _ in range(_MOST_STEPS):
        above = (z - threshold).clamp_(min=0)
        count = above.sign().sum(-1, keepdim=True)
        threshold += rise(above, count)
        if torch.equal(count, before):
            break
        before = count
    return threshold


def _entmax_rise(above: Tensor, count: Tensor) -> Tensor:
    total = above.sum(-1, keepdim=True)
    squares = torch.linalg.vector_norm(above, dim=-1, keepdim=True).square_()
    return (total - (total.square() - count * (squares - 1)).clamp_(min=0).sqrt_()) / count


def _sparsemax_rise(above: Tensor, count: Tensor) -> Tensor:
    return (above.sum(-1, keepdim=True) - 1) / count


def _by_sorting(z: Tensor, rule: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """Threshold of each row, shape (rows, 1).

    Args:
        z: shape (rows, columns).
        rule: from the largest values of each row in descending order, the threshold that each would set, and how many
            of them lie above the row's own.
    """
    columns, count = z.shape[-1], _FIRST
    while True:
        whole = 4 * count >= columns
        top = z.sort(-1, descending=True).values if whole else z.topk(count).values
        thresholds, above = rule(top)
        if whole or int(above.max()) < count:
            return thresholds.gather(-1, (above - 1).clamp(min=0))  # none where values are not numbers
        count *= 2


def _ranks(top: Tensor) -> Tensor:
    return torch.arange(1, top.shape[-1] + 1, device=top.device, dtype=top.dtype)


def _entmax_rule(top: Tensor) -> tuple[Tensor, Tensor]:
    rank = _ranks(top)
    mean = top.cumsum(-1) / rank
    squares = (top**2).cumsum(-1) / rank
    spread = rank * (squares - mean**2)
    thresholds = mean - ((1 - spread) / rank).clamp(0).sqrt()
    return thresholds, (thresholds <= top).sum(-1, keepdim=True)


def _sparsemax_rule(top: Tensor) -> tuple[Tensor, Tensor]:
    rank, sums = _ranks(top), top.cumsum(-1) - 1
    return sums / rank, (rank * top > sums).sum(-1, keepdim=True)

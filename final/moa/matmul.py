"""The matrix products of the perceptrons, through the fastest exact routine at hand, with their gradients.

On the CPU torch sends float32 products to MKL, which keeps to a slower instruction set on processors that are not
Intel's (half the speed, measured on an AMD EPYC with AVX-512); oneDNN, in the same torch build, does not. The operator
is the one torch's own compiler calls for a frozen linear layer; where it is missing, plain matmul serves.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
SMALL = 64**3  # multiply-adds below which oneDNN's preparation costs more than it saves


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """``a @ b.T + bias``, full precision, no gradient.

    Args:
        a: shape (rows, inner), or (members, rows, inner).
        b: shape (columns, inner), or (members, columns, inner).
        bias: shape (columns,), or (members, columns).

    Returns:
        shape (rows, columns), or (members, rows, columns).
    """
    if not _by_onednn(a):
        if bias is None:
            return a @ b.mT
        return torch.addmm(bias, a, b.mT) if a.dim() == 2 else torch.baddbmm(bias.unsqueeze(1), a, b.mT)
    if a.dim() == 2:
        return _onednn(a, b, bias)
    result = a.new_empty(a.shape[0], a.shape[1], b.shape[1])
    for member in range(len(a)):
        result[member] = _onednn(a[member], b[member], None if bias is None else bias[member])
    return result


def _by_onednn(a: Tensor) -> bool:
    return ONEDNN and a.device.type == "cpu" and a.dtype == torch.float32 and not torch.compiler.is_compiling()


def _onednn(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    if a.shape[0] * a.shape[1] * b.shape[0] < SMALL:
        return a @ b.T if bias is None else torch.addmm(bias, a, b.T)
    return torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")


class Linear(torch.autograd.Function):
    """``x @ weight.T + bias`` for one network, or for a stack of them along a leading dimension."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad_x = product(grad, weight.mT) if ctx.needs_input_grad[0] else None
        return grad_x, product(grad.mT, x.mT), grad.sum(-2)


class ScaledLinear(torch.autograd.Function):
    """``(x * scale + shift) @ weight.T + bias`` of inputs that need no gradient, as ``Linear`` otherwise.

    Autograd would form the gradient of the scaled inputs, a whole product, only to sum it over the rows. Those sums
    follow from the weights' gradient instead: with G = grad.T @ x, the scale's is the column sum of weight * G.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, scale, shift, weight)
        return product(torch.addcmul(shift.unsqueeze(-2), x, scale.unsqueeze(-2)), weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, weight = ctx.saved_tensors
        rows = grad.sum(-2)
        grad_weight = product(grad.mT, x.mT)
        grad_scale = (weight * grad_weight).sum(-2)
        grad_shift = (rows.unsqueeze(-2) @ weight).squeeze(-2)
        grad_weight = grad_weight.mul_(scale.unsqueeze(-2)).addcmul_(rows.unsqueeze(-1), shift.unsqueeze(-2))
        return None, grad_scale, grad_shift, grad_weight, rows


linear = Linear.apply
scaled_linear = ScaledLinear.apply

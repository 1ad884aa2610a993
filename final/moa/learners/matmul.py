"""The matrix products of the perceptrons, by the fastest exact routine available, with their gradients.

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


def product(a: Tensor, b: Tensor, bias: Tensor | None = None, rounded: torch.dtype | None = None) -> Tensor:
    """``a @ b.T + bias``, no gradient.

    Args:
        a: shape (rows, inner), or (members, rows, inner).
        b: shape (columns, inner), or (members, columns, inner).
        bias: shape (columns,), or (members, columns).
        rounded: round both factors and their product to this type (sums inside are formed in float32); None: full
            precision.

    Returns:
        shape (rows, columns), or (members, rows, columns); of the type of ``a``.
    """
    if rounded is not None:
        result = (a.to(rounded) @ b.to(rounded).mT).to(a.dtype)
        return result if bias is None else result.add_(bias.unsqueeze(-2))
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
    """A linear layer with the batch norm and weight norm around it in a perceptron, for one network or a stack of them.

    Computes ``factor * ((x * scale + shift) @ weight.T) + bias``: scale and shift are a batch norm's, ``factor`` is a
    weight norm's, length over norm of each row of ``weight``. Applied to the outputs instead of the weight, the weight
    norm costs a pass over the batch and not several over the matrix.

    Where there is a scale, the inputs need no gradient. Autograd would compute that of the scaled inputs, a whole
    product, only to sum it over the rows. Those sums follow from the weights' gradient instead: with G = grad.T @ x,
    the gradient of the scale is the column sum of weight * G.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        length: Tensor | None = None,
        scale: Tensor | None = None,
        shift: Tensor | None = None,
    ) -> Tensor:
        inputs = x if scale is None or shift is None else torch.addcmul(shift.unsqueeze(-2), x, scale.unsqueeze(-2))
        if length is None:
            ctx.save_for_backward(x, weight, scale, shift)
            return product(inputs, weight, bias)
        norm = torch.linalg.vector_norm(weight, dim=-1)
        factor, raw = length.squeeze(-1) / norm, product(inputs, weight)
        ctx.save_for_backward(x, weight, scale, shift, norm, factor, raw)
        return torch.addcmul(bias.unsqueeze(-2), raw, factor.unsqueeze(-2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale, shift, *normed = ctx.saved_tensors
        grad_bias = sums = grad.sum(-2)
        grad_length = grad_scale = grad_shift = None
        if normed:
            norm, factor, raw = normed
            along = (grad * raw).sum(-2) / norm
            grad_length = along.unsqueeze(-1)
            grad, sums = grad * factor.unsqueeze(-2), sums * factor
        grad_x = product(grad, weight.mT) if ctx.needs_input_grad[0] else None
        grad_weight = product(grad.mT, x.mT)
        if scale is not None:
            grad_scale = (weight * grad_weight).sum(-2)
            grad_shift = (sums.unsqueeze(-2) @ weight).squeeze(-2)
            grad_weight = grad_weight.mul_(scale.unsqueeze(-2)).addcmul_(sums.unsqueeze(-1), shift.unsqueeze(-2))
        if normed:
            grad_weight.addcmul_(weight, (-along * factor / norm).unsqueeze(-1))
        return grad_x, grad_weight, grad_bias, grad_length, grad_scale, grad_shift


linear = Linear.apply

"""The multilayer perceptrons of the solution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from moa.learners.dropout import SeededDropout
from moa.learners.matmul import linear, product


class Perceptron(nn.Sequential):
    """Repeated batch norm, dropout and linear layer, with activations between; same results as ``nn.Sequential``.

    In training no gradient of the inputs is computed, because they are data.

    Attributes:
        rounded: argument of ``moa.learners.matmul.product`` in evaluation; None: full precision.
    """

    rounded: torch.dtype | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.folded()(x)
        layers = list(self)
        norm, dropout, first = layers[:3]
        if isinstance(dropout, SeededDropout) and dropout.p == 0:
            assert isinstance(norm, nn.BatchNorm1d)
            assert norm.momentum is not None and norm.num_batches_tracked is not None
            norm.num_batches_tracked += 1
            x = F.batch_norm(x, norm.running_mean, norm.running_var, None, None, True, norm.momentum, norm.eps)
            x = linear(x, *parts(first), norm.weight, norm.bias)
            layers = layers[3:]
        for layer in layers:
            x = linear(x, *parts(layer)) if isinstance(layer, nn.Linear) else layer(x)
        return x

    @torch.no_grad()
    def folded(self) -> Callable[[Tensor], Tensor]:
        """The network as evaluated, each batch norm folded into the linear layer after it: fewer passes over memory."""
        steps: list[nn.Module | tuple[Tensor, Tensor]] = []
        for layer in self:
            if isinstance(layer, nn.BatchNorm1d):
                norm = layer
            elif isinstance(layer, nn.Linear):
                steps.append(fold_batch_norm(norm.state_dict(), norm.eps, layer.weight, layer.bias))
            elif not isinstance(layer, SeededDropout):
                steps.append(layer)

        @torch.no_grad()
        def evaluate(x: Tensor) -> Tensor:
            for step in steps:
                x = step(x) if isinstance(step, nn.Module) else product(x, *step, self.rounded)
            return x

        return evaluate


def parts(layer: nn.Module) -> tuple[Tensor, Tensor, Tensor | None]:
    """Arguments of ``moa.learners.matmul.linear``: weight, bias and, where the weight is normed, its length."""
    bias = layer.get_parameter("bias")
    if not parametrize.is_parametrized(layer):
        return layer.get_parameter("weight"), bias, None
    normed = "parametrizations.weight.original"
    return layer.get_parameter(f"{normed}1"), bias, layer.get_parameter(f"{normed}0")


def fold_batch_norm(norm: Mapping[str, Tensor], eps: float, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The weight and bias of one linear layer that does a batch norm in evaluation mode and the layer after it.

    Args:
        norm: a batch norm's ``weight``, ``bias``, ``running_mean``, ``running_var``, shape (..., inputs).
        eps: of the batch norm.
        weight: of the linear layer, shape (..., outputs, inputs).
        bias: likewise, shape (..., outputs).
    """
    scale = norm["weight"] * torch.rsqrt(norm["running_var"] + eps)
    shift = norm["bias"] - norm["running_mean"] * scale
    return weight * scale.unsqueeze(-2), bias + (weight @ shift.unsqueeze(-1)).squeeze(-1)


def three_fc(
    n_inputs: int,
    n_targets: int,
    hidden: int = 2048,
    dropout: Iterable[float] = (0.0, 0.25, 0.25),
    linear: Callable[..., nn.Linear] = nn.Linear,
) -> Perceptron:
    """The "3-FC block" (write-up, common parts): the body of the Simple NN and of the 3-stage NN.

    Args:
        n_inputs: width of the inputs.
        n_targets: width of the outputs.
        hidden: width of both hidden layers.
        dropout: rates p1, p2, p3 before each linear layer; p1 = 0 leaves the layer out.
        linear: makes a linear layer of (inputs, outputs).

    Returns:
        a network from (rows, n_inputs) to logits (rows, n_targets).
    """
    p1, p2, p3 = dropout
    return Perceptron(
        nn.BatchNorm1d(n_inputs),
        SeededDropout(p1),
        weight_norm(linear(n_inputs, hidden)),
        nn.LeakyReLU(inplace=True),
        nn.BatchNorm1d(hidden),
        SeededDropout(p2),
        linear(hidden, hidden),
        nn.LeakyReLU(inplace=True),
        nn.BatchNorm1d(hidden),
        SeededDropout(p3),
        weight_norm(linear(hidden, n_targets)),
    )


def two_fc(
    n_inputs: int,
    n_targets: int,
    hidden: int = 2048,
    dropout: Iterable[float] = (0.2, 0.25),
    linear: Callable[..., nn.Linear] = nn.Linear,
) -> Perceptron:
    """The "2-FC block" (write-up, common parts): stage 1 of the 2-stage NN + TabNet. Arguments as of ``three_fc``."""
    p1, p2 = dropout
    return Perceptron(
        nn.BatchNorm1d(n_inputs),
        SeededDropout(p1),
        weight_norm(linear(n_inputs, hidden)),
        nn.ReLU(inplace=True),
        nn.BatchNorm1d(hidden),
        SeededDropout(p2),
        weight_norm(linear(hidden, n_targets)),
    )


BLOCKS = {"3-fc": three_fc, "2-fc": two_fc}

"""The multilayer perceptrons of the solution, and a dropout whose masks come from the network's own generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from moa.learners.matmul import linear, product


class SeededDropout(nn.Module):
    """Dropout that draws from its own generator.

    A network trained alone and the same network trained inside a batch of networks then see the same masks.

    Args:
        p: share of the inputs that is zeroed, in [0, 1), taken to the nearest 1/65536.
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
    """How many 64-bit words ``keep_mask`` needs for ``size`` cells: a quarter each, rounded up."""
    return math.ceil(size / 4)


def keep_mask(words: Tensor, shape: tuple[int, ...], p: float, dtype: torch.dtype) -> Tensor:
    """0 where a cell is dropped, 1 / (1 - p) where it is kept.

    Each cell compares 16 random bits with a threshold: a tenth of the time that a Bernoulli draw takes on a CPU.

    Args:
        words: random 64-bit integers, shape (..., words); the last dimension fills ``shape[-2:]`` row by row.
        shape: of the mask, (..., rows, columns).
        p: share dropped.
    """
    dropped = round(p * 2**16)
    bits = words.view(torch.int16)[..., : shape[-2] * shape[-1]].view(shape)
    keep = torch.empty(shape, dtype=dtype, device=words.device)
    return torch.ge(bits, dropped - 2**15, out=keep).mul_(2**16 / (2**16 - dropped))


class Perceptron(nn.Sequential):
    """Batch norm, dropout and linear layer, over and over, with activations between; same results as run in a row.

    In training no gradient of the inputs is formed, since they are data.

    Attributes:
        rounded: of ``moa.learners.matmul.product`` in evaluation; None is full precision.
    """

    rounded: torch.dtype | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.folded()(x)
        layers = list(self)
        norm, dropout, first = layers[:3]
        if dropout.p == 0:
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


def parts(layer: nn.Linear) -> tuple[Tensor, Tensor, Tensor | None]:
    """Weight, bias and, where the weight is normed and so a mere direction, its length; as ``moa.learners.matmul.linear``'s."""
    if not parametrize.is_parametrized(layer):
        return layer.weight, layer.bias, None
    normed = layer.parametrizations.weight
    return normed.original1, layer.bias, normed.original0


def fold_batch_norm(norm: Mapping[str, Tensor], eps: float, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The weight and bias that do a batch norm in evaluation mode and the linear layer after it in one.

    Args:
        norm: a batch norm's ``weight``, ``bias``, ``running_mean``, ``running_var``, shape (..., inputs).
        eps: of the batch norm.
        weight, bias: of the linear layer, shapes (..., outputs, inputs) and (..., outputs).
    """
    scale = norm["weight"] * torch.rsqrt(norm["running_var"] + eps)
    shift = norm["bias"] - norm["running_mean"] * scale
    return weight * scale.unsqueeze(-2), bias + (weight @ shift.unsqueeze(-1)).squeeze(-1)


def seed_dropout(network: nn.Module, generator: torch.Generator) -> None:
    """Let every dropout of the network draw from ``generator``, in the order of its layers."""
    for module in network.modules():
        if isinstance(module, SeededDropout):
            module.generator = generator


def three_fc(
    n_inputs: int,
    n_targets: int,
    hidden: int = 2048,
    dropout: Iterable[float] = (0.0, 0.25, 0.25),
    linear: Callable[..., nn.Linear] = nn.Linear,
) -> Perceptron:
    """The "3-FC block" (write-up, common parts): the body of the Simple NN and of the 3-stage NN.

    Args:
        n_inputs, n_targets: widths.
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
    """The "2-FC block" (write-up, common parts): stage 1 of the 2-stage NN + TabNet. Shapes as in ``three_fc``."""
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

"""The multilayer perceptrons of the solution, and a dropout whose masks come from the network's own generator."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm


class SeededDropout(nn.Module):
    """Dropout that draws from its own generator.

    A network trained alone and the same network trained inside a batch of networks then see the same masks.

    Args:
        p: share of the inputs that is zeroed, in [0, 1).
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator)
        return x * keep.mul_(1 / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}"


def seed_dropout(network: nn.Module, generator: torch.Generator) -> None:
    """Let every dropout of the network draw from ``generator``, in the order of its layers."""
    for module in network.modules():
        if isinstance(module, SeededDropout):
            module.generator = generator


def three_fc(
    n_inputs: int, n_targets: int, hidden: int = 2048, dropout: Iterable[float] = (0.0, 0.25, 0.25)
) -> nn.Sequential:
    """The "3-FC block" (write-up, common parts): the body of the Simple NN and of the 3-stage NN.

    Args:
        n_inputs, n_targets: widths.
        hidden: width of both hidden layers.
        dropout: rates p1, p2, p3 before each linear layer; p1 = 0 leaves the layer out.

    Returns:
        a network from (rows, n_inputs) to logits (rows, n_targets).
    """
    p1, p2, p3 = dropout
    return nn.Sequential(
        nn.BatchNorm1d(n_inputs),
        SeededDropout(p1),
        weight_norm(nn.Linear(n_inputs, hidden)),
        nn.LeakyReLU(),
        nn.BatchNorm1d(hidden),
        SeededDropout(p2),
        nn.Linear(hidden, hidden),
        nn.LeakyReLU(),
        nn.BatchNorm1d(hidden),
        SeededDropout(p3),
        weight_norm(nn.Linear(hidden, n_targets)),
    )


def two_fc(n_inputs: int, n_targets: int, hidden: int = 2048, dropout: Iterable[float] = (0.2, 0.25)) -> nn.Sequential:
    """The "2-FC block" (write-up, common parts): stage 1 of the 2-stage NN + TabNet. Shapes as in ``three_fc``."""
    p1, p2 = dropout
    return nn.Sequential(
        nn.BatchNorm1d(n_inputs),
        SeededDropout(p1),
        weight_norm(nn.Linear(n_inputs, hidden)),
        nn.ReLU(),
        nn.BatchNorm1d(hidden),
        SeededDropout(p2),
        weight_norm(nn.Linear(hidden, n_targets)),
    )


BLOCKS = {"3-fc": three_fc, "2-fc": two_fc}

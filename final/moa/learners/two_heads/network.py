"""The two-heads residual network, and the rules of Keras that its training follows, in PyTorch.

Source: write-up, 2-heads ResNet. The original was written in Keras. Where Keras differs from PyTorch, its rule is kept:

- batch norm has momentum 0.99, eps 1e-3, and the *biased* batch variance in the moving average (``KerasBatchNorm``);
- dense kernels are glorot-uniform with zero biases, the selu ones LeCun-normal, truncated at two deviations;
- Adam's eps is inside the bias correction (``KerasAdam``); Adadelta's rule is PyTorch's, with rho 0.95, eps 1e-7;
- labels are smoothed in the validation loss too, which stops training and lowers the learning rate;
- the loss is a mean over a batch's rows: the last, short batch is trained on, even if it is a single row;
- early stopping counts an epoch as better if it gains ``min_delta``, the plateau rule if it gains Keras's 1e-4;
- early stopping leaves the layers as they were at the last such gain where it stops training, and those of the last
  epoch where all epochs are run; the checkpoint is the epoch of the lowest monitored loss, however small its gain.

Not kept: Keras clips probabilities to [1e-7, 1 - 1e-7] where it does not see the sigmoid's logits. Here the loss always
uses logits; the two differ only where a logit is beyond ±16 and wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from moa.learners.dropout import SeededDropout
from moa.learners.matmul import linear

KERAS_EPS = 1e-7
# Default min_delta of Keras's ReduceLROnPlateau, which the original did not change.
PLATEAU_DELTA = 1e-4


class KerasBatchNorm(nn.BatchNorm1d):
    """Batch norm over rows with Keras's constants; its moving variance averages the biased batch variance.

    A batch may be a single row, which PyTorch's own refuses: the unbiased variance of one value does not exist.
    """

    momentum: float
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int):
        super().__init__(num_features, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        out, mean, scale = torch.native_batch_norm(x, self.weight, self.bias, None, None, True, 0.0, self.eps)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(scale.pow(-2) - self.eps, self.momentum)
        return out


class Dense(nn.Linear):
    """A linear layer initialised as Keras does: glorot-uniform, or LeCun-normal before selu."""

    def __init__(self, n_inputs: int, n_outputs: int, lecun: bool = False):
        self.lecun = lecun
        super().__init__(n_inputs, n_outputs)

    def reset_parameters(self) -> None:
        if self.lecun:
            # Keras draws from a normal distribution cut at two deviations, widened to a variance of 1 / inputs.
            deviation = math.sqrt(1 / self.in_features) / 0.87962566103423978
            nn.init.trunc_normal_(self.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
        else:
            nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


def _layers(n_inputs: int, widths: tuple[int, ...], activations: tuple[type[nn.Module], ...]) -> nn.Sequential:
    """Batch norm, dense layer and activation, once per width."""
    layers: list[nn.Module] = []
    for width, activation in zip(widths, activations, strict=True):
        layers += [KerasBatchNorm(n_inputs), Dense(n_inputs, width, lecun=activation is nn.SELU), activation()]
        n_inputs = width
    return nn.Sequential(*layers)


class TwoHeads(nn.Module):
    """Two inputs, four residual blocks on concatenations of what came before, and a head.

    Args:
        first, second: columns of the two inputs.
        n_targets: outputs.
        width: of the wide dense layers (512); the narrow ones have half of it.
        bottleneck: width of the layer before the head: 206 in both phases, for any number of targets.
        dropout: rates of the first two blocks.
    """

    def __init__(
        self,
        first: int,
        second: int,
        n_targets: int,
        width: int = 512,
        bottleneck: int = 206,
        dropout: tuple[float, float] = (0.2, 0.3),
    ):
        super().__init__()
        half, self.bottleneck = width // 2, bottleneck
        self.out1 = _layers(first, (width, half), (nn.ELU, nn.ELU))
        self.a1 = _layers(half + second, (width,), (nn.ReLU,))
        for block, rate in zip((self.out1, self.a1), dropout, strict=True):
            block.insert(1, SeededDropout(rate))
        self.a2 = _layers(half + second + width, (width, half), (nn.ELU, nn.ReLU))
        self.a3 = _layers(width + half, (half,), (nn.ELU,))
        self.a3b = _layers(width + half + half, (half,), (nn.ReLU,))
        self.a4 = _layers(4 * half, (half, bottleneck), (nn.SELU, nn.SELU))
        self.renew_head(n_targets)

    def renew_head(self, n_targets: int) -> None:
        """Replace the head by an untrained batch norm and dense layer."""
        self.head = nn.Sequential(KerasBatchNorm(self.bottleneck), Dense(self.bottleneck, n_targets))

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Logits, shape (rows, n_targets), of inputs (rows, first) and (rows, second)."""
        out1 = self.out1(x1)
        a1 = self.a1(torch.cat([out1, x2], 1))
        a2 = self.a2(torch.cat([out1, x2, a1], 1))
        a3 = self.a3(torch.cat([a1, a2], 1))
        a3b = self.a3b(torch.cat([a1, a2, a3], 1))
        return self.head(self.a4(torch.cat([out1, a2, a3, a3b], 1)))


class KerasAdam(torch.optim.Adam):
    """Adam as Keras computes it: eps is added to the square root of the *uncorrected* second moment.

    That is PyTorch's rule with eps divided by the square root of the moment's correction, which approaches 1.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float):
        super().__init__(parameters, lr=lr, eps=KERAS_EPS, fused=True)
        self.steps = 0

    def step(self, closure: None = None) -> None:  # type: ignore[override]  # closures are not used here
        self.steps += 1
        for group in self.param_groups:
            group["eps"] = KERAS_EPS / math.sqrt(1 - group["betas"][1] ** self.steps)
        super().step(closure)


def keras_adadelta(parameters: Iterable[Tensor], lr: float) -> torch.optim.Adadelta:
    """Adadelta with Keras's rho and eps; the rule itself is the same."""
    return torch.optim.Adadelta(parameters, lr=lr, rho=0.95, eps=KERAS_EPS)


def keras_plateau(optimizer: torch.optim.Optimizer, factor: float, patience: int) -> ReduceLROnPlateau:
    """Keras's ReduceLROnPlateau: after ``patience`` epochs without a gain of 1e-4 (PyTorch waits one more)."""
    return ReduceLROnPlateau(
        optimizer, factor=factor, patience=patience - 1, threshold=PLATEAU_DELTA, threshold_mode="abs", eps=0.0
    )


class EarlyStopping:
    """Keras's rules: stop after ``patience`` epochs without a gain of more than ``min_delta``; keep the lowest loss.

    Attributes:
        is_best: whether the epoch recorded last has the lowest monitored loss so far, however small its gain.
        gains: whether it gained more than ``min_delta``.
    """

    def __init__(self, patience: int, min_delta: float):
        self.patience, self.min_delta = patience, min_delta
        self.reference, self.lowest, self.wait = math.inf, math.inf, 0
        self.is_best = self.gains = False

    def stops(self, value: float) -> bool:
        """Record an epoch's monitored loss; True if training should stop."""
        self.is_best = value < self.lowest
        self.lowest = min(self.lowest, value)
        self.gains = value + self.min_delta < self.reference
        if self.gains:
            self.reference, self.wait = value, 0
        else:
            self.wait += 1
        return self.wait >= self.patience


class LooperStopping:
    """The rule of a step in phase 3, whose counter in the original also counts epochs that gain.

    It is asked before the epoch is added: the step stops at the first epoch without a gain of ``min_delta`` before
    which ``patience`` epochs of any kind have been run. So at least one epoch more than ``patience`` is run.

    Args:
        patience, min_delta: see above.
        lowest: monitored loss before the step.

    Attributes:
        is_best, gains: whether the epoch recorded last gained.
    """

    def __init__(self, patience: int, min_delta: float, lowest: float):
        self.patience, self.min_delta, self.lowest = patience, min_delta, lowest
        self.epochs, self.is_best, self.gains = 0, False, False

    def stops(self, value: float) -> bool:
        """Record an epoch's monitored loss; True if the step should stop."""
        before = self.epochs
        self.epochs += 1
        self.is_best = self.gains = self.lowest - value >= self.min_delta
        if self.is_best:
            self.lowest = value
            return False
        return before >= self.patience

"""The 2-heads network trained as the original's loop did it, transcribed from Keras to plain torch, to compare with.

Layers are computed by their formulas, rows are made into tensors one by one, Adam is not fused, the loss is taken from
clipped probabilities and read back after every step. As in ``tests.benchmarks.notebook``, nothing is done twice.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from moa.learners.base import EpochCallback, FoldData
from moa.learners.common import unit_seed
from moa.learners.runtime import Runtime
from moa.learners.two_heads import training
from moa.learners.two_heads.learner import TwoHeadsLearner
from moa.learners.two_heads.settings import SECOND
from tests.benchmarks.notebook import RowDataset, Shuffled

_CLIPPED = 1e-7


class BatchNorm(nn.BatchNorm1d):
    """Keras's batch norm, by its formula."""

    def __init__(self, width: int):
        super().__init__(width, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return (x - self.running_mean) / (self.running_var + self.eps).sqrt() * self.weight + self.bias
        mean, variance = x.mean(0), x.var(0, unbiased=False)
        with torch.no_grad():
            self.running_mean = 0.99 * self.running_mean + 0.01 * mean
            self.running_var = 0.99 * self.running_var + 0.01 * variance
        return (x - mean) / (variance + self.eps).sqrt() * self.weight + self.bias


def _layers(
    inputs: int, widths: Sequence[int], activations: Sequence[type[nn.Module]], rate: float | None = None
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width, activation in zip(widths, activations, strict=True):
        layers += [BatchNorm(inputs), nn.Linear(inputs, width), activation()]
        inputs = width
    if rate is not None:
        layers.insert(1, nn.Dropout(rate))
    return nn.Sequential(*layers)


class Network(nn.Module):
    """The network; weights are named as in ``moa.learners.two_heads.network``."""

    def __init__(self, first: int, second: int, targets: int, learner: TwoHeadsLearner):
        super().__init__()
        width, half, end = learner.width, learner.width // 2, learner.bottleneck
        self.out1 = _layers(first, (width, half), (nn.ELU, nn.ELU), learner.dropout[0])
        self.a1 = _layers(half + second, (width,), (nn.ReLU,), learner.dropout[1])
        self.a2 = _layers(half + second + width, (width, half), (nn.ELU, nn.ReLU))
        self.a3 = _layers(width + half, (half,), (nn.ELU,))
        self.a3b = _layers(width + half + half, (half,), (nn.ReLU,))
        self.a4 = _layers(4 * half, (half, end), (nn.SELU, nn.SELU))
        self.head = nn.Sequential(BatchNorm(end), nn.Linear(end, targets))

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        out1 = self.out1(x1)
        a1 = self.a1(torch.cat([out1, x2], 1))
        a2 = self.a2(torch.cat([out1, x2, a1], 1))
        a3 = self.a3(torch.cat([a1, a2], 1))
        a3b = self.a3b(torch.cat([a1, a2, a3], 1))
        return self.head(self.a4(torch.cat([out1, a2, a3, a3b], 1))).sigmoid()


def _loss(p: Tensor, y: Tensor, smoothing: float) -> Tensor:
    y, p = y * (1 - smoothing) + 0.5 * smoothing, p.clamp(_CLIPPED, 1 - _CLIPPED)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def fit(
    learner: TwoHeadsLearner,
    data: FoldData,
    seed: int,
    fold: int,
    runtime: Runtime,
    callback: EpochCallback | None = None,
) -> dict[str, Tensor]:
    """Train one phase on one fold; initial weights and order of rows are those of ``TwoHeadsLearner.fit``.

    Args:
        learner: the hyper-parameters; rules that need more than a few epochs are left out.
        data, seed, fold, runtime, callback: as in ``moa.learners.base.Learner.fit``.

    Returns:
        the weights of the best epoch.
    """
    second = data.X.columns.str.startswith(SECOND)
    sizes = (int((~second).sum()), int(second.sum()), data.y.shape[1])
    names = ("n_first", "n_second", "n_targets")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(unit_seed(seed, fold))
        start = training.build(learner, dict(zip(names, sizes, strict=True))).state_dict()
    model = Network(*sizes, learner)
    model.load_state_dict(start)
    X, y = data.X.to_numpy(np.float32), data.y.to_numpy(np.float32)
    places = torch.from_numpy(second.astype(bool))
    order = Shuffled(len(data.train), torch.Generator().manual_seed(unit_seed(seed, fold)))
    train_loader = DataLoader(RowDataset(X[data.train], y[data.train]), batch_size=learner.batch_size, sampler=order)
    valid_loader = DataLoader(RowDataset(X[data.valid], y[data.valid]), batch_size=learner.batch_size)
    optimizer, steps = torch.optim.Adam(model.parameters(), lr=learner.lr), 0
    best_loss, best = np.inf, {}
    for epoch in range(learner.epochs):
        model.train()
        train_loss = 0.0
        for batch in train_loader:
            steps += 1
            optimizer.param_groups[0]["eps"] = _CLIPPED / math.sqrt(1 - 0.999**steps)  # Keras's place of eps
            optimizer.zero_grad()
            loss = _loss(model(batch["x"][:, ~places], batch["x"][:, places]), batch["y"], learner.smoothing)
            loss.backward()
            optimizer.step()
            train_loss += loss.item() * len(batch["x"])

        model.eval()
        valid_loss = monitored = 0.0
        for batch in valid_loader:
            with torch.no_grad():
                p = model(batch["x"][:, ~places], batch["x"][:, places])
                valid_loss += _loss(p, batch["y"], 0.0).item() * len(p)
                monitored += _loss(p, batch["y"], learner.smoothing).item() * len(p)
        if callback:
            row = {"train_loss": train_loss / len(data.train), "valid_loss": valid_loss / len(data.valid)}
            callback.on_epoch_end(epoch, learner.epochs, row)
        if monitored < best_loss:
            best_loss, best = monitored, copy.deepcopy(model.state_dict())
    return best

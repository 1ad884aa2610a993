"""A model trained and run as a notebook of 2020 did it, to compare with.

One QuantileTransformer per column; a Dataset that makes tensors row by row; a DataLoader without workers; Adam that is
not fused; the loss read back after every step; one model after another. Otherwise the comparison is fair: it uses
today's torch, and does nothing twice.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import QuantileTransformer
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.data import DataLoader, Dataset, Sampler

if TYPE_CHECKING:  # the notebook's process imports this module, and must not wait for what it does not use
    from moa.learners.base import EpochCallback, FoldData
    from moa.learners.perceptron.learner import MLPLearner
    from moa.learners.runtime import Runtime


class RowDataset(Dataset):
    """Inputs and, in training, targets of one row at a time."""

    def __init__(self, X: np.ndarray, y: np.ndarray | None = None):
        self.X, self.y = X, y

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        item = {"x": torch.tensor(self.X[row, :], dtype=torch.float)}
        if self.y is not None:
            item["y"] = torch.tensor(self.y[row, :], dtype=torch.float)
        return item


class Shuffled(Sampler):
    """Rows in the order in which ``MLPLearner`` takes them.

    torch's RandomSampler draws from the generator twice per epoch, so that its order differs from the second epoch on.
    """

    def __init__(self, rows: int, generator: torch.Generator):
        self.rows, self.generator = rows, generator

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self.rows, generator=self.generator).tolist())


def network(n_inputs: int, n_targets: int, hidden: int, dropout: Sequence[float]) -> nn.Sequential:
    """The 3-FC block made of torch's layers; weights are named as in ``moa.learners.perceptron.network.three_fc``."""
    return nn.Sequential(
        nn.BatchNorm1d(n_inputs),
        nn.Dropout(dropout[0]),
        weight_norm(nn.Linear(n_inputs, hidden)),
        nn.LeakyReLU(),
        nn.BatchNorm1d(hidden),
        nn.Dropout(dropout[1]),
        nn.Linear(hidden, hidden),
        nn.LeakyReLU(),
        nn.BatchNorm1d(hidden),
        nn.Dropout(dropout[2]),
        weight_norm(nn.Linear(hidden, n_targets)),
    )


def fit(
    learner: MLPLearner, data: FoldData, seed: int, fold: int, runtime: Runtime, callback: EpochCallback | None = None
) -> dict[str, torch.Tensor]:
    """Train on one fold; initial weights and order of rows are those of ``MLPLearner.fit``.

    Args:
        learner: the hyper-parameters.
        data, seed, fold, runtime, callback: as in ``moa.learners.base.Learner.fit``.

    Returns:
        the weights of the best epoch.
    """
    X, y, device = data.X.to_numpy(np.float32), data.y.to_numpy(np.float32), runtime.torch_device
    from moa.learners.perceptron import setup

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = network(X.shape[1], y.shape[1], learner.hidden, learner.dropout).to(device)
    train = RowDataset(X[data.train], y[data.train])
    order = Shuffled(len(train), torch.Generator().manual_seed(seed))
    train_loader = DataLoader(train, batch_size=learner.batch_size, sampler=order)
    valid_loader = DataLoader(RowDataset(X[data.valid], y[data.valid]), batch_size=learner.batch_size)
    optimizer = torch.optim.Adam(model.parameters(), weight_decay=learner.weight_decay)
    scheduler = setup.schedule(learner, optimizer, len(train_loader))
    loss_fn, best_loss, best = nn.BCEWithLogitsLoss(), np.inf, {}
    for epoch in range(learner.epochs):
        model.train()
        train_loss = 0.0
        for batch in train_loader:
            inputs, targets = batch["x"].to(device), batch["y"].to(device)
            optimizer.zero_grad()
            loss = loss_fn(model(inputs), targets * (1 - learner.smoothing) + 0.5 * learner.smoothing)
            loss.backward()
            optimizer.step()
            scheduler.step()
            train_loss += loss.item()

        model.eval()
        valid_loss, rows = 0.0, 0
        for batch in valid_loader:
            inputs, targets = batch["x"].to(device), batch["y"].to(device)
            with torch.no_grad():
                valid_loss += loss_fn(model(inputs), targets).item() * len(inputs)
            rows += len(inputs)
        valid_loss /= rows
        if callback:
            row = {"train_loss": train_loss / len(train_loader), "valid_loss": valid_loss}
            callback.on_epoch_end(epoch, learner.epochs, row)
        if valid_loss < best_loss:
            best_loss, best = valid_loss, copy.deepcopy(model.state_dict())
    return best


def predict(
    tensors: Mapping[str, torch.Tensor], X: np.ndarray, device: torch.device, batch_size: int, dropout: Sequence[float]
) -> np.ndarray:
    """Probabilities of one model, shape (rows, targets)."""
    hidden = len(tensors["6.bias"])
    model = network(X.shape[1], len(tensors["10.bias"]), hidden, dropout)
    model.load_state_dict(tensors)
    model.to(device).eval()
    found = []
    for batch in DataLoader(RowDataset(X), batch_size=batch_size):
        with torch.no_grad():
            found.append(model(batch["x"].to(device)).sigmoid().detach().cpu().numpy())
    return np.concatenate(found)


def fit_ranks(table: pd.DataFrame) -> dict[str, QuantileTransformer]:
    """One fitted transformer per column."""
    return {
        column: QuantileTransformer(
            n_quantiles=min(100, len(table)), output_distribution="normal", subsample=None, random_state=0
        ).fit(table[column].to_numpy().reshape(-1, 1))
        for column in table.columns
    }


def apply_ranks(ranks: Mapping[str, QuantileTransformer], table: pd.DataFrame) -> pd.DataFrame:
    """The ranked table."""
    ranked = table.copy()
    for column, transformer in ranks.items():
        ranked[column] = transformer.transform(table[column].to_numpy().reshape(-1, 1)).ravel()
    return ranked

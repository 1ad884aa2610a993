"""The old way, for comparison: a model trained and run in the manner of a notebook of 2020.

One QuantileTransformer a column; a Dataset that makes tensors row by row; a DataLoader without workers; Adam unfused;
the loss read back after every step; one model after another. Fair otherwise: today's torch, nothing done twice.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import QuantileTransformer
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.data import DataLoader, Dataset, Sampler

if TYPE_CHECKING:  # the old way's process imports this module, and should not wait for what it does not use
    from moa.learners.base import Fold
    from moa.learners.perceptron.learner import MLPLearner


class RowDataset(Dataset):
    """Inputs and, in training, targets of one row at a time."""

    def __init__(self, x: np.ndarray, y: np.ndarray | None = None):
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        item = {"x": torch.tensor(self.x[row, :], dtype=torch.float)}
        if self.y is not None:
            item["y"] = torch.tensor(self.y[row, :], dtype=torch.float)
        return item


class Shuffled(Sampler):
    """Rows in the engine's order; torch's RandomSampler draws twice an epoch, so that its second one differs."""

    def __init__(self, rows: int, generator: torch.Generator):
        self.rows, self.generator = rows, generator

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self.rows, generator=self.generator).tolist())


def network(n_inputs: int, n_targets: int, hidden: int, dropout: Sequence[float]) -> nn.Sequential:
    """The 3-FC block of torch's own layers; its weights have the names of ``moa.learners.perceptron.network.three_fc``."""
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


def fit(learner: MLPLearner, fold: Fold) -> dict[str, torch.Tensor]:
    """Train one fold; the weights of its best epoch. Starts from, and shuffles, as ``MLPLearner.fit``."""
    from moa.learners.common import unit_seed

    x, y = fold.x.to_numpy(np.float32), fold.y.to_numpy(np.float32)
    seed = unit_seed(fold.seed, fold.fold)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = network(x.shape[1], y.shape[1], learner.hidden, learner.dropout).to(fold.device)
    train = RowDataset(x[fold.train], y[fold.train])
    order = Shuffled(len(train), torch.Generator().manual_seed(seed))
    train_loader = DataLoader(train, batch_size=learner.batch_size, sampler=order)
    valid_loader = DataLoader(RowDataset(x[fold.valid], y[fold.valid]), batch_size=learner.batch_size)
    optimizer = torch.optim.Adam(model.parameters(), weight_decay=learner.weight_decay)
    scheduler = learner.schedule(optimizer, len(train_loader))
    loss_fn, best_loss, best = nn.BCEWithLogitsLoss(), np.inf, {}
    for epoch in range(learner.epochs):
        model.train()
        train_loss = 0.0
        for batch in train_loader:
            inputs, targets = batch["x"].to(fold.device), batch["y"].to(fold.device)
            optimizer.zero_grad()
            loss = loss_fn(model(inputs), targets * (1 - learner.smoothing) + 0.5 * learner.smoothing)
            loss.backward()
            optimizer.step()
            scheduler.step()
            train_loss += loss.item()

        model.eval()
        valid_loss, rows = 0.0, 0
        for batch in valid_loader:
            inputs, targets = batch["x"].to(fold.device), batch["y"].to(fold.device)
            with torch.no_grad():
                valid_loss += loss_fn(model(inputs), targets).item() * len(inputs)
            rows += len(inputs)
        valid_loss /= rows
        fold.on_epoch(epoch, learner.epochs, {"train_loss": train_loss / len(train_loader), "valid_loss": valid_loss})
        if valid_loss < best_loss:
            best_loss, best = valid_loss, copy.deepcopy(model.state_dict())
    return best


def predict(
    tensors: dict[str, torch.Tensor], x: np.ndarray, device: torch.device, batch_size: int, dropout: Sequence[float]
) -> np.ndarray:
    """Probabilities of one model, shape (rows, targets)."""
    hidden = len(tensors["6.bias"])
    model = network(x.shape[1], len(tensors["10.bias"]), hidden, dropout)
    model.load_state_dict(tensors)
    model.to(device).eval()
    found = []
    for batch in DataLoader(RowDataset(x), batch_size=batch_size):
        with torch.no_grad():
            found.append(model(batch["x"].to(device)).sigmoid().detach().cpu().numpy())
    return np.concatenate(found)


def fit_ranks(table: pd.DataFrame) -> dict[str, QuantileTransformer]:
    """One transformer a column."""
    return {
        column: QuantileTransformer(
            n_quantiles=min(100, len(table)), output_distribution="normal", subsample=None, random_state=0
        ).fit(table[column].to_numpy().reshape(-1, 1))
        for column in table.columns
    }


def apply_ranks(ranks: dict[str, QuantileTransformer], table: pd.DataFrame) -> pd.DataFrame:
    """The ranked table."""
    ranked = table.copy()
    for column, transformer in ranks.items():
        ranked[column] = transformer.transform(table[column].to_numpy().reshape(-1, 1)).ravel()
    return ranked


def fit_all(learner: MLPLearner, folds: Sequence[Fold]) -> None:
    """One model after another."""
    for fold in folds:
        fit(learner, fold)

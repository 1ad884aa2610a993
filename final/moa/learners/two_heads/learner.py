"""Training of the two-heads network: a phase a stage, and the "looper" that the original ran at the end.

Source: write-up, 2-heads ResNet. Phase 1 learns all nonscored targets, phase 2 goes on from it with a new head on the
scored ones. Phase 3 alternates epochs with all layers frozen and with none, by Adadelta, until the latter gain nothing.

Two slips of the original are kept as it published them, and named. Its phase 3 is fitted on the *validation fold*, so
that what it predicts for that fold is no out-of-fold prediction any more: the OOF that scores and blends is the one
from before phase 3, and the published one is stored beside it as the variant "after-phase3". And its frozen steps,
meant to free the head alone, found no layer of the name they looked for and froze everything, batch norms too: nothing
can change in them, so they are not run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce_with_logits

from moa.learners.base import Fitted, Fold
from moa.learners.common import EVALUATED_ROWS, smooth, to_device, unit_seed
from moa.learners.dropout import seed_dropout
from moa.learners.two_heads.network import EarlyStopping, KerasAdam, TwoHeads, keras_adadelta, keras_plateau

SECOND = "head2:"  # columns of the second input are named so
BEFORE, AFTER = "before-phase3", "after-phase3"


@dataclass(frozen=True)
class _Tables:
    """A fold on its device; ``x1``, ``x2``, ``y`` hold all rows, ``train`` and ``valid`` are positions in them."""

    x1: Tensor
    x2: Tensor
    y: Tensor
    train: Tensor
    valid: Tensor


class TwoHeadsLearner(BaseModel):
    """A two-heads network and how it is trained; the defaults are the published settings of V1.

    Attributes:
        width, bottleneck, dropout: of ``moa.learners.two_heads.network.TwoHeads``.
        batch_size: rows a step; the last one takes what is left.
        lr: Adam's.
        epochs, patience, min_delta: most epochs, and Keras's early stopping; the best epoch is kept.
        plateau_factor, plateau_patience: the learning rate falls when the validation loss rests.
        smoothing: both losses use y·(1-s) + s/2.
        phase3: where the looper is fitted: "validation" as published, which leaks; "train", with the validation fold
            only watching, so that its OOF is honest; "none".
        loop_lr: Adadelta's learning rate in the unfrozen steps.
        loop_epochs, loop_patience, loop_min_delta: most epochs of an unfrozen step, and its early stopping.
        loop_rounds: most unfrozen steps; the original had no bound.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = 512
    bottleneck: int = 206
    dropout: tuple[float, float] = (0.2, 0.3)
    batch_size: int = 128
    lr: float = 1e-3
    epochs: int = 50
    patience: int = 10
    min_delta: float = 1e-5
    plateau_factor: float = 0.5
    plateau_patience: int = 4
    smoothing: float = 0.0005
    phase3: Literal["none", "train", "validation"] = "none"
    loop_lr: float = 1e-3 / 5
    loop_epochs: int = 50
    loop_patience: int = 3
    loop_min_delta: float = 1e-6
    loop_rounds: int = 20

    def build(self, meta: dict[str, Any]) -> TwoHeads:
        """The untrained network of a unit's facts; initialised from torch's global generator."""
        return TwoHeads(meta["n_first"], meta["n_second"], meta["n_targets"], self.width, self.bottleneck, self.dropout)

    def fit(self, fold: Fold) -> Fitted:
        """Train one phase on one fold, from ``fold.initial`` with a new head where there is one, then phase 3."""
        x1, x2 = _split(fold.x, fold.device)
        train, valid = (torch.from_numpy(rows).to(fold.device) for rows in (fold.train, fold.valid))
        tables = _Tables(x1, x2, to_device(fold.y, fold.device), train, valid)
        meta: dict[str, Any] = {"n_first": x1.shape[1], "n_second": x2.shape[1], "n_targets": fold.y.shape[1]}
        seed = unit_seed(fold.seed, fold.fold)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if fold.initial is None:
                network = self.build(meta)
            else:
                network = self.build(fold.initial.meta)
                network.load_state_dict(fold.initial.tensors)
                network.renew_head(meta["n_targets"])
        network.to(fold.device)
        seed_dropout(network, torch.Generator(fold.device).manual_seed(seed))
        loop = _Loop(self, fold, network, tables, torch.Generator().manual_seed(seed))

        adam = KerasAdam(network.parameters(), self.lr)
        plateau = keras_plateau(adam, self.plateau_factor, self.plateau_patience)
        stopping = EarlyStopping(self.patience, self.min_delta)
        history = loop.run(adam, tables.train, self.epochs, stopping, plateau.step)
        fitted = Fitted({}, meta, history)
        # Phase 3 is kept out of the history: as published, its validation loss is a training loss.
        if self.phase3 == "train":
            meta["phase3"] = self._loop(loop, tables.train)
        elif self.phase3 == "validation":
            fitted.variants[BEFORE] = loop.probabilities(tables.valid)
            meta["phase3"] = self._loop(loop, tables.valid)
            fitted.variants[AFTER] = loop.probabilities(tables.valid)
            meta["honest_oof"] = BEFORE
        fitted.tensors = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        return fitted

    def _loop(self, loop: _Loop, rows: Tensor) -> list[dict[str, float]]:
        """Phase 3: unfrozen steps, each with an optimizer of its own, until one gains nothing. Returns its history."""
        history: list[dict[str, float]] = []
        best = loop.valid_losses()[1]
        for step in range(self.loop_rounds):
            stopping = EarlyStopping(self.loop_patience, self.loop_min_delta)
            stopping.best = best  # the first epoch, too, has to gain
            adadelta = keras_adadelta(loop.network.parameters(), self.loop_lr)
            epochs = loop.run(adadelta, rows, self.loop_epochs, stopping, looping=True)
            history += [{"step": step, **row} for row in epochs]
            if stopping.best == best:
                break
            best = stopping.best
        return history

    def predict(self, fitted: Fitted, x: pd.DataFrame, device: torch.device) -> np.ndarray:
        """Probabilities of the kept epoch; see ``moa.learners.base.Learner``."""
        with torch.random.fork_rng(devices=[]):
            network = self.build(fitted.meta)
        network.load_state_dict(fitted.tensors)
        return _logits(network.to(device), *_split(x, device)).sigmoid().cpu().numpy()


class _Loop:
    """Epochs over a fold: trains the network in place, and leaves it at the best epoch of each run."""

    def __init__(
        self, learner: TwoHeadsLearner, fold: Fold, network: TwoHeads, tables: _Tables, order: torch.Generator
    ):
        self.learner, self.fold, self.network, self.tables, self.order = learner, fold, network, tables, order

    def run(
        self,
        optimizer: torch.optim.Optimizer,
        rows: Tensor,
        epochs: int,
        stopping: EarlyStopping,
        after_epoch: Callable[[float], None] = lambda monitored: None,
        looping: bool = False,
    ) -> list[dict[str, float]]:
        """Train on ``rows`` until ``stopping`` says so; returns a history row an epoch.

        How long the looper takes cannot be told: for progress all of its epochs are the last.
        """
        tables, size, smoothing = self.tables, self.learner.batch_size, self.learner.smoothing
        best, history = _state(self.network), []
        for epoch in range(epochs):
            self.network.train()
            total = torch.zeros((), device=rows.device)
            shuffled = rows[torch.randperm(len(rows), generator=self.order).to(rows.device)]
            for batch in shuffled.split(size):
                out = self.network(tables.x1[batch], tables.x2[batch])
                loss = bce_with_logits(out, smooth(tables.y[batch], smoothing))
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(batch)

            valid_loss, monitored = self.valid_losses()
            row = {
                "epoch": epoch,
                "lr": optimizer.param_groups[0]["lr"],
                "train_loss": total.item() / len(rows),
                "valid_loss": valid_loss,
                "valid_stopping_loss": monitored,
            }
            history.append(row)
            self.fold.on_epoch(epochs - 1 if looping else epoch, epochs, row)
            if stopping.better(monitored):
                best = _state(self.network)
            if stopping.stop:
                break
            after_epoch(monitored)
        self.network.load_state_dict(best)
        return history

    def valid_losses(self) -> tuple[float, float]:
        """Log loss over the validation fold: plain, and with smoothed labels as it is monitored."""
        tables = self.tables
        out, y = _logits(self.network, tables.x1[tables.valid], tables.x2[tables.valid]), tables.y[tables.valid]
        smoothed = smooth(y, self.learner.smoothing)
        plain, monitored = torch.stack([bce_with_logits(out, y), bce_with_logits(out, smoothed)]).tolist()
        return plain, monitored

    def probabilities(self, rows: Tensor) -> np.ndarray:
        """Predictions for rows of the tables, shape (len(rows), targets)."""
        return _logits(self.network, self.tables.x1[rows], self.tables.x2[rows]).sigmoid().cpu().numpy()


def _split(x: pd.DataFrame, device: torch.device) -> tuple[Tensor, Tensor]:
    """The columns of the first and of the second input."""
    second = x.columns.str.startswith(SECOND)
    return to_device(x.loc[:, ~second], device), to_device(x.loc[:, second], device)


def _state(network: TwoHeads) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


@torch.no_grad()
def _logits(network: TwoHeads, x1: Tensor, x2: Tensor) -> Tensor:
    network.eval()
    parts = zip(x1.split(EVALUATED_ROWS), x2.split(EVALUATED_ROWS), strict=True)
    return torch.cat([network(*part) for part in parts])

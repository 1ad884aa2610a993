"""Training of the two-heads network: one phase per stage, and the "looper" that the original ran at the end.

Source: write-up, 2-heads ResNet. Phase 1 learns all nonscored targets. Phase 2 continues from it with a new head on the
scored ones. Phase 3 alternates epochs with all layers frozen and epochs with none frozen, by Adadelta, until the latter
gain nothing.

Two mistakes of the original are kept as published. First, its phase 3 is fitted on the *validation fold*, so that its
predictions for that fold are not out-of-fold any more: the OOF used for scores and blends is the one from before phase
3, and the published one is stored as the variant "after-phase3". Second, its frozen steps, meant to train the head
only, found no layer of the name they looked for and froze everything, batch norms too: they change nothing, so they are
not run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce_with_logits
from torch.optim.lr_scheduler import ReduceLROnPlateau

from moa.learners.base import EpochCallback, FitJob, Fitted
from moa.learners.common import EVALUATED_ROWS, GLOBAL_GENERATOR, smooth, state_on_cpu, to_device, unit_seed
from moa.learners.dropout import seed_dropout
from moa.learners.runtime import Runtime
from moa.learners.two_heads.network import (
    EarlyStopping,
    KerasAdam,
    KerasBatchNorm,
    LooperStopping,
    TwoHeads,
    keras_adadelta,
    keras_plateau,
)
from moa.learners.two_heads.settings import AFTER, SECOND, TwoHeadsSettings


@dataclass(frozen=True)
class _Tables:
    """A fold on its device: ``x1``, ``x2`` and ``y`` hold all rows, ``train`` and ``valid`` are positions in them."""

    x1: Tensor
    x2: Tensor
    y: Tensor
    train: Tensor
    valid: Tensor


def build(settings: TwoHeadsSettings, meta: dict[str, Any]) -> TwoHeads:
    """The untrained network; initialised from torch's global generator."""
    sizes = (meta["n_first"], meta["n_second"], meta["n_targets"])
    return TwoHeads(*sizes, settings.width, settings.bottleneck, settings.dropout)


def fit(settings: TwoHeadsSettings, job: FitJob) -> Fitted:
    """Train one phase on one fold, from ``initial`` with a new head where there is one, then run phase 3."""
    data, initial, device = job.data, job.initial, job.runtime.torch_device
    x1, x2 = _split(data.X, device)
    train, valid = (torch.from_numpy(rows).to(device) for rows in (data.train, data.valid))
    tables = _Tables(x1, x2, to_device(data.y, device), train, valid)
    meta: dict[str, Any] = {"n_first": x1.shape[1], "n_second": x2.shape[1], "n_targets": data.y.shape[1]}
    seed = unit_seed(job.seed, job.fold)
    with GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if initial is None:
            network = build(settings, meta)
        else:
            network = build(settings, initial.meta)
            network.load_state_dict(initial.tensors)
            network.renew_head(meta["n_targets"])
    network.to(device)
    for norm in network.modules():
        if isinstance(norm, KerasBatchNorm):
            norm.momentum = settings.norm_momentum
    seed_dropout(network, torch.Generator(device).manual_seed(seed))
    loop = _Loop(settings, network, tables, torch.Generator().manual_seed(seed), job.callback)

    adam = KerasAdam(network.parameters(), settings.lr)
    plateau = keras_plateau(adam, settings.plateau_factor, settings.plateau_patience)
    stopping = EarlyStopping(settings.patience, settings.min_delta)
    history = loop.run(adam, tables.train, settings.epochs, stopping, plateau)
    fitted = Fitted({}, meta, history)
    # Phase 3 is not part of the history: as published, its validation loss is a training loss.
    if settings.phase3 == "train":
        meta["phase3"] = _looper(settings, loop, tables.train)
    elif settings.phase3 == "validation":
        fitted.oof = loop.probabilities(tables.valid)
        meta["phase3"] = _looper(settings, loop, tables.valid)
        fitted.variants[AFTER] = loop.probabilities(tables.valid)
    fitted.tensors = state_on_cpu(network)
    return fitted


def _looper(settings: TwoHeadsSettings, loop: _Loop, rows: Tensor) -> list[dict[str, float]]:
    """Phase 3: unfrozen steps, each with a new optimizer, until one gains nothing. Returns its history."""
    history: list[dict[str, float]] = []
    lowest = loop.valid_losses()[1]
    for step in range(settings.loop_rounds):
        stopping = LooperStopping(settings.loop_patience, settings.loop_min_delta, lowest)
        adadelta = keras_adadelta(loop.network.parameters(), settings.loop_lr)
        epochs = loop.run(adadelta, rows, settings.loop_epochs, stopping, looping=True)
        history += [{"step": step, **row} for row in epochs]
        if stopping.lowest == lowest:
            break
        lowest = stopping.lowest
    return history


def predict(settings: TwoHeadsSettings, fitted: Fitted, X: pd.DataFrame, runtime: Runtime) -> np.ndarray:
    """Probabilities of the kept epoch; see ``moa.learners.base.Learner``."""
    with GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        network = build(settings, fitted.meta)
    network.load_state_dict(fitted.tensors)
    return _logits(network.to(runtime.torch_device), *_split(X, runtime.torch_device)).sigmoid().cpu().numpy()


class _Loop:
    """Epochs over a fold: trains the network in place, and leaves it at the best epoch of each run."""

    def __init__(
        self,
        settings: TwoHeadsSettings,
        network: TwoHeads,
        tables: _Tables,
        order: torch.Generator,
        callback: EpochCallback,
    ):
        self.settings, self.network, self.tables, self.order, self.callback = settings, network, tables, order, callback

    def run(
        self,
        optimizer: torch.optim.Optimizer,
        rows: Tensor,
        epochs: int,
        stopping: EarlyStopping | LooperStopping,
        plateau: ReduceLROnPlateau | None = None,
        looping: bool = False,
    ) -> list[dict[str, float]]:
        """Train on ``rows`` until ``stopping`` stops it; returns one history row per epoch.

        How long the looper takes cannot be known: for the callback all of its epochs are the last one.
        """
        tables, size, smoothing = self.tables, self.settings.batch_size, self.settings.smoothing
        best = _state(self.network)
        history: list[dict[str, float]] = []
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
            self.callback.on_epoch_end(epochs - 1 if looping else epoch, epochs, row)
            stop = stopping.stops(monitored)
            if stopping.is_best:
                best = _state(self.network)
            if stop:
                break
            if plateau:
                plateau.step(monitored)
        self.network.load_state_dict(best)
        return history

    def valid_losses(self) -> tuple[float, float]:
        """Log loss over the validation fold: plain, and with smoothed labels, which is the monitored one."""
        tables = self.tables
        out, y = _logits(self.network, tables.x1[tables.valid], tables.x2[tables.valid]), tables.y[tables.valid]
        smoothed = smooth(y, self.settings.smoothing)
        plain, monitored = torch.stack([bce_with_logits(out, y), bce_with_logits(out, smoothed)]).tolist()
        return plain, monitored

    def probabilities(self, rows: Tensor) -> np.ndarray:
        """Predictions for rows of the tables, shape (len(rows), targets)."""
        return _logits(self.network, self.tables.x1[rows], self.tables.x2[rows]).sigmoid().cpu().numpy()


def _split(X: pd.DataFrame, device: torch.device) -> tuple[Tensor, Tensor]:
    """The columns of the first and of the second input."""
    second = X.columns.str.startswith(SECOND)
    return to_device(X.loc[:, ~second], device), to_device(X.loc[:, second], device)


def _state(network: TwoHeads) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


@torch.no_grad()
def _logits(network: TwoHeads, x1: Tensor, x2: Tensor) -> Tensor:
    network.eval()
    parts = zip(x1.split(EVALUATED_ROWS), x2.split(EVALUATED_ROWS), strict=True)
    return torch.cat([network(*part) for part in parts])

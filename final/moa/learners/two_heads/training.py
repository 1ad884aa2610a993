"""Training of the two-heads network: one phase per stage, and the "looper" that the original ran at the end.

Source: write-up, 2-heads ResNet. Phase 1 learns all nonscored targets. Phase 2 continues from it with a new head on the
scored ones. Phase 3 alternates epochs with all layers frozen and epochs with none frozen, by Adadelta, until the latter
gain nothing.

The epoch of the lowest validation loss predicts, and phase 3 starts from it too. Phase 2 does not: it starts from what
early stopping left in the layers after phase 1, the epoch of the last gain of more than ``min_delta`` or, where all
epochs were run, the last one. Where that is another epoch, both are stored.

Two mistakes of the original are kept as published. First, its phase 3 is fitted on the *validation fold*, so that its
predictions for that fold are not out-of-fold any more: the OOF used for scores and blends is the one from before phase
3, and the published one is stored as the variant "after-phase3". Second, its frozen steps, meant to train the head
only, found no layer of the name they looked for and froze everything, batch norms too: they change nothing, so they are
not run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce_with_logits
from torch.optim.lr_scheduler import ReduceLROnPlateau

from moa.learners.base import FitJob, Fitted
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


def build(settings: TwoHeadsSettings, meta: dict[str, Any]) -> TwoHeads:
    """The untrained network; initialised from torch's global generator."""
    sizes = (meta["n_first"], meta["n_second"], meta["n_targets"])
    return TwoHeads(*sizes, settings.width, settings.bottleneck, settings.dropout)


def fit(settings: TwoHeadsSettings, job: FitJob) -> Fitted:
    """Train one phase on one fold, from ``initial`` with a new head where there is one, then run phase 3."""
    initial, device, seed = job.initial, job.runtime.torch_device, unit_seed(job.seed, job.fold)
    second = int(job.data.X.columns.str.startswith(SECOND).sum())
    meta: dict[str, Any] = {
        "n_first": job.data.X.shape[1] - second,
        "n_second": second,
        "n_targets": job.data.y.shape[1],
    }
    with GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(settings, initial.meta if initial else meta)
        if initial:
            network.load_state_dict(initial.start or initial.tensors)
            network.renew_head(meta["n_targets"])
    network.to(device)
    for norm in network.modules():
        if isinstance(norm, KerasBatchNorm):
            norm.momentum = settings.norm_momentum
    seed_dropout(network, torch.Generator(device).manual_seed(seed))
    loop = _Loop(settings, network, job, torch.Generator().manual_seed(seed))

    adam = KerasAdam(network.parameters(), settings.lr)
    plateau = keras_plateau(adam, settings.plateau_factor, settings.plateau_patience)
    stopping = EarlyStopping(settings.patience, settings.min_delta)
    history, left = loop.run(adam, loop.train, settings.epochs, stopping, plateau)
    fitted = Fitted({}, meta, history)
    # Phase 3 is not part of the history: as published, its validation loss is a training loss.
    if settings.phase3 == "train":
        meta["phase3"] = _looper(settings, loop, loop.train)
    elif settings.phase3 == "validation":
        fitted.oof = loop.valid_probabilities()
        meta["phase3"] = _looper(settings, loop, loop.valid)
        fitted.variants[AFTER] = loop.valid_probabilities()
    elif left:
        fitted.start = {name: value.cpu() for name, value in left.items()}
    fitted.tensors = state_on_cpu(network)
    return fitted


def _looper(settings: TwoHeadsSettings, loop: _Loop, rows: Tensor) -> list[dict[str, float]]:
    """Phase 3: unfrozen steps, each with a new optimizer, until one gains nothing. Returns its history."""
    history: list[dict[str, float]] = []
    lowest = loop.valid_losses()[1]
    for step in range(settings.loop_rounds):
        stopping = LooperStopping(settings.loop_patience, settings.loop_min_delta, lowest)
        adadelta = keras_adadelta(loop.network.parameters(), settings.loop_lr)
        epochs, _ = loop.run(adadelta, rows, settings.loop_epochs, stopping, looping=True)
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
    """Epochs over a fold: trains the network in place, and leaves it at the best epoch of each run.

    ``x1``, ``x2``, and the labels ``y`` and ``smoothed`` hold all rows on the device; ``train`` and ``valid`` are
    positions in them.
    """

    def __init__(self, settings: TwoHeadsSettings, network: TwoHeads, job: FitJob, order: torch.Generator):
        self.settings, self.network, self.order, self.callback = settings, network, order, job.callback
        data, device = job.data, job.runtime.torch_device
        self.x1, self.x2 = _split(data.X, device)
        self.y = to_device(data.y, device)
        self.smoothed = smooth(self.y, settings.smoothing)
        self.train, self.valid = (torch.from_numpy(rows).to(device) for rows in (data.train, data.valid))

    def run(
        self,
        optimizer: torch.optim.Optimizer,
        rows: Tensor,
        epochs: int,
        stopping: EarlyStopping | LooperStopping,
        plateau: ReduceLROnPlateau | None = None,
        looping: bool = False,
    ) -> tuple[list[dict[str, float]], dict[str, Tensor] | None]:
        """Train on ``rows`` until ``stopping`` stops it.

        How long the looper takes cannot be known: for the callback all of its epochs are the last one.

        Returns:
            one history row per epoch, and the state that early stopping leaves; None where it is the best epoch's.
        """
        best = gained = _state(self.network)
        stop = False
        history: list[dict[str, float]] = []
        for epoch in range(epochs):
            self.network.train()
            total = torch.zeros((), device=rows.device)
            shuffled = rows[torch.randperm(len(rows), generator=self.order).to(rows.device)]
            for batch in shuffled.split(self.settings.batch_size):
                out = self.network(self.x1.index_select(0, batch), self.x2.index_select(0, batch))
                loss = bce_with_logits(out, self.smoothed.index_select(0, batch))
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
            if stopping.gains:
                gained = best  # such a loss is also the lowest
            if stop:
                break
            if plateau:
                plateau.step(monitored)
        left = gained if stop else best if stopping.is_best else _state(self.network)
        self.network.load_state_dict(best)
        return history, None if left is best else left

    def valid_losses(self) -> tuple[float, float]:
        """Log loss over the validation fold: plain, and with smoothed labels, which is the monitored one."""
        out = self._valid_logits()
        losses = [bce_with_logits(out, labels[self.valid]) for labels in (self.y, self.smoothed)]
        plain, monitored = torch.stack(losses).tolist()
        return plain, monitored

    def valid_probabilities(self) -> np.ndarray:
        """Predictions for the validation fold, shape (rows, targets)."""
        return self._valid_logits().sigmoid().cpu().numpy()

    def _valid_logits(self) -> Tensor:
        return _logits(self.network, self.x1[self.valid], self.x2[self.valid])


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

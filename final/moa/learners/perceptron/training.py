"""The training loop of the multilayer perceptrons: one network, one fold, on one page.

This is the readable reference. ``moa.learners.perceptron.batched`` trains many units as one batched network, with the
same result up to rounding. The data lie on the device once, batches are index lookups, and nothing is read back from
the device inside an epoch.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce_with_logits

from moa.learners.base import FitJob, Fitted
from moa.learners.common import EVALUATED_ROWS, smooth, state_on_cpu, to_device, valid_weights
from moa.learners.perceptron import setup
from moa.learners.perceptron.network import Perceptron
from moa.learners.perceptron.settings import MLPSettings
from moa.learners.runtime import Runtime


def fit(settings: MLPSettings, job: FitJob, dtype: torch.dtype = torch.float32) -> Fitted:
    """Train on one fold; see ``moa.learners.base.Learner``. Double precision is for comparisons."""
    data, device = job.data, job.runtime.torch_device
    X, y = setup.tables(settings, data, device, dtype)
    train = torch.from_numpy(data.train).to(device)
    valid = torch.from_numpy(data.valid).to(device)
    network, _, order = setup.start(settings, X.shape[1], y.shape[1], job.seed, device, dtype)
    steps = setup.steps(settings, data)
    adam, schedule = setup.optimizer(settings, network.parameters(), steps)
    weights = valid_weights(len(valid), settings.batch_size).to(device, dtype)
    history: list[dict[str, float]] = []
    best_loss = float("inf")
    best_state: dict[str, Tensor] = {}
    for epoch in range(settings.epochs):
        network.train()
        total = torch.zeros((), device=device, dtype=dtype)
        shuffled = train[torch.randperm(len(train), generator=order).to(device)]
        for step in range(steps):
            rows = shuffled[step * settings.batch_size : (step + 1) * settings.batch_size]
            batch, labels = X.index_select(0, rows), y.index_select(0, rows)
            loss = bce_with_logits(network(batch), smooth(labels, settings.smoothing))
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()
            schedule.step()
            total += loss.detach()

        losses = bce_with_logits(logits(network, X[valid]), y[valid], reduction="none").mean(1)
        valid_loss, batch_loss = (losses @ weights).tolist()
        row = {
            "epoch": epoch,
            "train_loss": total.item() / steps,
            "valid_loss": valid_loss,
            "valid_batch_loss": batch_loss,
        }
        history.append(row)
        job.callback.on_epoch_end(epoch, settings.epochs, row)
        # A first epoch that is not finite must still leave weights to look at, hence the second condition.
        if data.keep_last or valid_loss < best_loss or not best_state:
            best_loss, best_state = valid_loss, state_on_cpu(network)
    return Fitted(best_state, {"n_inputs": X.shape[1], "n_targets": y.shape[1]}, history)


def predict(settings: MLPSettings, fitted: Fitted, X: pd.DataFrame, runtime: Runtime) -> np.ndarray:
    """Probabilities of the kept epoch; see ``moa.learners.base.Learner``."""
    device = runtime.torch_device
    network = settings.network(fitted.meta["n_inputs"], fitted.meta["n_targets"], _Undrawn)
    network.load_state_dict(fitted.tensors, assign=True)
    network.rounded = torch.bfloat16 if runtime.precision == "bf16-mixed" else None
    return logits(network.to(device), to_device(X, device)).sigmoid().cpu().numpy()


class _Undrawn(nn.Linear):
    """A linear layer whose initial weights are not drawn, because stored ones replace them at once.

    Drawing takes a tenth of the evaluation's time; torch's own ``skip_init`` imports sympy, which takes half a second.
    """

    def reset_parameters(self) -> None:
        """Leave the memory uninitialised."""


@torch.no_grad()
def logits(network: Perceptron, X: Tensor) -> Tensor:
    """Evaluate a network batch by batch, in evaluation mode; shape (rows, targets)."""
    network.eval()
    if not len(X):
        return X.new_zeros(0, 0)
    evaluate = network.folded()
    return torch.cat([evaluate(part) for part in X.split(EVALUATED_ROWS)])

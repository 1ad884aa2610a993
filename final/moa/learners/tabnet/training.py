"""The training loop of TabNet, as the pytorch-tabnet library's regressor runs it: one network, one fold.

Rows are taken in the library's order, from the same random numbers. Its raw outputs are taken as logits, as published.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from moa.learners.base import FitJob, Fitted
from moa.learners.common import GLOBAL_GENERATOR, own_generators, smooth, state_on_cpu, to_device
from moa.learners.runtime import Runtime
from moa.learners.tabnet.network import TabNet, arranged
from moa.learners.tabnet.settings import TabNetSettings

#: Added to probabilities before their logarithm is taken.
_LOG_EPS = 1e-15
_LONGEST_GRADIENT = 1.0
_PREDICTED_ROWS = 4096


def log_loss_of_sigmoid(output: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Mean binary log loss of raw outputs, by their sigmoid in 32 bits as in the original: log(p + 1e-15).

    Beyond a logit of about 16.6 the sigmoid is 1. Where that is wrong, the loss stays at 34.5 and has no gradient, as
    ``binary_cross_entropy_with_logits`` would have one.
    """
    labels, p = smooth(target, smoothing), output.sigmoid()
    return -(labels * (p + _LOG_EPS).log() + (1 - labels) * (1 - p + _LOG_EPS).log()).mean()


def fit(settings: TabNetSettings, job: FitJob, dtype: torch.dtype = torch.float32) -> Fitted:
    """Train on one fold; see ``moa.learners.base.Learner``. Double precision is for comparisons."""
    data, device = job.data, job.runtime.torch_device
    X, y = to_device(data.X, device, dtype), to_device(data.y, device, dtype)
    train, valid = (torch.from_numpy(rows).to(device) for rows in (data.train, data.valid))
    network, order = start(settings, X.shape[1], y.shape[1], job.seed, device, dtype)
    adam = torch.optim.Adam(network.parameters(), settings.lr, weight_decay=settings.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.MultiStepLR(adam, list(settings.milestones), settings.decay)
    history: list[dict[str, float]] = []
    best_loss, waited = float("inf"), 0
    best_state: dict[str, Tensor] = {}
    for epoch in range(settings.epochs):
        network.train()
        total, seen = torch.zeros((), device=device, dtype=dtype), 0
        for batch in batches(len(train), settings.batch_size, order):
            rows = train[arranged(batch, settings.virtual_batch_size).to(device)]
            output, entropy = network(X.index_select(0, rows), settings.lambda_sparse != 0)
            loss = log_loss_of_sigmoid(output, y.index_select(0, rows), settings.smoothing)
            if entropy is not None:
                loss = loss - settings.lambda_sparse * entropy
            adam.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), _LONGEST_GRADIENT)
            adam.step()
            total, seen = total + loss.detach() * len(rows), seen + len(rows)

        found, labels = logits(network, X[valid], settings.batch_size), y[valid]
        plain, stopping = (log_loss_of_sigmoid(found, labels, amount).item() for amount in (0.0, settings.smoothing))
        row = {
            "epoch": epoch,
            "train_loss": total.item() / seen,
            "valid_loss": plain,
            "valid_stopping_loss": stopping,
        }
        history.append(row)
        job.callback.on_epoch_end(epoch, settings.epochs, row)
        schedule.step()
        if stopping < best_loss:
            best_loss, best_state, waited = stopping, state_on_cpu(network), 1
        elif waited >= settings.patience:
            break
        else:
            waited += 1
    # Where no loss is a number, the last epoch is kept.
    return Fitted(best_state or state_on_cpu(network), {"n_inputs": X.shape[1], "n_targets": y.shape[1]}, history)


def start(
    settings: TabNetSettings, n_inputs: int, n_targets: int, seed: int, device: torch.device, dtype: torch.dtype
) -> tuple[TabNet, torch.Generator]:
    """The untrained network, and the generator of the order of rows, in the state that drawing the weights has left.

    Every fold of a model seed starts from the same weights, as in the original.
    """
    with GLOBAL_GENERATOR, own_generators(device):
        torch.manual_seed(seed)
        network = TabNet(n_inputs, n_targets, settings)
        order = torch.Generator()
        order.set_state(torch.get_rng_state())
    return network.to(device, dtype), order


def batches(rows: int, size: int, order: torch.Generator) -> Iterator[Tensor]:
    """Positions of the rows of each batch of an epoch, drawn as torch's data loaders draw them.

    A last batch of a single row is left out, because batch norm cannot be trained on it.
    """
    _draw(order)  # a number for the loader's workers, of which there are none
    shuffled = torch.randperm(rows, generator=torch.Generator().manual_seed(_draw(order)))
    for batch in shuffled.split(size):
        if len(batch) > 1:
            yield batch
    _draw(order)  # likewise, for the loader of the validation rows


def _draw(order: torch.Generator) -> int:
    return int(torch.empty((), dtype=torch.int64).random_(generator=order).item())


@torch.no_grad()
def logits(network: TabNet, X: Tensor, rows: int) -> Tensor:
    """Evaluate a network on ``rows`` at a time, in evaluation mode; shape (rows, targets)."""
    network.eval()
    return torch.cat([network(part)[0] for part in X.split(rows)])


def predict(settings: TabNetSettings, fitted: Fitted, X: pd.DataFrame, runtime: Runtime) -> np.ndarray:
    """Probabilities of the kept epoch; see ``moa.learners.base.Learner``."""
    device = runtime.torch_device
    with GLOBAL_GENERATOR, own_generators(device):
        network = TabNet(fitted.meta["n_inputs"], fitted.meta["n_targets"], settings)
    network.load_state_dict(fitted.tensors)
    return logits(network.to(device), to_device(X, device), _PREDICTED_ROWS).sigmoid().cpu().numpy()

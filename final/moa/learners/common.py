"""What several learners share: seeds, label smoothing, tables on a device, copies of a network's state."""

from __future__ import annotations

from contextlib import AbstractContextManager
from threading import Lock

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

EVALUATED_ROWS = 1024  # a batch whose hidden layer stays in the processor's cache
#: Held while a network draws its initial weights: units may start in several threads, and layers draw from torch's one
#: global generator, which each unit seeds.
GLOBAL_GENERATOR = Lock()


def to_device(table: pd.DataFrame, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """A table's values, rounded to float32, as a new tensor of shape (rows, columns).

    The tensor is stored row by row, because batches are rows: pandas stores columns together, from which a batch takes
    twenty times as long to gather.
    """
    return torch.tensor(np.ascontiguousarray(table.to_numpy(np.float32)), device=device, dtype=dtype)


def state_on_cpu(network: nn.Module) -> dict[str, Tensor]:
    """A contiguous copy of a network's parameters and buffers, on the CPU."""
    return {
        name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }


def own_generators(device: torch.device) -> AbstractContextManager[None]:
    """Restore torch's global generators of the CPU and of ``device`` at the end."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def unit_seed(seed: int, fold: int) -> int:
    """The seed of a unit of the 2-heads networks and the CNNs: a seed's folds differ in initial weights and order.

    The perceptrons and TabNet use the model seed itself, as in the original.
    """
    return int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])


def epoch_seed(seed: int, fold: int, epoch: int, stream: int) -> int:
    """Seed of one random stream (0 order of rows, 1 noise, 2 dropout; more for further devices) in one epoch."""
    return unit_seed(int(np.random.SeedSequence([epoch, stream]).generate_state(1)[0]), unit_seed(seed, fold))


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Batches per epoch; a last batch of a single row is left out, because batch norm cannot be trained on it."""
    full, rest = divmod(rows, batch_size)
    return max(full + (rest > 1), 1)


def smooth(y: Tensor, amount: float) -> Tensor:
    """Label smoothing: y·(1-s) + s/2."""
    return y * (1 - amount) + 0.5 * amount if amount else y


def valid_weights(rows: int, batch_size: int) -> Tensor:
    """Weights that turn the losses of validation rows into two means, float64, shape (rows, 2).

    The first column gives the mean over rows. The second gives the mean over batches of ``batch_size`` rows in file
    order, which the winners logged: there a short last batch counts as much as a full one.
    """
    batch = torch.arange(rows) // batch_size
    sizes = torch.bincount(batch).double()
    return torch.stack([torch.full((rows,), 1 / rows, dtype=torch.float64), 1 / (len(sizes) * sizes[batch])], 1)

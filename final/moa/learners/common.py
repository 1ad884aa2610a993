"""What several learners share: seeds, smoothing, moving tables to a device."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from moa.errors import UserError

EVALUATED_ROWS = 1024  # a batch whose hidden layer stays in the processor's cache


def to_device(table: pd.DataFrame, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """A table's values, rounded to float32, as a tensor of their own, shape (rows, columns).

    Row after row, since batches are rows: pandas keeps columns together, which makes a batch twenty times as slow to
    gather.
    """
    return torch.tensor(np.ascontiguousarray(table.to_numpy(np.float32)), device=device, dtype=dtype)


def unit_seed(seed: int, fold: int) -> int:
    """A seed for one (seed, fold): folds of one model seed must not share their initial weights and order."""
    return int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Batches of an epoch; a last batch of a single row is left out, since batch norm cannot be trained on it."""
    full, rest = divmod(rows, batch_size)
    return max(full + (rest > 1), 1)


def smooth(y: Tensor, amount: float) -> Tensor:
    """Pull labels towards one half: y·(1-s) + s/2."""
    return y * (1 - amount) + 0.5 * amount if amount else y


def epoch_seed(seed: int, fold: int, epoch: int, stream: int) -> int:
    """Seed of one random stream (0 order of rows, 1 noise, 2 dropout; more for further devices) in one epoch."""
    return unit_seed(int(np.random.SeedSequence([epoch, stream]).generate_state(1)[0]), unit_seed(seed, fold))


def pick_device(name: str = "auto") -> torch.device:
    """ "auto" takes the GPU where there is one.

    Raises:
        UserError: "cuda" was asked for and there is none, or it is another word.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UserError(f"--device {name}: unknown; choose auto, cpu or cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {name}: no CUDA device is visible; use --device cpu")
    return torch.device(name)

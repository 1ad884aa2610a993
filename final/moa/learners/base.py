"""The contract between the engine, which walks over (stage, seed, fold) units, and what is trained in one unit.

A learner is a frozen set of hyper-parameters that can ``fit`` one fold and ``predict`` with what came of it. It knows
nothing of files: the engine stores the tensors it returns, and hands them back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch


@dataclass(frozen=True)
class Fold:
    """What one unit is trained on.

    Attributes:
        x: inputs of every training row, float32, shape (rows, features), indexed by sig_id.
        y: 0/1 targets of the same rows, float32, shape (rows, targets), same index.
        train: positions in ``x`` of the rows to fit on, shape (n_train,).
        valid: positions of the rows to select the epoch on and to predict as OOF, shape (n_valid,).
        seed: seeds initialisation, order, dropout and noise of this unit.
        fold: number of the fold, from 0.
        device: where to train.
        scratch: a folder of this unit alone for checkpoints inside it; emptied once the unit is finished.
        initial: the finished unit of the same seed and fold to start from, where the stage names one.
        on_epoch: called after each epoch with (epoch, epochs, values of the history row).
    """

    x: pd.DataFrame
    y: pd.DataFrame
    train: np.ndarray
    valid: np.ndarray
    seed: int
    fold: int
    device: torch.device
    scratch: Path
    initial: Fitted | None = None
    on_epoch: Callable[[int, int, dict[str, float]], None] = lambda epoch, epochs, row: None


@dataclass
class Fitted:
    """What a unit leaves behind.

    Attributes:
        tensors: all that prediction needs, on the CPU, contiguous; stored as safetensors.
        meta: JSON-able facts that prediction needs besides.
        history: one mapping an epoch, at least ``epoch``, ``train_loss``, ``valid_loss``.
        variants: further validation predictions, by name, shape (n_valid, targets), kept beside the honest OOF.
    """

    tensors: dict[str, torch.Tensor]
    meta: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    variants: dict[str, np.ndarray] = field(default_factory=dict)


class Learner(Protocol):
    """Frozen hyper-parameters with the two verbs below."""

    def fit(self, fold: Fold) -> Fitted:
        """Train on ``fold.train``, select on ``fold.valid``."""
        ...

    def predict(self, fitted: Fitted, x: pd.DataFrame, device: torch.device) -> np.ndarray:
        """Probabilities, float32, shape (rows, targets)."""
        ...

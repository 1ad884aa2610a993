"""From raw genes and cells to the mean prediction of several members; ranks and networks are fitted already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import QuantileTransformer

from moa.features import GaussianRank
from moa.learners.base import Fitted
from moa.learners.perceptron.learner import MLPLearner
from moa.learners.runtime import Runtime
from tests.benchmarks import notebook


def random_member(learner: MLPLearner, n_inputs: int, n_targets: int, seed: int) -> Fitted:
    """A member with random weights and batch-norm statistics, as if it were trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = learner.network(n_inputs, n_targets, torch.nn.Linear)
        model(torch.randn(256, n_inputs))
    return Fitted(model.state_dict(), {"n_inputs": n_inputs, "n_targets": n_targets})


def old_inference(
    learner: MLPLearner,
    members: Sequence[Fitted],
    ranks: Mapping[str, QuantileTransformer],
    table: pd.DataFrame,
    runtime: Runtime,
) -> np.ndarray:
    """As the notebook does it: columns, members and batches one after another; shape (rows, targets)."""
    X = notebook.apply_ranks(ranks, table).to_numpy(np.float32)
    device, batch_size, dropout = runtime.torch_device, learner.batch_size, learner.dropout
    return np.mean([notebook.predict(member.tensors, X, device, batch_size, dropout) for member in members], axis=0)


def new_inference(
    learner: MLPLearner, members: Sequence[Fitted], ranks: GaussianRank, table: pd.DataFrame, runtime: Runtime
) -> np.ndarray:
    """As the package does it; shape (rows, targets)."""
    X = pd.DataFrame(ranks.transform(table.to_numpy()).astype(np.float32), table.index)
    return np.mean([learner.predict(member, X, runtime) for member in members], axis=0)

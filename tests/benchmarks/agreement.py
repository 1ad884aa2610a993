"""How much the results of the notebook and of the package differ on the same data and weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from moa.features import GaussianRank
from moa.learners.base import EpochCallback, FoldData
from moa.learners.perceptron.batched import fit_batched
from moa.learners.perceptron.learner import MLPLearner
from moa.learners.runtime import Runtime
from tests.benchmarks import notebook
from tests.benchmarks.inference import new_inference, old_inference, random_member
from tests.benchmarks.noise import noise_fold, noise_table
from tests.benchmarks.sizes import Sizes

SEEDS = (0, 1)
#: Trains one network per callback, with the seeds ``SEEDS``.
FitAll = Callable[[Sequence[EpochCallback]], object]


class ValidLosses(EpochCallback):
    """Keeps the validation losses.

    Attributes:
        losses: one per epoch.
    """

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_epoch_end(self, epoch: int, epochs: int, row: dict[str, float]) -> None:
        """Keep the loss."""
        self.losses.append(row["valid_loss"])


def agreement(sizes: Sizes, runtime: Runtime) -> pd.DataFrame:
    """Differences between the ways; columns: what, largest difference, scale (mean absolute value)."""
    table = noise_table(min(sizes.rows, 2_000), min(sizes.columns, 50))
    old_ranks, ranks = notebook.fit_ranks(table), GaussianRank().fit(table.to_numpy())
    learner = sizes.learner(3)
    no_dropout = learner.model_copy(update={"dropout": (0.0, 0.0, 0.0)})  # the notebook draws other dropout masks
    members = [random_member(no_dropout, table.shape[1], sizes.targets, seed) for seed in SEEDS]
    data = noise_fold(sizes, min(sizes.rows, 1_000), min(sizes.valid_rows, 300))

    def losses(fit: Callable[..., object]) -> np.ndarray:
        return _losses(partial(_one_by_one, fit, data, runtime))

    both = {
        "gaussian rank": (
            notebook.apply_ranks(old_ranks, table).to_numpy(),
            ranks.transform(table.to_numpy()),
        ),
        "inference": (
            old_inference(no_dropout, members, old_ranks, table, runtime),
            new_inference(no_dropout, members, ranks, table, runtime),
        ),
        "validation loss": (losses(partial(notebook.fit, no_dropout)), losses(no_dropout.fit)),
        "validation loss, ensemble": (losses(learner.fit), _losses(partial(_together, learner, data, runtime))),
    }
    return pd.DataFrame(
        {"what": what, "largest": np.abs(a - b).max(), "scale": np.abs(a).mean()} for what, (a, b) in both.items()
    )


def _one_by_one(
    fit: Callable[..., object], data: FoldData, runtime: Runtime, callbacks: Sequence[EpochCallback]
) -> None:
    """Train with a function that takes the arguments of ``Learner.fit``."""
    for seed, callback in zip(SEEDS, callbacks, strict=True):
        fit(data, seed=seed, fold=0, runtime=runtime, callback=callback)


def _together(learner: MLPLearner, data: FoldData, runtime: Runtime, callbacks: Sequence[EpochCallback]) -> None:
    """Train as one batched network."""
    fit_batched(learner, [data] * len(SEEDS), SEEDS, runtime, callbacks)


def _losses(fit: FitAll) -> np.ndarray:
    """Validation losses of every network and epoch, shape (networks, epochs)."""
    recorders = [ValidLosses() for _ in SEEDS]
    fit(recorders)
    return np.array([recorder.losses for recorder in recorders])

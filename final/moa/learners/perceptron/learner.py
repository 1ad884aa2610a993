"""The multilayer perceptrons as a learner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from moa.learners.base import EpochCallback, FitJob, Fitted, FoldData, JobLearner
from moa.learners.perceptron.settings import MLPSettings
from moa.learners.runtime import Runtime

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class MLPLearner(MLPSettings, JobLearner):
    """Trains and applies a perceptron; its fields are those of ``MLPSettings``.

    Predictions under ``Runtime(precision="bf16-mixed")`` round the factors of the matrix products to bfloat16: nearly
    twice the speed on processors with AVX512-BF16 or AMX. Training always uses float32.
    """

    fixed_epochs: ClassVar = True
    precisions: ClassVar = ("auto", "32-true", "bf16-mixed")

    def train(self, job: FitJob) -> Fitted:
        """Train on one fold; the loop is in ``moa.learners.perceptron.training``."""
        from moa.learners.perceptron import training

        return training.fit(self, job)

    def predict(self, fitted: Fitted, X: pd.DataFrame, runtime: Runtime) -> np.ndarray:
        """Probabilities of the kept epoch; see ``moa.learners.base.Learner``."""
        from moa.learners.perceptron import training

        return training.predict(self, fitted, X, runtime)

    # -- many units as one batched network ----------------------------------------------------------------------------

    def batch_key(self, data: FoldData) -> int:
        """Steps per epoch: units that share it share the schedule, so that they can be trained together."""
        from moa.learners.perceptron import setup

        return setup.steps(self, data)

    def unit_bytes(self, data: FoldData) -> int:
        """Memory that training one unit takes, without the tables, in bytes."""
        from moa.learners.perceptron import setup

        return setup.unit_bytes(self, data)

    def fit_batched(
        self,
        data: Sequence[FoldData],
        seeds: Sequence[int],
        folds: Sequence[int],
        runtime: Runtime,
        callbacks: Sequence[EpochCallback | None],
    ) -> list[Fitted]:
        """Train several units together; see ``moa.learners.base.BatchedLearner``."""
        from moa.learners.perceptron.batched import fit_batched

        return fit_batched(self, data, seeds, runtime, callbacks)

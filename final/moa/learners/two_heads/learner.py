"""The two-heads network as a learner; ``moa.learners.two_heads.training`` holds its phases."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from moa.learners.base import FitJob, Fitted, JobLearner
from moa.learners.runtime import PRECISIONS, Runtime
from moa.learners.two_heads.settings import TwoHeadsSettings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class TwoHeadsLearner(TwoHeadsSettings, JobLearner):
    """Trains and applies a two-heads network; its fields are those of ``TwoHeadsSettings``."""

    precisions: ClassVar = PRECISIONS

    def train(self, job: FitJob) -> Fitted:
        """Train one phase on one fold, from ``initial`` with a new head where there is one, then run phase 3."""
        from moa.learners.two_heads import training

        return training.fit(self, job)

    def predict(self, fitted: Fitted, X: pd.DataFrame, runtime: Runtime) -> np.ndarray:
        """Probabilities of the kept epoch; see ``moa.learners.base.Learner``."""
        from moa.learners.two_heads import training

        return training.predict(self, fitted, X, runtime)

"""TabNet (Arik & Pfister 2019) as a learner."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from moa.learners.base import FitJob, Fitted, JobLearner
from moa.learners.runtime import PRECISIONS, Runtime
from moa.learners.tabnet.settings import TabNetSettings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class TabNetLearner(TabNetSettings, JobLearner):
    """Trains and applies TabNet; its fields are those of ``TabNetSettings``."""

    precisions: ClassVar = PRECISIONS

    def train(self, job: FitJob) -> Fitted:
        """Train on one fold; the loop is in ``moa.learners.tabnet.training``."""
        from moa.learners.tabnet import training

        return training.fit(self, job)

    def predict(self, fitted: Fitted, X: pd.DataFrame, runtime: Runtime) -> np.ndarray:
        """Probabilities of the kept epoch; see ``moa.learners.base.Learner``."""
        from moa.learners.tabnet import training

        return training.predict(self, fitted, X, runtime)

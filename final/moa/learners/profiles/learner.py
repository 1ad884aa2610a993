"""The profile learners: regression or neighbours on treatments' profiles, or a blend of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from moa.learners.base import FitJob, Fitted, JobLearner
from moa.learners.profiles.settings import ProfileSettings
from moa.learners.runtime import Runtime

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class ProfileLearner(ProfileSettings, JobLearner):
    """Softmax regression or nearest neighbours on treatments' sphered profiles, or a blend of both, calibrated.

    A treatment is the mean of its wells. Its columns are coordinates along the controls' principal axes, which each
    shrinkage scales in its own way; then the profile has length 1. Settings, the weight of the blend and the
    calibration are chosen by log loss in inner folds that hold out compounds, within a fold's training rows alone.
    """

    fixed_epochs: ClassVar = True
    calibrated: ClassVar = True

    def train(self, job: FitJob) -> Fitted:
        """Choose and fit on one fold; see ``moa.learners.profiles.fitting``."""
        from moa.learners.profiles import fitting

        return fitting.fit(self, job)

    def predict(self, fitted: Fitted, X: pd.DataFrame, runtime: Runtime) -> np.ndarray:
        """Calibrated probabilities; see ``moa.learners.base.Learner``."""
        from moa.learners.profiles import fitting

        return fitting.predict(self, fitted, X)

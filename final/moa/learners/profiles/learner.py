"""The profile learners: which members, which settings are compared, and how the chosen ones predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from moa.learners.base import FitJob, Fitted, JobLearner
from moa.learners.runtime import Runtime

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class ProfileLearner(BaseModel, JobLearner):
    """Softmax regression or nearest neighbours on treatments' sphered profiles, or a blend of both, calibrated.

    A treatment is the mean of its wells. Its columns are coordinates along the controls' principal axes, which each
    shrinkage scales in its own way; then the profile has length 1. Settings, the weight of the blend and the
    calibration are chosen by log loss in inner folds that hold out compounds, within a fold's training rows alone.

    Attributes:
        members: what predicts; of two the evidence is blended.
        shrinkages: λ of the sphering, those that are compared.
        penalties: C of the regression.
        neighbours: numbers of neighbours; None: all treatments vote.
        temperatures: of the neighbours' votes, exp(cosine / temperature).
        weights: of the first member in the blend.
        inner_folds: parts of the compounds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    fixed_epochs: ClassVar = True
    calibrated: ClassVar = True

    members: tuple[Literal["regression", "neighbours"], ...] = Field(("regression", "neighbours"), min_length=1)
    shrinkages: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field((1.0, 0.3, 0.03), min_length=1)
    penalties: tuple[Positive, ...] = Field((3.0, 30.0, 300.0), min_length=1)
    neighbours: tuple[Annotated[int, Field(ge=1)] | None, ...] = Field((1, 5, 15, None), min_length=1)
    temperatures: tuple[Positive, ...] = Field((0.02, 0.05, 0.1, 0.2), min_length=1)
    weights: tuple[Share, ...] = Field((0.0, 0.25, 0.5, 0.75, 1.0), min_length=1)
    inner_folds: int = Field(5, ge=2)

    def train(self, job: FitJob) -> Fitted:
        """Choose and fit on one fold; see ``moa.learners.profiles.fitting``."""
        from moa.learners.profiles import fitting

        return fitting.fit(self, job)

    def predict(self, fitted: Fitted, X: pd.DataFrame, runtime: Runtime) -> np.ndarray:
        """Calibrated probabilities; see ``moa.learners.base.Learner``."""
        from moa.learners.profiles import fitting

        return fitting.predict(self, fitted, X)

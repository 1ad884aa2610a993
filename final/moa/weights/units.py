"""What one trained unit, one (stage, seed, fold), leaves: as training returns it, and as it is read from disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from moa.features.pipeline import FeaturePipeline
from moa.learners.base import Fitted


@dataclass
class UnitResult:
    """What a unit leaves.

    Attributes:
        seed, fold: its identity within the stage.
        fitted: the trained learner.
        features: the pipeline that was fitted inside the unit; None where the stage has none.
        oof: honest predictions of the validation rows, shape (n_valid, targets), indexed by sig_id.
        seconds: wall time of the unit itself; of units trained as one batched network, an equal share of their time.
        threads: threads that torch used; another number can change last digits.
        trained_on: number of treated rows that it was trained on ("rows"), and of those of each target ("positives");
            None in the competition.
    """

    seed: int
    fold: int
    fitted: Fitted
    features: FeaturePipeline | None
    oof: pd.DataFrame
    seconds: float
    threads: int
    trained_on: dict[str, Any] | None = None

    @property
    def best_loss(self) -> float:
        """Lowest validation loss of the history."""
        return min((row["valid_loss"] for row in self.fitted.history), default=float("nan"))


@dataclass
class StoredUnit:
    """A unit as read from disk, see ``UnitResult``."""

    fitted: Fitted
    features: FeaturePipeline | None

    def inputs(self, X: pd.DataFrame) -> pd.DataFrame:
        """The stage's inputs as this unit's learner takes them."""
        return self.features.transform(X) if self.features else X

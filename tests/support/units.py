"""One unit of training: what ``Learner.fit`` takes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from moa.learners.base import EpochCallback, Fitted, FoldData
from moa.learners.runtime import Runtime

CPU = Runtime()


@dataclass(frozen=True)
class Unit:
    """The data of a fold, the unit's identity, and how it is run."""

    data: FoldData
    seed: int = 0
    fold: int = 0
    runtime: Runtime = CPU

    def fit(self, learner, **options) -> Fitted:
        """Train a learner on this unit; options are ``initial``, ``callback`` and a learner's own."""
        return learner.fit(self.data, self.seed, self.fold, self.runtime, **options)

    def with_data(self, **changes) -> Unit:
        """The same unit with some of its data changed."""
        return dataclasses.replace(self, data=dataclasses.replace(self.data, **changes))

    def valid(self):
        """Inputs and targets of the validation rows."""
        return self.data.X.iloc[self.data.valid], self.data.y.iloc[self.data.valid]


class Recorder(EpochCallback):
    """Keeps what it receives."""

    def __init__(self):
        self.epochs = []

    def on_epoch_end(self, epoch, epochs, row):
        self.epochs.append((epoch, epochs, row))

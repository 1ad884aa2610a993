"""Learners that run in processes and do one thing each. They lie in a module, so that a process can import them."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from moa.learners.base import Fitted
from moa.learners.tabnet.learner import TabNetLearner


@dataclass(frozen=True)
class _InProcesses:
    folder: Path

    parallel = "processes"

    def predict(self, fitted, X, runtime):
        return np.zeros((len(X), 5), np.float32)


@dataclass(frozen=True)
class Noting(_InProcesses):
    """Notes the process that it runs in."""

    def fit(self, data, seed, fold, runtime, initial=None, callback=None):
        callback.on_epoch_end(0, 1, {"valid_loss": float(fold)})
        return Fitted({}, {"pid": os.getpid()}, [])


@dataclass(frozen=True)
class Failing(_InProcesses):
    """Fails in fold 1; the other folds take minutes, or other seconds, and leave a file at their end."""

    seconds: float = 300

    def fit(self, data, seed, fold, runtime, initial=None, callback=None):
        if fold == 1:
            raise ValueError("fold 1 cannot be trained")
        time.sleep(self.seconds)
        (self.folder / f"fold {fold} has ended").touch()
        return Fitted({}, {}, [])


@dataclass(frozen=True)
class Dying(_InProcesses):
    """Ends the process that it runs in."""

    def fit(self, data, seed, fold, runtime, initial=None, callback=None):
        assert multiprocessing.parent_process(), "not the process of the tests"
        os._exit(9)


@dataclass(frozen=True)
class Waiting(_InProcesses):
    """Leaves the number of its process in the folder, and waits for minutes."""

    def fit(self, data, seed, fold, runtime, initial=None, callback=None):
        (self.folder / str(os.getpid())).touch()
        time.sleep(300)


class TabNetInProcesses(TabNetLearner):
    """TabNet, as if its training drew from global generators."""

    parallel: ClassVar = "processes"

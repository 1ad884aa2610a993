"""Learning curves that grow while a model is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import Any

import pandas as pd

from moa.plots.charts import learning_curves
from moa.training.unit import UnitCallback
from moa.training.unit_progress import Watch
from moa.weights.units import UnitResult

#: Seconds between two drawings, of which each takes a few tenths.
_EVERY = 3.0


class LiveCurves(Watch):
    """Shows the bars of ``Watch``, and below them the curves of the units that are in training.

    Where nothing can be displayed, such as in a script, there are only the bars.
    """

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._handle: Any = None
        self._drawn, self._lock = 0.0, Lock()

    @contextmanager
    def stage(self, model: str, stage: str, total: int, done: int) -> Iterator[UnitCallback]:
        """Show the units of a stage while the block runs."""
        with super().stage(model, stage, total, done) as bars:
            yield _Both(bars, self, stage)
            self.draw()

    def note(self, stage: str, seed: int, fold: int, row: dict[str, float]) -> None:
        """Take an epoch, and draw if the last drawing is a while ago."""
        with self._lock:
            self._rows.append({"stage": stage, "seed": seed, "fold": fold, **row})
            due = monotonic() - self._drawn > _EVERY
        if due:
            self.draw()

    def draw(self) -> None:
        """Draw what has come so far, in place of the last drawing."""
        from IPython import get_ipython
        from IPython.display import display

        if not self._rows or get_ipython() is None:
            return
        with self._lock:
            figure = learning_curves(pd.DataFrame(self._rows))
            if self._handle is None:
                self._handle = display(figure, display_id=True)
            else:
                self._handle.update(figure)
            self._drawn = monotonic()


class _Both(UnitCallback):
    """Passes the progress of units on to the bars, and their epochs to the curves."""

    def __init__(self, bars: UnitCallback, curves: LiveCurves, stage: str):
        self._bars, self._curves, self._stage = bars, curves, stage

    def on_epoch_end(self, seed: int, fold: int, epoch: int, epochs: int, row: dict[str, float]) -> None:
        self._bars.on_epoch_end(seed, fold, epoch, epochs, row)
        self._curves.note(self._stage, seed, fold, row)

    def on_finished(self, result: UnitResult) -> None:
        self._bars.on_finished(result)

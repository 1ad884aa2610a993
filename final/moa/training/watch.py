"""The progress of units: a bar for each stage, or one for all models that are trained at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from moa.progress import Bar, console, progress
from moa.training.unit import UnitCallback, UnitResult


class Watched(UnitCallback):
    """Receives the progress of a stage's units."""

    def on_finished(self, result: UnitResult) -> None:
        """Called when a unit is stored."""


class Watch:
    """Shows a bar for each stage, those units that are in training by their share of epochs.

    Attributes:
        quiet: whether bars of other work are left out, because this one shows all.
    """

    quiet = False

    @contextmanager
    def stage(self, model: str, stage: str, total: int, done: int) -> Iterator[Watched]:
        """Show the units of a stage while the block runs.

        Args:
            model, stage: their names.
            total: number of units.
            done: number of those that are finished already.
        """
        with progress(f"{model} {stage}", total) as bar:
            yield _Stage(bar, done)


class _Stage(Watched):
    def __init__(self, bar: Bar, done: int):
        self.bar, self.done = bar, done
        self.running: dict[tuple[int, int], float] = {}

    def on_epoch_end(self, seed: int, fold: int, epoch: int, epochs: int, row: dict[str, float]) -> None:
        self.running[seed, fold] = (epoch + 1) / epochs
        self._update(f"seed {seed} fold {fold} valid loss {row['valid_loss']:.5f}")

    def on_finished(self, result: UnitResult) -> None:
        self.done += 1
        self.running.pop((result.seed, result.fold), None)
        self._update(f"seed {result.seed} fold {result.fold} best valid loss {result.best_loss:.5f}", log=True)

    def _update(self, note: str, log: bool = False) -> None:
        self.bar.update(self.done + sum(list(self.running.values())), note, log=log)


class Board(Watch):
    """Shows one bar for the units of all models: how many are finished, run and failed, and the last loss.

    Args:
        bar: of all units.
        done: number of those that are finished already.
    """

    quiet = True

    def __init__(self, bar: Bar, done: int):
        self._bar, self._done, self._failed = bar, done, 0
        self._running: dict[tuple[str, str, int, int], float] = {}
        self._lock = Lock()

    @contextmanager
    def stage(self, model: str, stage: str, total: int, done: int) -> Iterator[Watched]:
        """Show the units of a stage while the block runs, among those of the other models."""
        yield _OnBoard(self, model, stage)

    @property
    def failed(self) -> int:
        """Number of units that failed."""
        return self._failed

    def update(self, unit: tuple[str, str, int, int], what: str, share: float | None = None, log: bool = False) -> None:
        """Show that a unit runs, has run a share of its epochs (0 to 1), or runs no more (None)."""
        with self._lock:
            if share is None:
                self._running.pop(unit, None)
            else:
                self._running[unit] = share
            done, running, failed = self._done, len(self._running), self._failed
            shares = sum(self._running.values())
        model, stage, seed, fold = unit
        counts = f"{running} running, " + (f"{failed} failed, " if failed else "")
        self._bar.update(done + shares, f"{counts}{model} {stage} seed {seed} fold {fold} {what}", log=log)

    def count(self, finished: int = 0, failed: int = 0) -> None:
        """Count units that are finished or failed."""
        with self._lock:
            self._done, self._failed = self._done + finished, self._failed + failed


class _OnBoard(Watched):
    def __init__(self, board: Board, model: str, stage: str):
        self._board, self._name = board, (model, stage)
        self._started: set[tuple[int, int]] = set()

    def on_start(self, seed: int, fold: int) -> None:
        again = (seed, fold) in self._started
        self._started.add((seed, fold))
        self._board.update((*self._name, seed, fold), "again, its worker was lost" if again else "begins", 0.0, again)

    def on_epoch_end(self, seed: int, fold: int, epoch: int, epochs: int, row: dict[str, float]) -> None:
        what = f"epoch {epoch + 1}/{epochs} valid loss {row['valid_loss']:.5f}"
        self._board.update((*self._name, seed, fold), what, (epoch + 1) / epochs)

    def on_failure(self, seed: int, fold: int, reason: str) -> None:
        self._board.count(failed=1)
        name = f"{self._name[0]} {self._name[1]}:seed={seed}:fold={fold}"
        console.print(f"{name} failed: {reason}", style="red", highlight=False, markup=False, soft_wrap=True)
        self._board.update((*self._name, seed, fold), "failed")

    def on_finished(self, result: UnitResult) -> None:
        self._board.count(finished=1)
        unit = (*self._name, result.seed, result.fold)
        self._board.update(unit, f"best valid loss {result.best_loss:.5f}", log=True)

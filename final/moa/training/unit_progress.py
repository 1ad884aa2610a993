"""The progress of units: a bar for each stage, or one for all models that are trained at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from moa.progress import Bar, Units, console, progress
from moa.training.unit import UnitCallback
from moa.weights.units import UnitResult


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
            model: its name.
            stage: its name.
            total: number of units.
            done: number of those that are finished already.
        """
        with progress(f"{model} {stage}", total, done=done) as bar:
            yield _Stage(Units(bar, done))


class Silent(Watch):
    """Shows nothing."""

    quiet = True

    @contextmanager
    def stage(self, model: str, stage: str, total: int, done: int) -> Iterator[Watched]:
        """Run the block."""
        yield Watched()


class _Stage(Watched):
    def __init__(self, units: Units):
        self._units = units

    def on_epoch_end(self, seed: int, fold: int, epoch: int, epochs: int, row: dict[str, float]) -> None:
        self._units.epoch((seed, fold), epoch, epochs, f"seed {seed} fold {fold} valid loss {row['valid_loss']:.5f}")

    def on_finished(self, result: UnitResult) -> None:
        seed, fold = result.seed, result.fold
        self._units.finished((seed, fold), f"seed {seed} fold {fold} best valid loss {result.best_loss:.5f}")


class Board(Watch):
    """Shows one bar for the units of all models: how many are finished, run and failed, and the last loss.

    Args:
        bar: of all units.
        done: number of those that are finished already.
    """

    quiet = True

    def __init__(self, bar: Bar, done: int):
        self.units = Units(bar, done, counts=True)

    @property
    def failed(self) -> int:
        """Number of units that failed."""
        return self.units.n_failed

    @contextmanager
    def stage(self, model: str, stage: str, total: int, done: int) -> Iterator[Watched]:
        """Show the units of a stage while the block runs, among those of the other models."""
        yield _OnBoard(self, model, stage)


class _OnBoard(Watched):
    def __init__(self, board: Board, model: str, stage: str):
        self._board, self._name = board, (model, stage)
        self._started: set[tuple[int, int]] = set()

    def _unit(self, seed: int, fold: int, what: str) -> tuple[tuple[str, str, int, int], str]:
        """A unit's key, and what happens to it in words."""
        model, stage = self._name
        return (model, stage, seed, fold), f"{model} {stage} seed {seed} fold {fold} {what}"

    def on_start(self, seed: int, fold: int) -> None:
        again = (seed, fold) in self._started
        self._started.add((seed, fold))
        self._board.units.begun(*self._unit(seed, fold, "again, its worker was lost" if again else "begins"), again)

    def on_epoch_end(self, seed: int, fold: int, epoch: int, epochs: int, row: dict[str, float]) -> None:
        unit, words = self._unit(seed, fold, f"epoch {epoch + 1}/{epochs} valid loss {row['valid_loss']:.5f}")
        self._board.units.epoch(unit, epoch, epochs, words)

    def on_failure(self, seed: int, fold: int, reason: str) -> None:
        name = f"{self._name[0]} {self._name[1]}:seed={seed}:fold={fold}"
        console.print(f"{name} failed: {reason}", style="red", highlight=False, markup=False, soft_wrap=True)
        self._board.units.failed(*self._unit(seed, fold, "failed"))

    def on_finished(self, result: UnitResult) -> None:
        seed, fold = result.seed, result.fold
        self._board.units.finished(*self._unit(seed, fold, f"best valid loss {result.best_loss:.5f}"))

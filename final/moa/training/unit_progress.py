"""The progress of units: a bar for each stage, or one for all models that are trained at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from moa.progress import Bar, Units, console, progress
from moa.training.unit import UnitCallback
from moa.weights.units import UnitResult


class Watch:
    """Shows a bar for each stage, those units that are in training by their share of epochs.

    Attributes:
        quiet: whether bars of other work are left out, because this one shows all.
    """

    quiet = False

    @contextmanager
    def stage(self, model: str, stage: str, total: int, done: int) -> Iterator[UnitCallback]:
        """Show the units of a stage while the block runs: ``total`` of them, ``done`` finished already."""
        with progress(f"{model} {stage}", total, done=done) as bar:
            yield _Stage(Units(bar, done), model, stage)


class Silent(Watch):
    """Shows nothing."""

    quiet = True

    @contextmanager
    def stage(self, model: str, stage: str, total: int, done: int) -> Iterator[UnitCallback]:
        """Run the block."""
        yield UnitCallback()


class Board(Watch):
    """Shows one bar for the units of all models: how many are finished, run and failed, and the last loss.

    Args:
        bar: of all units, of which ``done`` are finished already.
    """

    quiet = True

    def __init__(self, bar: Bar, done: int):
        self.units = Units(bar, done, counts=True)

    @contextmanager
    def stage(self, model: str, stage: str, total: int, done: int) -> Iterator[UnitCallback]:
        """Show the units of a stage while the block runs, among those of the other models."""
        yield _OnBoard(self.units, model, stage)


class _Stage(UnitCallback):
    def __init__(self, units: Units, model: str, stage: str):
        self._units, self._model, self._stage = units, model, stage

    def _unit(self, seed: int, fold: int, what: str) -> tuple[tuple[str, str, int, int], str]:
        """A unit's key, and what happens to it in words."""
        return (self._model, self._stage, seed, fold), f"seed {seed} fold {fold} {what}"

    def on_epoch_end(self, seed: int, fold: int, epoch: int, epochs: int, row: dict[str, float]) -> None:
        unit, words = self._unit(seed, fold, f"valid loss {row['valid_loss']:.5f}")
        self._units.epoch(unit, epoch, epochs, words)

    def on_finished(self, result: UnitResult) -> None:
        self._units.finished(*self._unit(result.seed, result.fold, f"best valid loss {result.best_loss:.5f}"))


class _OnBoard(_Stage):
    def __init__(self, units: Units, model: str, stage: str):
        super().__init__(units, model, stage)
        self._started: set[tuple[int, int]] = set()

    def _unit(self, seed: int, fold: int, what: str) -> tuple[tuple[str, str, int, int], str]:
        unit, words = super()._unit(seed, fold, what)
        return unit, f"{self._model} {self._stage} {words}"

    def on_start(self, seed: int, fold: int) -> None:
        again = (seed, fold) in self._started
        self._started.add((seed, fold))
        self._units.begun(*self._unit(seed, fold, "again, its worker was lost" if again else "begins"), again)

    def on_epoch_end(self, seed: int, fold: int, epoch: int, epochs: int, row: dict[str, float]) -> None:
        unit, words = self._unit(seed, fold, f"epoch {epoch + 1}/{epochs} valid loss {row['valid_loss']:.5f}")
        self._units.epoch(unit, epoch, epochs, words)

    def on_failure(self, seed: int, fold: int, reason: str) -> None:
        name = f"{self._model} {self._stage}:seed={seed}:fold={fold}"
        console.print(f"{name} failed: {reason}", style="red", highlight=False, markup=False, soft_wrap=True)
        self._units.failed(*self._unit(seed, fold, "failed"))

"""Times of epochs, of one unit alone or of units that are trained at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from moa.learners.base import EpochCallback, FoldData
from moa.learners.runtime import Runtime
from moa.training.executors import LocalExecutor, engine_for, units_at_once
from moa.training.unit import StageInputs, Unit, UnitCallback, train_batch


class EpochClock(EpochCallback):
    """Notes when each epoch ends.

    Attributes:
        times: of the clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.times: list[float] = []

    def on_epoch_end(self, epoch: int, epochs: int, row: dict[str, float]) -> None:
        """Note the time."""
        self.times.append(self.clock())


class UnitClock(UnitCallback):
    """An ``EpochClock`` for each of several units.

    Args:
        units: the units.

    Attributes:
        clocks: one per unit, by seed and fold.
    """

    def __init__(self, units: Sequence[Unit]):
        self.clocks = {(unit.seed, unit.fold): EpochClock() for unit in units}

    def on_epoch_end(self, seed: int, fold: int, epoch: int, epochs: int, row: dict[str, float]) -> None:
        """Note the time."""
        self.clocks[seed, fold].on_epoch_end(epoch, epochs, row)


def epoch_seconds(
    fit: Callable[..., object],
    data: FoldData,
    runtime: Runtime,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds of each epoch, training and validation; the first, which warms up, is left out, and so is the set-up.

    Args:
        fit: takes the arguments of ``Learner.fit``.
        data: the fold.
        runtime: the device.
        seed: model seed.
        clock: gives the time, by default that of the wall.
    """
    epochs = EpochClock(clock)
    fit(data, seed=seed, fold=0, runtime=runtime, callback=epochs)
    return np.diff(epochs.times).tolist()


def members_at_once(inputs: StageInputs, unit: Unit) -> int:
    """How many units like this one are trained at the same time."""
    return 1 if engine_for(unit) == "sequential" else units_at_once(inputs, unit)


def member_epoch_seconds(inputs: StageInputs, units: Sequence[Unit]) -> float:
    """Seconds of a member's epoch where the units are trained at the same time: those of all epochs by their number.

    Time runs from the end of the first epoch of the first unit to the end of the last epoch of all, so that waiting for
    the slowest counts. First epochs are not counted, because they warm up.

    Args:
        inputs: of the stage.
        units: at most ``members_at_once``.
    """
    clock = UnitClock(units)
    if engine_for(units[0]) == "ensemble":
        # Not by the executor, which looks at free memory again and might train them as two networks.
        train_batch(inputs, units, list(clock.clocks.values()))
    else:
        list(LocalExecutor().run(inputs, units, clock))
    times = [each.times for each in clock.clocks.values()]
    counted = sum(len(each) - 1 for each in times)
    return (max(each[-1] for each in times) - min(each[0] for each in times)) / counted

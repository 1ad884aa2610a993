"""How the units of a stage are run on one machine: side by side, one after another, or as one batched network.

An executor is a small contract: ``run(inputs, units, callback)`` yields a ``UnitResult`` per unit, in any order. The
one here runs them on this machine; ``moa.training.cluster`` has the one for several machines.

On a CPU units run side by side on one core each, so that no core waits for another inside a step, and no result depends
on how many cores there are or on which other units are left to train. Learners that draw from global generators run in
processes of their own, the others in threads. On a GPU units run one after another, or, where the learner can, as one
batched network.

``MOA_ENGINE`` = ``sequential``, ``threads`` or ``ensemble`` overrides the choice: one after another with all cores,
side by side, or batched (learners that cannot be batched then run as they would without it).
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import chain, islice
from threading import Event
from typing import Protocol

import torch

from moa.environment import ENGINE, variable
from moa.errors import UserError
from moa.learners.base import BatchedLearner, EpochCallback, Learner, traits
from moa.learners.runtime import Runtime
from moa.memory import available_memory
from moa.parallel import Processes, Streams, as_finished, one_thread, pool, report
from moa.training.unit import StageInputs, Unit, UnitCallback, train_batch, train_unit
from moa.weights.units import UnitResult

ENGINES = ("sequential", "threads", "ensemble")
#: Memory of a further process before it holds any data: Python, torch, pandas and scikit-learn.
_PROCESS_BYTES = 600 * 2**20


class Machines(Streams, Protocol):
    """What spreads pieces of work that need a device."""

    def place(self, runtime: Runtime) -> Runtime:
        """The runtime of units and pieces, for this runtime of the machine that gives them out."""
        ...


class UnitExecutor(Machines, Protocol):
    """What runs units, and streams of other work.

    Attributes:
        several: whether several threads may give it units at the same time, each those of one model. Such an executor
            reports a unit that fails to the callback, goes on with the others, and raises ``UnitsFailed`` at the end.
    """

    several: bool

    def stop(self) -> None:
        """Give up what is running, from another thread; ``run`` and ``stream`` then raise ``InterruptedError``."""
        ...

    def run(
        self, inputs: StageInputs, units: Iterable[Unit], callback: UnitCallback | None = None
    ) -> Generator[UnitResult, None, None]:
        """Train units of one stage; yields a result per unit, as each is finished.

        ``units`` may be lazy: no more are drawn than run at the same time. ``callback`` receives each epoch.
        """
        ...


class LocalExecutor(Processes):
    """Runs units on this machine, and streams of other work on all of its cores.

    With ``batches`` False each unit is trained by its learner's ``fit``, also where batches of them would pay.
    """

    several = False

    def __init__(self, batches: bool = True) -> None:
        super().__init__(torch.get_num_threads())
        self.batches = batches

    def stop(self) -> None:
        """Nothing: an interruption reaches the units of this machine by itself."""

    def run(
        self, inputs: StageInputs, units: Iterable[Unit], callback: UnitCallback | None = None
    ) -> Generator[UnitResult, None, None]:
        """Train units of one stage; see ``UnitExecutor``."""
        callback = callback or UnitCallback()
        units = iter(units)
        first = next(units, None)
        if first is None:
            return
        units = chain([first], units)
        if (engine := engine_for(first, self.batches)) == "ensemble":
            yield from _batched(inputs, units, callback)
        elif engine == "sequential":
            yield from (train_unit(inputs, unit, _Forward(unit, callback)) for unit in units)
        else:
            at_once = units_at_once(inputs, first, self.batches)
            head = list(islice(units, at_once))
            # A process costs seconds to start: a unit that would be alone runs here, on one thread all the same.
            if traits(first.stage.learner).parallel == "processes" and len(head) > 1:
                yield from _in_processes(inputs, chain(head, units), len(head), callback, _family(first.stage.learner))
            else:
                yield from _in_threads(inputs, chain(head, units), len(head), callback)


def engine_for(unit: Unit, batches: bool = True) -> str:
    """How a unit is run: "sequential", "threads" (side by side, in threads or processes) or "ensemble".

    On two CPU cores, 25 perceptrons side by side were measured to take 0.95 of the time of one after another on both
    cores at 2,048 hidden units and 0.8 at 256; batched, 2.2 times as long at 2,048, where all parameters go through
    memory in every step, and as long as side by side at 256. That a GPU gains by batching is expected, not measured.

    Without ``batches`` it is not "ensemble".

    Raises:
        UserError: ``MOA_ENGINE`` has an unknown value.
    """
    wanted = variable(ENGINE)
    if wanted and wanted not in ENGINES:
        raise UserError(f"MOA_ENGINE={wanted}: choose one of: {', '.join(ENGINES)}")
    if unit.runtime.devices != 1:  # Lightning starts this program again for each further device
        return "sequential"
    on_cpu = unit.runtime.torch_device.type == "cpu"
    engine = wanted or ("threads" if on_cpu else "ensemble")
    if engine == "ensemble" and not (batches and isinstance(unit.stage.learner, BatchedLearner)):
        return "threads" if on_cpu else "sequential"
    if engine == "threads" and not on_cpu and traits(unit.stage.learner).parallel == "processes":
        return "sequential"
    return engine


def units_at_once(inputs: StageInputs, unit: Unit, batches: bool = True) -> int:
    """How many units run at the same time: what fits into free memory and, side by side, one per core; at least one."""
    learner, data = unit.stage.learner, inputs.fold(unit.seed, unit.fold)
    free, tables = 0.8 * free_memory(unit.runtime.torch_device), 4 * (inputs.X.size + inputs.y.size)
    network = learner.unit_bytes(data) if isinstance(learner, BatchedLearner) else tables
    if engine_for(unit, batches) == "ensemble":
        return max(1, int((free - tables) / network))
    if traits(learner).parallel == "processes":  # each has the stage's inputs, and tables of its own
        network += _PROCESS_BYTES + tables
    return max(1, min(torch.get_num_threads(), int(free / (network + tables))))


def free_memory(device: torch.device) -> int:
    """Bytes that can still be allocated on a device."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    return available_memory() or 0  # unknown: one unit at a time


class _Forward(EpochCallback):
    """Passes a unit's epochs on; ends the unit with its epoch once ``stop`` is set."""

    def __init__(self, unit: Unit, callback: UnitCallback, stop: Event | None = None):
        self.unit, self.callback, self.stop = unit, callback, stop

    def on_epoch_end(self, epoch: int, epochs: int, row: dict[str, float]) -> None:
        if self.stop is not None and self.stop.is_set():
            raise InterruptedError("another unit failed")
        self.callback.on_epoch_end(self.unit.seed, self.unit.fold, epoch, epochs, row)


def _in_threads(inputs: StageInputs, units: Iterable[Unit], count: int, callback: UnitCallback) -> Iterator[UnitResult]:
    """Each unit on a thread of its own. Where one fails, the others end with the epoch they are in."""
    stop = Event()
    with one_thread(), ThreadPoolExecutor(count) as threads:

        def submit(unit: Unit) -> Future[UnitResult]:
            return threads.submit(train_unit, inputs, unit, _Forward(unit, callback, stop))

        try:
            for _, result in as_finished(submit, units, count):
                yield result
        finally:
            stop.set()  # all are finished, or one failed, or the user interrupted


def _in_processes(
    inputs: StageInputs, units: Iterable[Unit], count: int, callback: UnitCallback, imports: Iterable[str]
) -> Iterator[UnitResult]:
    """Each unit in a process, which trains many; where one fails, the others end at once."""

    def on_report(epoch: tuple[int, int, int, int, dict[str, float]]) -> None:
        callback.on_epoch_end(*epoch)

    try:
        with pool(partial(_given, inputs), _train_there, count, on_report, imports) as submit:
            for _, result in as_finished(submit, units, count):
                yield result
    except BrokenProcessPool:
        raise UserError(
            "a training process ended unexpectedly (killed, or out of memory); finished units are kept, run the "
            'same command to continue. A script of your own must call training under `if __name__ == "__main__":`'
        ) from None


def _family(learner: Learner) -> list[str]:
    """The modules beside that of a learner of this package: what its training imports, once it is asked to train."""
    package = type(learner).__module__.rpartition(".")[0]
    if package.partition(".")[0] != __name__.partition(".")[0]:  # what a stranger's modules do on import is not known
        return []
    return [f"{package}.{found.name}" for found in pkgutil.iter_modules(sys.modules[package].__path__)]


def _given(inputs: StageInputs) -> StageInputs:
    return inputs


def _train_there(inputs: StageInputs, unit: Unit) -> UnitResult:
    """Train a unit in a process of a pool, and report its epochs."""
    return train_unit(inputs, unit, _Forward(unit, _Reported()))


class _Reported(UnitCallback):
    def on_epoch_end(self, seed: int, fold: int, epoch: int, epochs: int, row: dict[str, float]) -> None:
        report((seed, fold, epoch, epochs, row))


def _batched(inputs: StageInputs, units: Iterable[Unit], callback: UnitCallback) -> Iterator[UnitResult]:
    """Units of equal batch keys as one network, as many as fit into memory."""
    for group in batches(inputs, units):
        callbacks = [_Forward(unit, callback) for unit in group]
        if len(group) == 1:
            yield train_unit(inputs, group[0], callbacks[0])
        else:
            yield from train_batch(inputs, group, callbacks)


def batches(inputs: StageInputs, units: Iterable[Unit], most: int | None = None) -> Iterator[Sequence[Unit]]:
    """Group units that can be trained together; no more are drawn than the groups in hand need.

    A group has ``most`` units, or as many as fit into the memory of this machine's device.
    """
    waiting: dict[object, list[Unit]] = {}
    for unit in units:
        learner = unit.stage.learner
        assert isinstance(learner, BatchedLearner)
        key = learner.batch_key(inputs.fold(unit.seed, unit.fold))
        group = waiting.setdefault(key, [])
        group.append(unit)
        if len(group) >= (most or units_at_once(inputs, unit)):
            yield waiting.pop(key)
    yield from waiting.values()

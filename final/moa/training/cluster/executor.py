"""Units and streams of other work as tasks of a Dask scheduler.

A unit is one task: the stage's inputs in, fitted tensors, OOF predictions and seconds out. On a CPU it runs on one
pinned thread, as on one machine without a cluster, so that its result is the same to the last bit on the same kind of
processor. On GPUs units of a learner that can be batched go out in groups. Dask gives a task whose worker is lost to
another one; what it needs is the result of a task too, and so is made anew where it was lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import Any, TypeVar
from uuid import uuid4

from distributed import Client, Future, as_completed
from distributed.scheduler import KilledWorker

from moa.errors import UserError
from moa.features.pipeline import FeaturePipeline
from moa.learners.base import BatchedLearner, traits
from moa.learners.runtime import Runtime
from moa.training.cluster import tasks
from moa.training.cluster.checkpoints import Checkpoints
from moa.training.cluster.tasks import Again, Task
from moa.training.executors import batches
from moa.training.unit import StageInputs, Unit, UnitCallback, UnitsFailed
from moa.weights.units import UnitResult

State = TypeVar("State")
Item = TypeVar("Item")
Result = TypeVar("Result")
Tag = TypeVar("Tag")
#: Tries of a task that ends with an error which may have been chance, such as a full disk.
_RETRIES = 1
#: Workers that a unit with a checkpoint may lose.
_TRIES = 4
#: The resource that GPU workers must declare.
GPU = "GPU"


class DaskExecutor:
    """Runs units and streams on the workers of the scheduler that ``client`` is connected to.

    Args:
        device: "cpu" or "cuda", of the units.
        gpu_bytes: free memory of the smallest GPU.
        checkpoint_seconds: how often the checkpoints of units that write some are copied to the driver.
    """

    several = True

    def __init__(self, client: Client, device: str = "cpu", gpu_bytes: int = 0, checkpoint_seconds: float = 300):
        self.client, self.device = client, device
        self._gpu_bytes, self._checkpoint_seconds = gpu_bytes, checkpoint_seconds
        self._resources = {GPU: 1} if device == "cuda" else None
        self._runs: dict[str, UnitCallback] = {}
        self._topic = f"moa-{uuid4().hex}"
        self._stopped = threading.Event()
        self._futures: set[Future] = set()
        self._lock = threading.Lock()
        client.subscribe_topic(self._topic, self._report)

    def place(self, runtime: Runtime) -> Runtime:
        """The runtime of units on the workers, whose folders are not those of this machine.

        Raises:
            UserError: it asks for what a cluster does not offer.
        """
        if runtime.devices != 1:
            raise UserError("--on with --devices: a unit runs on one device; add workers instead")
        if runtime.tensorboard:
            raise UserError("--on with --tensorboard: the logs would be left on the workers; leave it out")
        return runtime.replace(device=self.device)

    def stop(self) -> None:
        """Cancel what is running; workers end their units with the epoch."""
        self._stopped.set()
        with self._lock:
            self.client.cancel(list(self._futures), force=True)

    # -- units --------------------------------------------------------------------------------------------------------

    def run(
        self, inputs: StageInputs, units: Iterable[Unit], callback: UnitCallback | None = None
    ) -> Generator[UnitResult, None, None]:
        """Train units of one stage; see ``moa.training.executors.UnitExecutor``.

        Raises:
            UnitsFailed: at the end, if some failed.
        """
        units = iter(units)
        first = next(units, None)
        if first is None:
            return
        run, callback = uuid4().hex, callback or UnitCallback()
        groups = self._groups(inputs, first, chain([first], units))
        held = self._hold(inputs)
        self._runs[run] = callback
        copies = Checkpoints(self.client, self._checkpoint_seconds)
        failed = 0

        def submit(group: Sequence[Unit], tries: int = 1) -> tuple[Future, Task]:
            task = self._task(group, run, tries)
            copies.watch(task)
            # A unit with a checkpoint is given out again here, and not by Dask, so that it gets the checkpoint.
            retries = 0 if task.keeps else _RETRIES
            return self._submit(tasks.train, held, task, key=task.key, retries=retries), task

        running: dict[Future, Task] = {}
        try:
            for future, task in self._as_completed(submit, groups, running):
                copies.forget(task)
                found = _outcome(future)
                if isinstance(found, Again):
                    if task.tries < _TRIES:
                        again, task = submit(task.units, task.tries + 1)
                        running[again] = task
                        continue
                    found = UserError(f"{_TRIES} workers that had it were lost")
                if isinstance(found, BaseException):
                    failed += len(task.units)
                    for unit in task.units:
                        callback.on_failure(unit.seed, unit.fold, reason(found))
                else:
                    yield from found
        finally:
            copies.close()
            self._forget([*running, held])
            self._runs.pop(run, None)
        if failed:
            raise UnitsFailed(f"{first.stage.name}: {failed} units failed")

    def _groups(self, inputs: StageInputs, first: Unit, units: Iterable[Unit]) -> Iterator[Sequence[Unit]]:
        """Units that are trained as one task: on GPUs as many as fit, if all GPUs get some."""
        learner = first.stage.learner
        if self.device == "cpu" or not isinstance(learner, BatchedLearner):
            yield from ([unit] for unit in units)
            return
        units = list(units)
        tables = 4 * (inputs.X.size + inputs.y.size)
        unit_bytes = learner.unit_bytes(inputs.fold(first.seed, first.fold))
        fit = max(1, int((0.8 * self._gpu_bytes - tables) / unit_bytes))
        yield from batches(inputs, units, min(fit, -(-len(units) // self._workers())))

    def _task(self, group: Sequence[Unit], run: str, tries: int) -> Task:
        unit = group[0]
        # The fitted features are the inputs already, and large.
        stage = replace(unit.stage, features=partial(FeaturePipeline, []))
        keeps, scratch = traits(unit.stage.learner).checkpoints, unit.runtime.scratch
        files = scratch.glob("*.ckpt") if keeps and scratch else ()
        return Task(
            tuple(replace(each, stage=stage) for each in group),
            run,
            f"{unit.stage.name}-seed-{unit.seed}-fold-{unit.fold}-{run}-{tries}",
            tries,
            self._topic,
            tasks.package(),
            keeps,
            {path.name: path.read_bytes() for path in files},
        )

    def _report(self, event: tuple[float, dict[str, Any]]) -> None:
        """Passes a worker's report on to the callback of its run; called in the client's thread."""
        message = event[1]
        callback, (seed, fold) = self._runs.get(message["run"]), message["unit"]
        if callback is None:
            return
        if message["epoch"] is None:
            callback.on_start(seed, fold)
        else:
            epoch, epochs, row = message["epoch"]
            callback.on_epoch_end(seed, fold, epoch, epochs, dict(row))

    # -- streams ------------------------------------------------------------------------------------------------------

    def stream(
        self, prepare: Callable[[], State], work: Callable[[State, Item], Result], items: Iterable[Item]
    ) -> Generator[tuple[int, Result], None, None]:
        """Compute pieces of one work; see ``moa.parallel.Streams``.

        Raises:
            UserError: a piece failed.
        """
        token = uuid4().hex
        held = self._hold(prepare)

        def submit(numbered: tuple[int, Item]) -> tuple[Future, int]:
            number, item = numbered
            arguments = (token, held, work, item, tasks.package())
            return self._submit(tasks.piece, *arguments, key=f"piece-{number}-{token}"), number

        running: dict[Future, int] = {}
        try:
            for future, number in self._as_completed(submit, enumerate(items), running):
                found = _outcome(future)
                if isinstance(found, (UserError, KilledWorker)):
                    raise UserError(reason(found)) from None
                if isinstance(found, BaseException):
                    raise found
                yield number, found
        finally:
            self._forget([*running, held])

    def everywhere(self, function: Callable[..., Result], *arguments: Any) -> list[Result]:
        """What a function returns on each worker."""
        return list(self.client.run(function, *arguments).values())

    # -- tasks --------------------------------------------------------------------------------------------------------

    def _hold(self, value: Any) -> Future:
        """A value as the result of a task, which outlives the worker that holds it; any worker may hold it."""
        return self._submit(tasks.hold, value, key=f"hold-{uuid4().hex}", anywhere=True)

    def _submit(
        self, function: Callable, *arguments: Any, key: str, retries: int = _RETRIES, anywhere: bool = False
    ) -> Future:
        if self._stopped.is_set():
            raise InterruptedError("stopped")
        resources = None if anywhere else self._resources
        future = self.client.submit(function, *arguments, key=key, pure=False, retries=retries, resources=resources)
        with self._lock:
            self._futures.add(future)
        return future

    def _as_completed(
        self, submit: Callable[[Item], tuple[Future, Tag]], items: Iterable[Item], running: dict[Future, Tag]
    ) -> Iterator[tuple[Future, Tag]]:
        """Keep some tasks for each worker in flight, and yield each with what ``submit`` returned, as it ends.

        ``items`` may be lazy. ``running`` is what is in flight; the caller may add to it.
        """
        items, ended = iter(items), as_completed(loop=self.client.loop)
        known: set[Future] = set()
        while True:
            running.update(submit(item) for item in islice(items, max(0, 2 * self._workers() - len(running))))
            for future in running.keys() - known:
                known.add(future)
                ended.add(future)
            if not running:
                return
            future = next(ended)
            known.discard(future)
            if self._stopped.is_set():
                raise InterruptedError("stopped")
            yield future, running.pop(future)
            self._forget([future])

    def _forget(self, futures: Iterable[Future]) -> None:
        futures = list(futures)
        unfinished = [future for future in futures if not future.done()]
        if unfinished and self.client.status == "running":
            self.client.cancel(unfinished, force=True)
        with self._lock:
            self._futures.difference_update(futures)

    def _workers(self) -> int:
        """Number of workers now, at least one: they may come and go."""
        return max(1, len(self.client.nthreads()))


def _outcome(future: Future) -> Any:
    """What a task returned, or the error that it ended with.

    Raises:
        UserError: it was cancelled.
    """
    if future.status == "cancelled":
        raise UserError("the scheduler ended, or gave up the tasks; finished work is kept, run the command again")
    return future.result() if future.status == "finished" else future.exception()


def reason(error: BaseException) -> str:
    """Why a task failed, in one line."""
    if isinstance(error, KilledWorker):
        return (
            f"{error.allowed_failures + 1} workers that had it were lost (killed, or out of memory); Dask gives up "
            "then, see its setting distributed.scheduler.allowed-failures"
        )
    words = str(error).strip().splitlines()
    first = words[0] if words else ""
    return first if isinstance(error, UserError) else f"{type(error).__name__}: {first}"

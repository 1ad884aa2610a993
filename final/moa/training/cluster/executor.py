"""Units and streams of other work as tasks of a Dask scheduler.

A unit is one task: the stage's inputs in, fitted tensors, OOF predictions and seconds out. On a CPU it runs on one
pinned thread, as on one machine without a cluster, so that its result is the same to the last bit on the same kind of
processor. On GPUs units of a learner that can be batched go out in groups. Dask gives a task whose worker is lost to
another one; what it needs is the result of a task too, and so is made anew where it was lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any, TypeVar
from uuid import uuid4

from distributed import Client, Future, as_completed
from distributed.scheduler import KilledWorker

from moa.errors import UserError
from moa.files import replacing
from moa.learners.runtime import Runtime
from moa.training.cluster import tasks
from moa.training.cluster.tasks import Again, Task
from moa.training.executors import batches
from moa.training.unit import StageInputs, Unit, UnitCallback, UnitsFailed
from moa.weights.units import UnitResult

State, Item, Result = TypeVar("State"), TypeVar("Item"), TypeVar("Result")
#: Tries of a task that ends with an error which may have been chance, such as a full disk.
_RETRIES = 1
#: Workers that a unit with a checkpoint may lose.
_TRIES = 4
#: The resource that GPU workers must declare.
GPU = "GPU"


class DaskExecutor:
    """Runs units and streams on the workers of a scheduler.

    Args:
        client: connected to the scheduler.
        device: "cpu" or "cuda", of the units.
        gpu_bytes: free memory of the smallest GPU.
        checkpoint_seconds: how often the checkpoints of units that write some are copied to the driver.
    """

    several = True

    def __init__(self, client: Client, device: str = "cpu", gpu_bytes: int = 0, checkpoint_seconds: float = 300):
        self.client, self.device = client, device
        self._gpu_bytes, self._checkpoint_seconds = gpu_bytes, checkpoint_seconds
        self._resources = {"resources": {GPU: 1}} if device == "cuda" else {}
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
    ) -> Iterator[UnitResult]:
        """Train units of one stage; see ``moa.training.executors.UnitExecutor``.

        Raises:
            UnitsFailed: at the end, if some failed.
        """
        units = iter(units)
        first = next(units, None)
        if first is None:
            return
        run, callback = uuid4().hex, callback or UnitCallback()
        groups = self._groups(inputs, chain([first], units))
        held = self._hold(inputs)
        self._runs[run] = callback
        copies = _Checkpoints(self)
        failed = 0

        def submit(group: Sequence[Unit], tries: int = 1) -> tuple[Future, Task]:
            task = self._task(group, run, tries)
            copies.watch(task)
            # A unit with a checkpoint is given out again here, and not by Dask, so that it gets the checkpoint.
            retries = 0 if task.keeps else _RETRIES
            return self._submit(tasks.train, held, task, key=task.key, retries=retries, **self._resources), task

        running: dict[Future, Task] = {}
        try:
            for future, task in self._as_completed(submit, groups, running):
                copies.forget(task)
                found = self._result(future)
                if isinstance(found, Again) and task.tries < _TRIES:
                    found = submit(task.units, task.tries + 1)
                    running[found[0]] = found[1]
                elif isinstance(found, list):
                    yield from found
                else:
                    found = found if isinstance(found, str) else f"{_TRIES} workers that had it were lost"
                    failed += len(task.units)
                    for unit in task.units:
                        callback.on_failure(unit.seed, unit.fold, found)
        finally:
            copies.close()
            self._forget([*running, held])
            self._runs.pop(run, None)
        if failed:
            raise UnitsFailed(f"{first.stage.name}: {failed} units failed")

    def _groups(self, inputs: StageInputs, units: Iterable[Unit]) -> Iterator[Sequence[Unit]]:
        """Units that are trained as one task: on GPUs as many as fit, if all GPUs get some."""
        if self.device == "cpu":
            yield from ([unit] for unit in units)
            return
        units = list(units)
        if not hasattr(units[0].stage.learner, "fit_batched"):
            yield from ([unit] for unit in units)
            return
        learner, data = units[0].stage.learner, inputs.fold(units[0].seed, units[0].fold)
        tables = 4 * (inputs.X.size + inputs.y.size)
        fit = max(1, int((0.8 * self._gpu_bytes - tables) / learner.unit_bytes(data)))
        yield from batches(inputs, units, min(fit, -(-len(units) // self._workers())))

    def _task(self, group: Sequence[Unit], run: str, tries: int) -> Task:
        unit = group[0]
        stage = replace(unit.stage, features=None)  # they are the inputs already, and large
        keeps, scratch = getattr(unit.stage.learner, "checkpoints", False), unit.runtime.scratch
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
        callback = self._runs.get(message["run"])
        if callback is None:
            return
        if message["epoch"] is None:
            callback.on_start(*message["unit"])
        else:
            epoch, epochs, row = message["epoch"]
            callback.on_epoch_end(*message["unit"], epoch, epochs, dict(row))

    # -- streams ------------------------------------------------------------------------------------------------------

    def stream(
        self, prepare: Callable[[], State], work: Callable[[State, Item], Result], items: Iterable[Item]
    ) -> Iterator[tuple[int, Result]]:
        """Compute pieces of one work; see ``moa.parallel.Streams``.

        Raises:
            UserError: a piece failed.
        """
        token = uuid4().hex
        held = self._hold(prepare)

        def submit(numbered: tuple[int, Item]) -> tuple[Future, int]:
            number, item = numbered
            arguments = (token, held, work, item, tasks.package())
            return self._submit(tasks.piece, *arguments, key=f"piece-{number}-{token}", **self._resources), number

        running: dict[Future, int] = {}
        try:
            for future, number in self._as_completed(submit, enumerate(items), running):
                found = self._result(future, raising=True)
                yield number, found
        finally:
            self._forget([*running, held])

    def everywhere(self, function: Callable[..., Result], *arguments: Any) -> list[Result]:
        """What a function returns on each worker."""
        return list(self.client.run(function, *arguments).values())

    # -- tasks --------------------------------------------------------------------------------------------------------

    def _hold(self, value: Any) -> Future:
        """A value as the result of a task, which outlives the worker that holds it."""
        return self._submit(tasks.hold, value, key=f"hold-{uuid4().hex}")

    def _submit(self, function: Callable, *arguments: Any, key: str, retries: int = _RETRIES, **options: Any) -> Future:
        if self._stopped.is_set():
            raise InterruptedError("stopped")
        future = self.client.submit(function, *arguments, key=key, pure=False, retries=retries, **options)
        with self._lock:
            self._futures.add(future)
        return future

    def _as_completed(
        self, submit: Callable[[Any], tuple[Future, Any]], items: Iterable[Any], running: dict[Future, Any]
    ) -> Iterator[tuple[Future, Any]]:
        """Keep some tasks for each worker in flight, and yield each with what ``submit`` returned, as it ends.

        Args:
            submit: submits an item.
            items: may be lazy.
            running: what is in flight; the caller may add to it.
        """
        items, ended = iter(items), as_completed(loop=self.client.loop)
        known: set[Future] = set()
        while True:
            for item in islice(items, max(0, 2 * self._workers() - len(running))):
                future, what = submit(item)
                running[future] = what
            for future in running.keys() - known:
                known.add(future)
                ended.add(future)
            if not running:
                return
            future = next(ended)
            known.discard(future)
            if self._stopped.is_set():
                raise InterruptedError("stopped")
            what = running.pop(future)
            yield future, what
            self._forget([future])

    def _result(self, future: Future, raising: bool = False) -> Any:
        """A task's result; of one that failed, the reason in one line."""
        error = None
        if future.status == "finished":
            found = future.result()
            error = found if isinstance(found, UserError) else None
        elif future.status == "cancelled":
            raise UserError("the scheduler ended, or gave up the tasks; finished work is kept, run the command again")
        else:
            error = future.exception()
            if raising and not isinstance(error, KilledWorker):
                raise error
        if error is None:
            return found
        if raising:
            raise UserError(reason(error)) from None
        return reason(error)

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


class _Checkpoints:
    """Copies checkpoints of units that are being trained from the workers to the driver, now and then."""

    def __init__(self, executor: DaskExecutor):
        self._executor = executor
        self._watched: dict[str, Task] = {}
        self._known: dict[str, dict[str, int]] = {}
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, task: Task) -> None:
        """Copy the checkpoints of a task from now on."""
        if not task.keeps or task.units[0].runtime.scratch is None:
            return
        with self._lock:
            self._watched[task.key] = task
        if self._thread is None:
            self._thread = threading.Thread(target=self._copy, daemon=True)
            self._thread.start()

    def forget(self, task: Task) -> None:
        """Copy no more of a task: its scratch folder is about to be removed."""
        with self._lock:
            self._watched.pop(task.key, None)
            self._known.pop(task.key, None)

    def close(self) -> None:
        """Copy nothing more."""
        self._closed.set()

    def _copy(self) -> None:
        client = self._executor.client
        while not self._closed.wait(self._executor._checkpoint_seconds):
            for worker in list(client.nthreads()):  # one after another: a checkpoint may be large
                try:
                    found = client.run(tasks.checkpoints, self._known, workers=[worker], on_error="ignore")
                except (OSError, TimeoutError, ValueError):  # the worker is gone
                    continue
                except AttributeError:  # the client was closed meanwhile, and has no scheduler any more
                    if client.status == "running":
                        raise
                    return
                for key, files in (found.get(worker) or {}).items():
                    self._write(key, files)

    def _write(self, key: str, files: dict[str, tuple[int, bytes]]) -> None:
        with self._lock:
            task = self._watched.get(key)
            if task is None:
                return
            for name, (when, content) in files.items():
                with replacing(task.units[0].runtime.scratch / name) as temporary:
                    temporary.write_bytes(content)
                self._known.setdefault(key, {})[name] = when


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

"""Units in processes of their own, for learners that draw random numbers from global generators.

Each process runs on one thread, holds the stage's inputs once, and reports its epochs through a pipe. It ends at once
when the parent asks for it, or is gone.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from moa.errors import UserError
from moa.learners.base import EpochCallback
from moa.parallel import exit_when_closed, uninterrupted

if TYPE_CHECKING:  # a process that is started must read what it is sent before it imports torch, see _start
    from moa.training.unit import StageInputs, Unit, UnitCallback
    from moa.weights.units import UnitResult

_POLL_SECONDS = 0.2


class UnitProcesses:
    """A pool of processes that train units; a context manager.

    Args:
        inputs: of the stage; sent to each process once.
        count: number of processes.
        callback: receives each epoch, in a thread of this process.
    """

    def __init__(self, inputs: StageInputs, count: int, callback: UnitCallback):
        context = multiprocessing.get_context("spawn")  # a fork of a process that has run torch's threads can hang
        self._reader, writer = context.Pipe(duplex=False)
        # Processes end when the other end of this pipe is closed, also because the parent was killed. An Event would
        # not do: setting it waits for every process that waits for it, and so forever for one that was killed.
        stop, self._running = context.Pipe(duplex=False)
        self._closed, self._callback = Event(), callback
        self._pool = ProcessPoolExecutor(
            count,
            mp_context=context,
            initializer=_start,
            initargs=(pickle.dumps(inputs), writer, context.Lock(), stop),
        )
        self._listener = Thread(target=self._listen, daemon=True)

    def __enter__(self) -> UnitProcesses:
        self._listener.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is not None:
            self._running.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._closed.set()
        self._listener.join()
        if kind is not None and issubclass(kind, BrokenProcessPool):
            raise UserError(
                "a training process ended unexpectedly (killed, or out of memory); finished units are kept, run the "
                'same command to continue. A script of your own must call training under `if __name__ == "__main__":`'
            ) from None

    def submit(self, unit: Unit) -> Future[UnitResult]:
        """Train a unit in one of the processes."""
        with uninterrupted():  # the first call starts the processes
            return self._pool.submit(_train, unit)

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                if self._reader.poll(_POLL_SECONDS):
                    self._callback.on_epoch_end(*self._reader.recv())
            except EOFError:
                return


# -- inside a process -------------------------------------------------------------------------------------------------

_inputs: StageInputs
_report: _Report


class _Report:
    """Sends epochs to the parent, one message at a time."""

    def __init__(self, writer: Connection, lock: Any):
        self.writer, self.lock = writer, lock

    def send(self, message: tuple) -> None:
        if self.lock.acquire(timeout=1):  # a killed neighbour may hold it for ever; progress is not worth waiting for
            try:
                self.writer.send(message)
            finally:
                self.lock.release()


class _Forward(EpochCallback):
    def __init__(self, unit: Unit):
        self.unit = unit

    def on_epoch_end(self, epoch: int, epochs: int, row: dict[str, float]) -> None:
        _report.send((self.unit.seed, self.unit.fold, epoch, epochs, row))


def _start(inputs: bytes, writer: Connection, lock: Any, stop: Connection) -> None:
    """Prepare a process: one thread, the stage's inputs, and an end when the parent ends.

    The inputs come as bytes, because to unpickle them imports torch and pandas, for seconds in which the parent would
    have to wait for this process to read on.
    """
    global _inputs, _report
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent receives it too, and tells when to stop
    exit_when_closed(stop)
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
    _inputs, _report = pickle.loads(inputs), _Report(writer, lock)


def _train(unit: Unit) -> UnitResult:
    from moa.training.unit import train_unit

    return train_unit(_inputs, unit.stage, unit.seed, unit.fold, unit.initial, unit.runtime, _Forward(unit))

"""Many pieces of one work, spread over processes: a bounded number in flight, and results as they come.

What spreads it is a small contract, ``Streams``: in this process, over the cores of this machine, or over a cluster
(``moa.training.cluster``). Every piece is computed on one thread, so that no result depends on where it is computed.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, suppress
from itertools import chain, islice
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.synchronize import Lock
from threading import Thread, current_thread, main_thread
from time import monotonic
from typing import Any, Protocol, TypeVar

from moa.errors import UserError

State = TypeVar("State")
Item = TypeVar("Item")
Result = TypeVar("Result")
Unchanged = TypeVar("Unchanged")
#: How often a piece may be on a process that dies.
_TRIES = 3
#: What nearly every process imports; torch imports the second with the first optimizer.
_LIBRARIES = ("torch", "torch._dynamo")


class Streams(Protocol):
    """What spreads pieces of work."""

    def stream(
        self, prepare: Callable[[], State], work: Callable[[State, Item], Result], items: Iterable[Item]
    ) -> Generator[tuple[int, Result], None, None]:
        """Compute ``work(prepare(), item)`` for every item.

        Args:
            prepare: makes what all pieces need; called once in each process. Can be pickled.
            work: computes a piece. Can be pickled, as can its results.
            items: the pieces; may be lazy, no more are drawn than are in flight.

        Yields:
            number of the item, from 0, and its result, as each is finished.
        """
        ...

    def everywhere(self, function: Callable[..., Result], *arguments: Any) -> list[Result]:
        """What a function returns on each machine that computes pieces now."""
        ...


class Here:
    """Computes one piece after another in this process."""

    def stream(
        self, prepare: Callable[[], State], work: Callable[[State, Item], Result], items: Iterable[Item]
    ) -> Generator[tuple[int, Result], None, None]:
        """See ``Streams``."""
        state = prepare()
        for number, item in enumerate(items):
            with one_thread():
                result = work(state, item)
            yield number, result

    def everywhere(self, function: Callable[..., Result], *arguments: Any) -> list[Result]:
        """What a function returns on this machine."""
        return [function(*arguments)]

    def place(self, runtime: Unchanged) -> Unchanged:
        """The runtime of pieces: on this machine the given one."""
        return runtime


class Processes(Here):
    """Spreads pieces over processes of this machine; one that dies is replaced.

    Args:
        count: number of processes.
        patience: seconds of work that this process does itself first: processes take some to start.
    """

    def __init__(self, count: int, patience: float = 4):
        self.count, self.patience = count, patience

    def stream(
        self, prepare: Callable[[], State], work: Callable[[State, Item], Result], items: Iterable[Item]
    ) -> Generator[tuple[int, Result], None, None]:
        """See ``Streams``.

        Raises:
            UserError: a piece was on three processes that died.
        """
        numbered = iter(enumerate(items))
        started = monotonic()
        with closing(super().stream(prepare, work, (item for _, item in numbered))) as here:
            for found in here:
                yield found
                if self.count > 1 and monotonic() - started > self.patience:
                    break
        head = list(islice(numbered, 1))
        tries: Counter[int] = Counter()
        while head:
            running: dict[Future[Result], tuple[int, Item]] = {}
            try:
                with pool(prepare, work, self.count) as submit:
                    each = as_finished(lambda piece: submit(piece[1]), chain(head, numbered), 2 * self.count, running)
                    for (number, _), result in each:
                        yield number, result
                return
            except BrokenProcessPool:
                head = sorted(running.values(), key=lambda each: each[0])
                tries.update(number for number, _ in head)
                if max(tries.values()) >= _TRIES:
                    raise UserError(
                        f"{_TRIES} processes ended unexpectedly one after another (killed, or out of memory); "
                        "what is finished is kept, run the same command to continue"
                    ) from None


@contextmanager
def pool(
    prepare: Callable[[], State],
    work: Callable[[State, Item], Result],
    count: int,
    on_report: Callable[[Any], None] | None = None,
    imports: Iterable[str] = (),
) -> Iterator[Callable[[Item], Future[Result]]]:
    """Processes that compute pieces of work; gives the function that submits one.

    They end with the block; at once, in the middle of their pieces, where it raises an error or this process is killed.
    ``prepare`` and ``work`` are as for ``Streams.stream``; ``on_report`` receives what pieces ``report``, in a thread
    of this process. ``imports`` names modules that ``work`` imports, see ``_context``.
    """
    context = _context(imports)
    # Processes end when the other end of this pipe is closed, also because this process was killed. An Event would not
    # do: setting it waits for every process that waits for it, and so without end for one that was killed.
    stop, running = context.Pipe(duplex=False)
    reports, reporting = context.Pipe(duplex=False)
    # Bytes, because to unpickle them imports torch and pandas, for seconds in which this process would have to wait for
    # the new one to read on.
    job = pickle.dumps((prepare, work))
    given = (job, dict(os.environ), stop, reporting, context.Lock())
    processes = ProcessPoolExecutor(count, context, _begin, given)

    def submit(item: Item) -> Future[Result]:
        try:
            with uninterrupted():  # the first call starts the processes
                return processes.submit(_piece, item)
        # The last two: the process that is forked was killed. Reported like one that breaks while a piece runs.
        except (BrokenProcessPool, EOFError, ConnectionError) as broken:
            failed: Future[Result] = Future()
            failed.set_exception(BrokenProcessPool(str(broken)))
            return failed

    def listen() -> None:
        with suppress(EOFError):  # this process was stopped before the block below began, whose end closes it in order
            for message in iter(reports.recv, None):
                if on_report is not None:
                    on_report(message)

    listener = Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield submit
    except BaseException:
        running.close()
        raise
    finally:
        processes.shutdown(wait=True, cancel_futures=True)
        running.close()
        reporting.send(None)
        listener.join()


def _context(imports: Iterable[str]) -> BaseContext:
    """How processes are started: on Linux they are forked from one that has imported what they need.

    That one is started by the first pool of this process, and serves later pools too. It imports what this process has
    of the package then, ``imports``, and torch, which takes seconds; what cannot be imported there is imported later by
    the processes that need it. This process itself is not forked: a fork of one that has run torch's threads can hang.
    On other systems each process is a new interpreter; macOS's own libraries do not survive a fork.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver, resource_tracker

    package = __name__.partition(".")[0]
    loaded = [name for name in sys.modules if name.partition(".")[0] == package]
    forkserver.set_forkserver_preload([*_LIBRARIES, *loaded, *imports])
    # Ctrl-C reaches it too, and would end it with a traceback. It inherits what is blocked here; the start of the
    # tracker, which a fork server needs, would unblock it.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return multiprocessing.get_context("forkserver")


def as_finished(
    submit: Callable[[Item], Future[Result]],
    items: Iterable[Item],
    count: int,
    running: dict[Future[Result], Item] | None = None,
) -> Generator[tuple[Item, Result], None, None]:
    """Keep ``count`` items in flight, and yield each with its result as it is finished.

    Items may be lazy, no more are drawn than are in flight. ``running``, empty at first, holds what is in flight, also
    after an error.
    """
    items = iter(items)
    running = {} if running is None else running
    running.update((submit(item), item) for item in islice(items, count))
    while running:
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        # Results before errors: what is finished is kept.
        for future in sorted(done, key=lambda each: each.exception() is not None):
            result = future.result()
            finished = running.pop(future)
            running.update((submit(item), item) for item in islice(items, 1))
            yield finished, result


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back in the block: a process that gets half of what it starts with prints a traceback."""
    if current_thread() is not main_thread():  # only the main thread is interrupted
        yield
        return
    held: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in before:
        signal.signal(number, lambda received, frame: held.append(received))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for received in held:
            signal.raise_signal(received)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch, where it is loaded, and the numerical libraries use one thread in this block."""
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        if torch:
            torch.set_num_threads(before)


# -- inside a process -------------------------------------------------------------------------------------------------

_job: bytes
_reporting: tuple[Connection, Lock]
_ready: list[Any] = []


def _begin(job: bytes, variables: dict[str, str], stop: Connection, reporting: Connection, lock: Lock) -> None:
    """Prepare a process, so that it ends with its parent, and has the environment variables that its parent has now."""
    global _job, _reporting
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent receives it too, and closes the pipe
    os.environ.clear()
    os.environ.update(variables)
    _job, _reporting = job, (reporting, lock)

    def end_with_parent() -> None:
        stop.poll(None)
        os._exit(1)

    Thread(target=end_with_parent, daemon=True).start()


def _piece(item: Any) -> Any:
    if not _ready:
        prepare, work = pickle.loads(_job)
        _ready.extend((prepare(), work))
    state, work = _ready
    with one_thread():
        return work(state, item)


def report(message: Any) -> None:
    """Send a message from a piece to the ``on_report`` of its pool."""
    reporting, lock = _reporting
    if lock.acquire(timeout=1):  # a process that was killed may hold it; progress is not worth waiting for
        try:
            reporting.send(message)
        finally:
            lock.release()

"""Many pieces of one work, spread over processes: a bounded number in flight, and results as they come.

What spreads it is a small contract, ``Streams``: in this process, over the cores of this machine, or over a cluster
(``moa.training.cluster``). Every piece is computed on one thread, so that no result depends on where it is computed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing.connection import Connection
from threading import Thread, current_thread, main_thread
from time import monotonic
from typing import Any, Protocol, TypeVar

from moa.errors import UserError

State, Item, Result = TypeVar("State"), TypeVar("Item"), TypeVar("Result")
#: How often a piece may be on a process that dies.
_TRIES = 3


class Streams(Protocol):
    """What spreads pieces of work."""

    def stream(
        self, prepare: Callable[[], State], work: Callable[[State, Item], Result], items: Iterable[Item]
    ) -> Iterator[tuple[int, Result]]:
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


class _ThisMachine:
    """What all streams of this machine have in common."""

    def everywhere(self, function: Callable[..., Result], *arguments: Any) -> list[Result]:
        """What a function returns on this machine."""
        return [function(*arguments)]

    def place(self, runtime: Any) -> Any:
        """The same runtime."""
        return runtime


class Here(_ThisMachine):
    """Computes one piece after another in this process."""

    def stream(
        self, prepare: Callable[[], State], work: Callable[[State, Item], Result], items: Iterable[Item]
    ) -> Iterator[tuple[int, Result]]:
        """See ``Streams``."""
        state = prepare()
        for number, item in enumerate(items):
            with one_thread():
                result = work(state, item)
            yield number, result


class Processes(_ThisMachine):
    """Spreads pieces over processes of this machine; one that dies is replaced.

    Args:
        count: number of processes.
        patience: seconds of work that this process does itself first: processes take some to start.
    """

    def __init__(self, count: int, patience: float = 4):
        self.count, self.patience = count, patience

    def stream(
        self, prepare: Callable[[], State], work: Callable[[State, Item], Result], items: Iterable[Item]
    ) -> Iterator[tuple[int, Result]]:
        """See ``Streams``.

        Raises:
            UserError: a piece was on three processes that died.
        """
        numbered = iter(enumerate(items))
        state, item, result = prepare(), None, None
        started = monotonic()
        for number, item in numbered:
            with one_thread():
                result = work(state, item)
            yield number, result
            if self.count > 1 and monotonic() - started > self.patience:
                break
        del state, item, result
        head = list(islice(numbered, 1))
        tries: Counter[int] = Counter()
        while head:
            with self._pool(prepare, work) as pool:
                running: dict[Future, tuple[int, Item]] = {}
                try:
                    yield from _keep_running(pool, running, chain(head, numbered), 2 * self.count)
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
    def _pool(self, prepare: Callable, work: Callable) -> Iterator[ProcessPoolExecutor]:
        context = multiprocessing.get_context("spawn")  # a fork of a process that has run torch's threads can hang
        stop, running = context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(self.count, context, initializer=_begin, initargs=(prepare, work, stop))
        try:
            yield pool
        except BaseException:
            running.close()  # ends the processes now, in the middle of their pieces
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            running.close()


def _keep_running(
    pool: ProcessPoolExecutor,
    running: dict[Future, tuple[int, Any]],
    waiting: Iterator[tuple[int, Any]],
    ahead: int,
) -> Iterator[tuple[int, Any]]:
    """Keep ``ahead`` pieces in flight; ``running`` holds them, also when a process dies."""
    while True:
        for number, item in islice(waiting, ahead - len(running)):
            running[_submit(pool, item)] = (number, item)
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        # Results before errors: what is finished is kept.
        for future in sorted(done, key=lambda each: each.exception() is not None):
            result = future.result()
            number, _ = running.pop(future)
            yield number, result


def _submit(pool: ProcessPoolExecutor, item: Any) -> Future:
    try:
        with uninterrupted():  # the first call starts the processes
            return pool.submit(_piece, item)
    except BrokenProcessPool as broken:  # reported like one that breaks while a piece runs
        failed: Future = Future()
        failed.set_exception(broken)
        return failed


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
        signal.signal(number, lambda number, frame: held.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in held:
            signal.raise_signal(number)


def exit_when_closed(stop: Connection) -> None:
    """End this process as soon as the other end of a pipe is closed, also because its holder was killed."""

    def wait_for_it() -> None:
        stop.poll(None)
        os._exit(1)

    Thread(target=wait_for_it, daemon=True).start()


# -- inside a process -------------------------------------------------------------------------------------------------

_prepare: Callable[[], Any]
_work: Callable[[Any, Any], Any]
_state: list[Any] = []


def _begin(prepare: Callable, work: Callable, stop: Connection) -> None:
    global _prepare, _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent receives it too, and tells when to stop
    exit_when_closed(stop)
    _prepare, _work = prepare, work


def _piece(item: Any) -> Any:
    if not _state:
        _state.append(_prepare())
    with one_thread():
        return _work(_state[0], item)


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

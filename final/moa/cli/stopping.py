"""How a command ends that is stopped by Ctrl-C or SIGTERM: with one line on what is kept and how to go on."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ECHO_SECONDS = 2.0
#: After so many seconds a signal comes again whose exception was lost.
_AGAIN_SECONDS = 0.05
_UNCHANGED = "no file is left half-written; run the same command again"
_text = _UNCHANGED


class Stopped(BaseException):
    """A signal asked this process to end. Not KeyboardInterrupt, which typer and Lightning handle in their own ways.

    Attributes:
        number: of the signal.
        status: exit status, 128 + number of the signal.
    """

    def __init__(self, number: int):
        self.number, self.status = number, 128 + number
        self._by = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name

    def __str__(self) -> str:
        return f"stopped by {self._by}: {_text}"


def on_stop(text: str) -> None:
    """Set what the running command says if it is stopped: what is kept, and how to go on."""
    global _text
    _text = text


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise ``Stopped`` in this block when a signal asks the process to end; a later one ends it at once.

    Python prints and forgets what is raised in a callback of C, as when numba compiles, and in destructors. There the
    signal comes again a moment later, and an error that follows from what was left undone counts as the stop.
    """
    on_stop(_UNCHANGED)
    stopped: list[float] = []
    lost: list[int] = []
    timers: list[threading.Timer] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if not stopped or lost:
            stopped.append(time.monotonic())
            lost.clear()
            raise Stopped(number)
        # What starts commands, such as ``timeout`` and ``uv run``, often sends the same signal twice.
        if time.monotonic() - stopped[0] >= _ECHO_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def forgotten(unraisable: Any) -> None:
        if isinstance(error := unraisable.exc_value, Stopped):
            lost.append(error.number)
            timers.append(threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), error.number)))
            timers[-1].daemon = True
            timers[-1].start()
        else:
            unraisable_before(unraisable)

    # A process that a script started in the background ignores Ctrl-C, and must go on doing so.
    before = {each: handler for each in _SIGNALS if (handler := signal.getsignal(each)) not in (None, signal.SIG_IGN)}
    unraisable_before, sys.unraisablehook = sys.unraisablehook, forgotten
    for each in before:
        signal.signal(each, stop)
    try:
        yield
    except Exception as error:
        if lost:
            raise Stopped(lost[0]) from error
        raise
    finally:
        for timer in timers:
            timer.cancel()
        for each, handler in before.items():
            signal.signal(each, handler)
        sys.unraisablehook = unraisable_before

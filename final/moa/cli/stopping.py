"""How a command ends that is stopped by Ctrl-C or SIGTERM: with one line on what is kept and how to go on."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ECHO_SECONDS = 2.0
_UNCHANGED = "no file is left half-written; run the same command again"
_text = _UNCHANGED


class Stopped(BaseException):
    """A signal asked this process to end. Not KeyboardInterrupt, which typer and Lightning handle in their own ways.

    Attributes:
        status: exit status, 128 + number of the signal.
    """

    def __init__(self, number: int):
        self.status = 128 + number
        self._by = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name

    def __str__(self) -> str:
        return f"stopped by {self._by}: {_text}"


def on_stop(text: str) -> None:
    """Set what the running command says if it is stopped: what is kept, and how to go on."""
    global _text
    _text = text


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise ``Stopped`` in this block when a signal asks the process to end; a later one ends it at once."""
    on_stop(_UNCHANGED)
    stopped: list[float] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if not stopped:
            stopped.append(time.monotonic())
            raise Stopped(number)
        # What starts commands, such as ``timeout`` and ``uv run``, often sends the same signal twice.
        if time.monotonic() - stopped[0] >= _ECHO_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    # A process that a script started in the background ignores Ctrl-C, and must go on doing so.
    before = {each: handler for each in _SIGNALS if (handler := signal.getsignal(each)) not in (None, signal.SIG_IGN)}
    for each in before:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)

"""Progress with time left: a bar on a terminal; elsewhere, as in notebooks and batch logs, at most one line per minute.

Finished steps are counted as whole numbers. Time left is shown only where it can be estimated, and no longer once it
has passed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from moa.words import printable

#: Least number of seconds between two lines of this process where there is no terminal.
INTERVAL = 60.0
#: Seconds that a bar runs before it has a line there: what ends sooner, such as the features of few wells, needs none.
PATIENCE = 2.0
#: An estimate of the time left needs this share of the work, and this many seconds of it.
LEAST_SHARE, LEAST_SECONDS = 0.02, 3.0
#: A unit counts for no more than this share of a step before it is finished, whatever its epochs say.
ALMOST = 0.95


def is_secondary_process() -> bool:
    """Whether this is not the first process of a training run on several devices; only the first one prints."""
    return os.environ.get("LOCAL_RANK", "0") != "0"


class PlainConsole(Console):
    """Prints control characters as escapes: cells and names of files must not steer the terminal."""

    def render_str(self, text: str, **options: Any) -> Text:
        """What is printed of a string, alone or in a table."""
        return super().render_str(printable(text, "\n\t"), **options)


console = PlainConsole(stderr=True, quiet=is_secondary_process())


class TimeLeft:
    """How long the rest will take if it goes on as it did since this object was made.

    As text: "about 5m left" or "at most 2h10m left"; empty where it cannot be estimated.

    Args:
        share: share of the work that was done before, in [0, 1], which took no time now.
    """

    def __init__(self, share: float = 0.0):
        self._before = self._share = share
        self._started = time.monotonic()
        self._end: float | None = None
        self._bound = False

    @property
    def spent(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._started

    def update(self, share: float, bound: bool = False) -> None:
        """Note the share of the work that is done, in [0, 1]; one that has not grown changes nothing.

        ``bound`` says that the rest may end before all of the work is done.
        """
        if share <= self._share:
            return
        self._share, self._bound = share, bound
        fresh = share - self._before
        if fresh >= LEAST_SHARE and self.spent >= LEAST_SECONDS:
            self._end = time.monotonic() + self.spent * (1 - share) / fresh

    def __str__(self) -> str:
        left = self._end - time.monotonic() if self._end is not None else 0.0
        if self._share >= 1 or left < 1:
            return ""
        return f"{'at most' if self._bound else 'about'} {duration(left)} left"


def duration(seconds: float) -> str:
    """Such as "8s", "1m30s" or "2h05m"."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{seconds:02d}s" if minutes else f"{seconds}s"


class Bar:
    """One line of progress; `progress` makes it, and describes the other arguments.

    Args:
        bars: the display on a terminal; None: print lines.
    """

    #: When the last line of this process was printed, in seconds of ``time.monotonic``.
    _printed: float | None = None

    def __init__(
        self,
        title: str,
        total: int | None,
        bars: Progress | None = None,
        quiet: bool = False,
        done: float = 0,
        even: bool = True,
    ):
        self.title, self.total, self._quiet, self._even = title, total, quiet, even
        self.left = TimeLeft(self._share(done))
        self._kept = ""
        self._move = None
        if bars is not None:
            task = bars.add_task(title, total=total, count=self._count(done), note="", left=self.left)
            self._move = partial(bars.update, task)
            self._move(completed=self._within(done))

    def update(self, done: float, note: str = "", log: bool = False, running: float = 0.0, bound: bool = False) -> None:
        """Show the progress.

        Args:
            done: number of finished steps; of a fraction the whole part is shown as finished.
            note: what is being done.
            log: without a terminal, the next line has this note, and not a later one without ``log``; it is a result,
                and needs no patience.
            running: what is done of the steps that are running, in steps.
            bound: the steps that are running may end early, so that the time left is at most the estimate.
        """
        if self._even:
            self.left.update(self._share(done + running), bound)
        if self._move is not None:
            self._move(completed=self._within(done + running), count=self._count(done), note=note)
        elif not self._quiet:
            self._print(done, note, log)

    def _share(self, done: float) -> float:
        return self._within(done) / self.total if self.total else 0.0

    def _within(self, done: float) -> float:
        return min(done, self.total) if self.total is not None else 0

    def _count(self, done: float) -> str:
        """Finished steps of all, as whole numbers; empty where there are no steps to count."""
        return "" if self.total is None else f"{int(self._within(done))}/{self.total}"

    def _print(self, done: float, note: str, log: bool) -> None:
        if log:
            self._kept = note
        now = time.monotonic()
        if Bar._printed is not None and now - Bar._printed < INTERVAL:
            return
        if not self._kept and self.left.spent < PATIENCE:
            return
        Bar._printed = now
        # A comma, so that no number is taken for that of the things in the note: "1/6, conditions".
        news = ", ".join(filter(None, (self._count(done), self._kept or note)))
        times = ", ".join(filter(None, (duration(self.left.spent), str(self.left))))
        words = ": ".join(filter(None, (self.title, news)))
        self._kept = ""
        console.print(f"{words} ({times})", highlight=False, markup=False, soft_wrap=True)


class Units:
    """Progress of units that run side by side: the finished ones, and the running ones by their share of epochs.

    Units may stop early. Where finished ones have, the running ones are assumed to stop as early; as long as none is
    finished, the time left is a bound.

    Args:
        bar: shows it; a step is a unit.
        done: number of units that were finished before.
        counts: whether notes begin with the number of units that run and have failed.

    Attributes:
        n_failed: number of units that failed.
    """

    def __init__(self, bar: Bar, done: int = 0, counts: bool = False):
        self._bar, self._done, self._counts, self.n_failed = bar, done, counts, 0
        self._running: dict[Hashable, float] = {}
        self._lengths: list[float] = []
        self._lock = Lock()  # units report from their own threads

    def begun(self, unit: Hashable, note: str = "", log: bool = False) -> None:
        """A unit runs, and has run no epoch."""
        with self._lock:
            self._running[unit] = 0.0
            self._update(note, log)

    def epoch(self, unit: Hashable, epoch: int, epochs: int, note: str = "") -> None:
        """An epoch of a unit has ended; arguments as of ``moa.learners.base.EpochCallback``."""
        with self._lock:
            self._running[unit] = (epoch + 1) / epochs
            self._update(note)

    def finished(self, unit: Hashable, note: str = "") -> None:
        """A unit is finished."""
        with self._lock:
            self._done += 1
            self._lengths.append(self._running.pop(unit, 1.0))
            self._update(note, log=True)

    def failed(self, unit: Hashable, note: str = "") -> None:
        """A unit has stopped, and is not finished."""
        with self._lock:
            self.n_failed += 1
            self._running.pop(unit, None)
            self._update(note)

    def _update(self, note: str, log: bool = False) -> None:
        usual = sum(self._lengths) / len(self._lengths) if self._lengths else 1.0
        running = sum(min(share / usual, ALMOST) for share in self._running.values())
        if self._counts:
            failed = f", {self.n_failed} failed" if self.n_failed else ""
            note = f"{len(self._running)} running{failed}, {note}"
        self._bar.update(self._done, note, log, running, bound=not self._lengths)


@contextmanager
def progress(
    title: str, total: int | None = None, quiet: bool = False, done: float = 0, even: bool = True
) -> Iterator[Bar]:
    """A bar that is shown while the block runs.

    Args:
        title: shown in front.
        total: number of steps; None: there are no steps to count, and the bar only moves.
        quiet: show nothing, because a surrounding block shows a bar already.
        done: number of steps that were finished before.
        even: whether steps take about equally long; otherwise no time left is shown.
    """
    if quiet or not console.is_terminal:
        yield Bar(title, total, None, quiet, done, even)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}", "progress.download"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", "progress.remaining"),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        yield Bar(title, total, bars, done=done, even=even)

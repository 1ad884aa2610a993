"""Progress with time left: a bar on a terminal; elsewhere, as in notebooks and batch logs, one line per update."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

#: Least number of seconds between two lines where there is no terminal.
_INTERVAL = 30


def is_secondary_process() -> bool:
    """Whether this is not the first process of a training run on several devices; only the first one prints."""
    return os.environ.get("LOCAL_RANK", "0") != "0"


console = Console(stderr=True, quiet=is_secondary_process())


class Bar:
    """One line of progress; `progress` makes it.

    Args:
        title: shown in front.
        total: number of steps.
        bars: the display on a terminal; None: print lines.
        quiet: show nothing.
    """

    def __init__(self, title: str, total: int, bars: Progress | None, quiet: bool = False):
        self.title, self.total, self._bars, self._quiet = title, total, bars, quiet
        self._task = bars.add_task(title, total=total, note="") if bars else None
        self._started = self._printed = time.monotonic()

    def update(self, done: float, note: str = "", log: bool = False) -> None:
        """Show the progress.

        Args:
            done: number of finished steps; may be fractional.
            note: what is being done.
            log: without a terminal, print this line even if the last one was printed a moment ago.
        """
        if self._bars is not None:
            self._bars.update(self._task, completed=done, note=note)
        elif not self._quiet and (log or time.monotonic() - self._printed > _INTERVAL):
            self._print(done, note)

    def _print(self, done: float, note: str) -> None:
        self._printed = time.monotonic()
        spent = self._printed - self._started
        left = spent * (self.total - done) / done if done else float("nan")
        ahead = f", about {_duration(left)} left" if 0 < done < self.total else ""
        shown = f"{done:.4g}" if done < 1000 else f"{done:.0f}"
        words = (f"{self.title}: {shown}/{self.total}", note, f"({_duration(spent)}{ahead})")
        console.print(" ".join(filter(None, words)), highlight=False, markup=False, soft_wrap=True)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{seconds:02d}s" if minutes else f"{seconds}s"


@contextmanager
def progress(title: str, total: int, quiet: bool = False) -> Iterator[Bar]:
    """A bar that is shown while the block runs.

    Args:
        title: shown in front.
        total: number of steps.
        quiet: show nothing, because a surrounding block shows a bar already.
    """
    if quiet or not console.is_terminal:
        yield Bar(title, total, None, quiet)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        yield Bar(title, total, bars)

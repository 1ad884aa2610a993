"""Progress with time left: a bar on a terminal, a line a step elsewhere (notebooks, logs of Kaggle's batch runs)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def second_voice() -> bool:
    """Whether this is a further process of one training on several devices: it does what the first does, in silence."""
    return os.environ.get("LOCAL_RANK", "0") != "0"


console = Console(stderr=True, quiet=second_voice())


class Bar:
    """One line of progress; ``update`` takes steps done, fractions allowed."""

    def __init__(self, title: str, total: int, bars: Progress | None, quiet: bool = False):
        self.title, self.total, self._bars, self._quiet = title, total, bars, quiet
        self._task = bars.add_task(title, total=total, note="") if bars else None
        self._started = self._printed = time.monotonic()

    def update(self, done: float, note: str = "", log: bool = False) -> None:
        """Show ``done`` of ``total``; ``log`` marks a line worth keeping where there is no terminal."""
        if self._bars is not None:
            self._bars.update(self._task, completed=done, note=note)
        elif not self._quiet and (log or time.monotonic() - self._printed > 30):
            self._printed = time.monotonic()
            spent = self._printed - self._started
            left = spent * (self.total - done) / done if done else float("nan")
            ahead = f", about {_duration(left)} left" if 0 < done < self.total else ""
            shown = f"{done:.4g}" if done < 1000 else f"{done:.0f}"
            console.print(
                f"{self.title}: {shown}/{self.total} {note} ({_duration(spent)}{ahead})",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{seconds:02d}s" if minutes else f"{seconds}s"


@contextmanager
def progress(title: str, total: int, quiet: bool = False) -> Iterator[Bar]:
    """Open a bar for the length of a block; a quiet one shows nothing, inside a block that has a bar already."""
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

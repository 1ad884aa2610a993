"""How times and memory are measured, and the tables of them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tests.benchmarks.sizes import Sizes

#: The way that the others are compared with, as tables name it: see ``tests.benchmarks.notebook``.
NOTEBOOK = "notebook"


def measure(
    ways: Mapping[str, Callable[[], Any]],
    sizes: Sizes,
    device: torch.device,
    timed: bool = False,
    rounds: int | None = None,
    limit: float | None = None,
) -> pd.DataFrame:
    """Run the ways in turn, several times, so that other load on the machine slows all of them alike.

    Args:
        ways: what to run, by name; the others are compared with the first.
        sizes: number of rounds and limit, where they are not given.
        device: whose memory is measured; on a GPU, a run ends when the device has finished.
        timed: the ways measure themselves: each call returns a list of seconds, one per run.
        rounds: how often each way is called; None: ``sizes.repeats``.
        limit: seconds of runs after which a way is not called again; None: ``sizes.limit``.

    Returns:
        one row per way: way, seconds_min, seconds_median, runs, peak_mib (memory above that before the run; NaN where
        the system does not report it), ratio and ratio_median (how many times faster than the first way, by the fastest
        and by the median runs).
    """
    rounds, limit = rounds or sizes.repeats, sizes.limit if limit is None else limit
    times: dict[str, list[float]] = {name: [] for name in ways}
    peaks = dict.fromkeys(ways, 0.0)
    for number in range(rounds):
        for name, run in ways.items():
            if number and (len(times[name]) >= rounds and not timed or sum(times[name]) > limit):
                continue
            with peak_memory(device) as peak:
                started = time.perf_counter()
                result = run()
                synchronize(device)
                spent = time.perf_counter() - started
            times[name] += result if timed else [spent]
            peaks[name] = max(peaks[name], peak())
    return compared(times, peaks)


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished; on a CPU nothing is pending."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def compared(times: Mapping[str, Sequence[float]], peaks: Mapping[str, float]) -> pd.DataFrame:
    """The table of ``measure`` from seconds and peak MiB by way; ratios are those to the first way."""
    first = next(iter(times.values()))
    return pd.DataFrame(
        {
            "way": name,
            "seconds_min": min(found),
            "seconds_median": float(np.median(found)),
            "runs": len(found),
            "peak_mib": peaks[name],
            "ratio": min(first) / min(found),
            "ratio_median": float(np.median(first) / np.median(found)),
        }
        for name, found in times.items()
    )


def labelled(table: pd.DataFrame, part: str, growth: str, rows: int, members: int, hidden: int) -> pd.DataFrame:
    """A table of ``measure`` with columns in front that say what was measured.

    Args:
        table: the table.
        part: what was measured, in words.
        growth: the column of sizes that grows over several such tables; "": none.
        rows, members, hidden: sizes; 0 where there is no such size.
    """
    labels = {"part": part, "growth": growth, "rows": rows, "members": members, "hidden": hidden}
    return pd.DataFrame(labels, table.index).join(table)


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Callable[[], float]]:
    """Peak MiB above the start: torch's own count on a GPU, else the kernel's high-water mark of this process.

    Nothing is sampled, so nothing can be missed. Only Linux lets a process reset its mark; elsewhere the result is NaN.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield lambda: (torch.cuda.max_memory_allocated(device) - before) / 2**20
        return
    try:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        before = _high_water_mark()
    except OSError:
        yield lambda: float("nan")
        return
    yield lambda: _high_water_mark() - before


@contextmanager
def imports_frozen() -> Iterator[None]:
    """Leave the objects that exist now, mostly of imported modules, out of the garbage collection before each run.

    With them a collection takes a fifth of a second, which is longer than many of the runs.
    """
    before = gc.get_freeze_count()
    gc.freeze()
    try:
        yield
    finally:
        if not before:  # there is no way back to a part of them
            gc.unfreeze()


def _high_water_mark() -> float:
    """Most memory this process has had since the mark was reset, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10

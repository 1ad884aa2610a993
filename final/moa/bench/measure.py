"""What is measured, and how: sizes, fastest and median time, peak memory, noise to train on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from moa.engine import MLPLearner
from moa.learner import Fold

OLD = "notebook"  # the name of the old way in tables


@dataclass(frozen=True)
class Sizes:
    """What is measured; the defaults are the competition's sizes and the growth around them.

    Attributes:
        rows, valid_rows: of one fold.
        inputs, targets, hidden, batch: of the Simple NN.
        columns: of genes and cells together.
        test_rows: treated rows of the public test file.
        stage_rows: training rows for growth with members and width, 20 steps of 256.
        members: of a stage; 25 is the 5 seeds by 5 folds of the published models.
        many_rows, many_members, many_hidden: the growth.
        repeats: runs, or epochs, of which the fastest and the median are reported.
        limit: seconds after which a way is not run once more.
    """

    rows: int = 17_558
    valid_rows: int = 4_390
    inputs: int = 1_091
    targets: int = 206
    hidden: int = 2_048
    batch: int = 256
    columns: int = 872
    test_rows: int = 3_624
    stage_rows: int = 5_120
    members: int = 25
    many_rows: tuple[int, ...] = (1_000, 4_000, 16_000, 64_000)
    many_members: tuple[int, ...] = (1, 5, 25, 50)
    many_hidden: tuple[int, ...] = (256, 1_024, 2_048)
    repeats: int = 3
    limit: float = 20.0

    def learner(self, epochs: int, hidden: int | None = None) -> MLPLearner:
        """The Simple NN of these sizes."""
        return MLPLearner(hidden=hidden or self.hidden, epochs=epochs, batch_size=self.batch, smoothing=0.001)


FULL = Sizes()
QUICK = Sizes(
    rows=300,
    valid_rows=60,
    inputs=40,
    targets=6,
    hidden=32,
    batch=64,
    columns=12,
    test_rows=50,
    stage_rows=192,
    members=3,
    many_rows=(100, 200),
    many_members=(1, 3),
    many_hidden=(16, 32),
    repeats=2,
    limit=1.0,
)


def measure(
    ways: Mapping[str, Callable[[], Any]], sizes: Sizes, device: torch.device, told: bool = False
) -> pd.DataFrame:
    """Run each way in turn, several times over.

    Args:
        told: each way returns a list of seconds, every one a run; else its own time is taken.

    Returns:
        one row a way: way, seconds_min, seconds_median, runs, peak_mib (memory above that before the run), ratio (how
        many times faster than the first way, by the fastest runs).
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    peaks = dict.fromkeys(ways, 0.0)
    for _ in range(sizes.repeats):
        for name, run in ways.items():
            if len(times[name]) >= sizes.repeats or sum(times[name]) > sizes.limit:
                continue
            with _peak_memory(device) as peak:
                started = time.perf_counter()
                result = run()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                spent = time.perf_counter() - started
            times[name] += result if told else [spent]
            peaks[name] = max(peaks[name], peak())
    first = min(next(iter(times.values())))
    return pd.DataFrame(
        {
            "way": name,
            "seconds_min": min(found),
            "seconds_median": float(np.median(found)),
            "runs": len(found),
            "peak_mib": peaks[name],
            "ratio": first / min(found),
        }
        for name, found in times.items()
    )


@contextmanager
def _peak_memory(device: torch.device) -> Iterator[Callable[[], float]]:
    """Peak MiB above the start: torch's allocations on a GPU, else the process's memory, looked at every 5 ms."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield lambda: (torch.cuda.max_memory_allocated(device) - before) / 2**20
        return
    statm = Path("/proc/self/statm")
    if not statm.exists():
        yield lambda: float("nan")
        return
    page, done = 4096 / 2**20, threading.Event()
    seen = [int(statm.read_text().split()[1])]

    def watch() -> None:
        while not done.wait(0.005):
            seen.append(int(statm.read_text().split()[1]))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: (max(seen) - seen[0]) * page
    finally:
        done.set()
        thread.join()


def make_folds(sizes: Sizes, device: torch.device, rows: int, valid_rows: int, members: int = 1) -> list[Fold]:
    """Folds of noise with the sparsity of the real targets; all members share one table and one split."""
    rng = np.random.default_rng(0)
    total = rows + valid_rows
    index = pd.Index([f"id_{i}" for i in range(total)], name="sig_id")
    x = pd.DataFrame(rng.standard_normal((total, sizes.inputs), dtype=np.float32), index).add_prefix("f")
    y = pd.DataFrame((rng.random((total, sizes.targets)) < 0.0035).astype(np.float32), index).add_prefix("t")
    train, valid = np.arange(rows), np.arange(rows, total)
    return [Fold(x, y, train, valid, seed, 0, device, Path("unused")) for seed in range(members)]


def epoch_seconds(fit: Callable[[Fold], object], fold: Fold) -> list[float]:
    """Seconds of each epoch but the first, which warms up: training and validation, without setting up."""
    stamps: list[float] = []
    fit(replace(fold, on_epoch=lambda *_: stamps.append(time.perf_counter())))
    return np.diff(stamps).tolist()


def noise_table(rows: int, columns: int, seed: int = 0) -> pd.DataFrame:
    """Noise in place of genes and cells."""
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(rows, columns))).add_prefix("g-")

"""What is measured, and how: sizes, fastest and median time, peak memory, noise to train on."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from moa.learners.base import Fold
from moa.learners.perceptron.learner import MLPLearner
from moa.training.executors import fit_group

OLD = "notebook"  # the name of the old way in tables


@dataclass(frozen=True)
class Sizes:
    """What is measured; the defaults are the competition's sizes and the growth around them.

    Attributes:
        rows, valid_rows: of one fold.
        inputs, targets, hidden, batch: of the Simple NN.
        tabnet_inputs: of TabNet.
        columns: of genes and cells together.
        test_rows: treated rows of the public test file.
        stage_rows: training rows for growth with members and width, and of a stage's epochs: 10 steps of 256.
        members: of a stage; 25 is the 5 seeds by 5 folds of the published models.
        many_rows, many_members, many_hidden: the growth.
        repeats: runs, or epochs, of which the fastest and the median are reported.
        limit: seconds after which a way is not run once more.
        train_file_rows, test_file_rows: of the synthetic competition files, controls included.
        small, small_stages: overlays of the published settings of the Simple NN and of the 3-stage NN.
    """

    rows: int = 17_558
    valid_rows: int = 4_390
    inputs: int = 1_091
    targets: int = 206
    hidden: int = 2_048
    batch: int = 256
    tabnet_inputs: int = 1_397
    columns: int = 872
    test_rows: int = 3_624
    stage_rows: int = 2_560
    members: int = 25
    many_rows: tuple[int, ...] = (1_000, 4_000, 16_000, 64_000)
    many_members: tuple[int, ...] = (1, 5, 25, 50)
    many_hidden: tuple[int, ...] = (256, 1_024, 2_048)
    repeats: int = 3
    limit: float = 20.0
    train_file_rows: int = 23_814
    test_file_rows: int = 3_982
    small: Mapping[str, Any] = field(default_factory=dict)
    small_stages: Mapping[str, Any] = field(default_factory=dict)

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
    tabnet_inputs=20,
    columns=12,
    test_rows=50,
    stage_rows=192,
    members=3,
    many_rows=(100, 200),
    many_members=(1, 3),
    many_hidden=(16, 32),
    repeats=2,
    limit=1.0,
    train_file_rows=300,
    test_file_rows=60,
    small={"seeds": [940], "learner": {"hidden": 32}, "gene_factors": 4, "cell_factors": 3},
    small_stages={
        "seeds": [0],
        "folds": {"n_splits": 2},
        "gene_factors": 4,
        "cell_factors": 3,
        "gene_umap": 0,
        **{stage: {"hidden": 16, "epochs": 2} for stage in ("stage1", "stage2", "stage3")},
    },
)


def measure(
    ways: Mapping[str, Callable[[], Any]],
    sizes: Sizes,
    device: torch.device,
    told: bool = False,
    rounds: int | None = None,
    limit: float | None = None,
) -> pd.DataFrame:
    """Run each way in turn, several times over, so that a busy spell of the machine meets all of them.

    Args:
        told: each way returns a list of seconds, every one a run; else its own time is taken.
        rounds: how often each way is called; default: ``sizes.repeats``.
        limit: seconds of runs after which a way is not called once more; default: ``sizes.limit``.

    Returns:
        one row a way: way, seconds_min, seconds_median, runs, peak_mib (memory above that before the run; NaN where the
        system does not tell), ratio and ratio_median (how many times faster than the first way, by the fastest and by
        the median runs).
    """
    rounds, limit = rounds or sizes.repeats, sizes.limit if limit is None else limit
    times: dict[str, list[float]] = {name: [] for name in ways}
    peaks = dict.fromkeys(ways, 0.0)
    for number in range(rounds):
        for name, run in ways.items():
            if number and (len(times[name]) >= rounds and not told or sum(times[name]) > limit):
                continue
            with peak_memory(device) as peak:
                started = time.perf_counter()
                result = run()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                spent = time.perf_counter() - started
            times[name] += result if told else [spent]
            peaks[name] = max(peaks[name], peak())
    return compared(times, peaks)


def compared(times: Mapping[str, Sequence[float]], peaks: Mapping[str, float]) -> pd.DataFrame:
    """The table of ``measure`` from seconds and peak MiB by way, the first way being the old one."""
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


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Callable[[], float]]:
    """Peak MiB above the start: torch's own count on a GPU, else the kernel's high-water mark of this process.

    Nothing samples, so nothing can be missed. Linux alone lets a process reset its mark; elsewhere the result is NaN.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield lambda: (torch.cuda.max_memory_allocated(device) - before) / 2**20
        return
    try:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        before = _resident("VmHWM")
    except OSError:
        yield lambda: float("nan")
        return
    yield lambda: _resident("VmHWM") - before


def _resident(field: str) -> float:
    """A size in MiB from this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 2**10


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


def group_seconds(learner: MLPLearner, folds: Sequence[Fold]) -> float:
    """Seconds of a member's epoch where folds are trained at a time: of all epochs but the first, by their number.

    Time runs from the end of the first epoch of the first member to the end of the last of all, so that waiting for
    the slowest counts.
    """
    stamps: dict[int, list[float]] = {number: [] for number in range(len(folds))}

    def watched(number: int, fold: Fold) -> Fold:
        return replace(fold, on_epoch=lambda *_: stamps[number].append(time.perf_counter()))

    fit_group(learner, [watched(*numbered) for numbered in enumerate(folds)])
    started = min(times[0] for times in stamps.values())
    return (max(times[-1] for times in stamps.values()) - started) / ((learner.epochs - 1) * len(folds))


def noise_table(rows: int, columns: int, seed: int = 0) -> pd.DataFrame:
    """Noise in place of genes and cells."""
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(rows, columns))).add_prefix("g-")

"""Predicting a test set with a whole model: preparing the inputs, and the process from csv file to submission."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from moa.data.assay import COMPETITION
from moa.data.dataset import read_features
from moa.data.schema import TEST_FEATURES
from moa.errors import UserError
from moa.learners.runtime import INSISTING, Runtime, multiplies_bfloat16
from moa.weights.trained import open_trained
from tests.benchmarks import notebook_inference
from tests.benchmarks.measure import NOTEBOOK, compared, labelled, measure
from tests.benchmarks.sizes import Sizes
from tests.benchmarks.workspace import MODEL, Workspace, workspace

ROUNDED = "bf16-mixed"
#: The way whose processes find no parsed csv file in the cache.
#: The checkout, from which the processes import the benchmarks.
ROOT = Path(__file__).resolve().parents[2]
NEVER_SEEN = "moa, csv never seen"


def prediction(sizes: Sizes, runtime: Runtime) -> pd.DataFrame:
    """Preparing a test set for a shallow model, and the whole process from its csv file to the submission."""
    with workspace(sizes, runtime) as place:
        return pd.concat([_preprocessing(place, sizes), _processes(place, sizes, runtime)], ignore_index=True)


def _preprocessing(place: Workspace, sizes: Sizes) -> pd.DataFrame:
    """From tables in memory and fits on disk to the inputs of the networks."""
    train, test, _ = notebook_inference.read(place.data)
    rows = read_features(place.data / TEST_FEATURES)
    rows = rows[COMPETITION.is_treated(rows)]

    def new() -> pd.DataFrame:
        trained = open_trained(MODEL, place.weights, whole=False)  # a new one has no fits in memory
        return trained.pipeline(trained.last.name).transform(rows)

    old = partial(notebook_inference.features, train, test, place.fits)
    check_agreement("preprocessing", old().set_index("sig_id").loc[rows.index], new())
    table = measure({NOTEBOOK: old, "moa": new}, sizes, torch.device("cpu"), limit=4 * sizes.limit)
    return labelled(table, "preprocessing of a test set", "", len(rows), 1, 0)


def _processes(place: Workspace, sizes: Sizes, runtime: Runtime) -> pd.DataFrame:
    """Each way as a process: start of Python, imports, reading, predicting, writing; and the least it can take."""
    old_out, out, rounded = place.folder / "old.csv", place.folder / "predictions", place.folder / "rounded"
    fewer_bits = ROUNDED if multiplies_bfloat16() else f"{ROUNDED}, imitated"
    new = ["moa.cli", "predict", MODEL, "--data", place.data, "--weights", place.weights, "--device", runtime.device]
    commands = {
        NOTEBOOK: ["tests.benchmarks.notebook_inference", place.data, place.fits, old_out, runtime.device],
        NEVER_SEEN: [*new, "--out", out],
        "moa, csv seen before": [*new, "--out", out],
        f"moa, csv seen before, {fewer_bits}": [*new, "--out", rounded, "--precision", INSISTING],
        "imports and bare products": ["tests.benchmarks.floor", sizes.test_rows, place.members, *place.widths],
    }
    times: dict[str, list[float]] = {way: [] for way in commands}
    peaks = dict.fromkeys(commands, float("nan"))
    for _ in range(max(sizes.repeats - 1, 1)):
        for way, command in commands.items():
            if way == NEVER_SEEN:
                shutil.rmtree(place.cache, ignore_errors=True)
            seconds, peak = _run(way, command, place.folder / "peak")
            times[way].append(seconds)
            peaks[way] = np.fmax(peaks[way], peak)
    paths = (old_out, out / MODEL / "submission.csv", rounded / MODEL / "submission.csv")
    before, exact, near = (pd.read_csv(path, index_col="sig_id") for path in paths)
    check_agreement("prediction", before, exact)
    check_agreement(f"prediction, {ROUNDED}", before, near, 0.02)
    return labelled(
        compared(times, peaks), "csv to submission, as a process", "", sizes.test_file_rows, place.members, sizes.hidden
    )


def _run(way: str, command: Sequence[object], peak: Path) -> tuple[float, float]:
    """Seconds and peak MiB (NaN where the system does not report it) of ``python -m COMMAND``.

    Args:
        way: name of the command, for messages.
        command: module and arguments.
        peak: file for the peak.

    Raises:
        UserError: the process failed.
    """
    peak.unlink(missing_ok=True)
    started = time.perf_counter()
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.watched", str(peak), *map(str, command)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise UserError(f"{way}: the process failed with status {done.returncode}: {done.stderr[-1000:]}")
    return seconds, int(peak.read_text()) / 2**10 if peak.exists() else float("nan")


def check_agreement(what: str, old: pd.DataFrame, new: pd.DataFrame, most: float = 1e-4) -> None:
    """Compare the results of two ways, whose times mean nothing if they do different things.

    Args:
        what: name of the result, for messages.
        old, new: tables with the same rows and columns, in any order.
        most: largest difference allowed.

    Raises:
        UserError: a value differs by more, or is not a number.
    """
    apart = np.abs(old[new.columns].loc[new.index].to_numpy(np.float64) - new.to_numpy(np.float64)).max()
    if not apart < most:
        raise UserError(f"{what}: the results of the notebook and of moa differ by {apart:g}; their times mean nothing")

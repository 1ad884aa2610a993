"""The whole ways through: a test set made ready and predicted as a process, a stage trained, a model trained."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import QuantileTransformer

from moa.bench import notebook, notebook_inference
from moa.bench.measure import OLD, Sizes, compared, epoch_seconds, group_seconds, make_folds, measure
from moa.bench.parts import labelled
from moa.bench.roofline import Multiply, epoch_shapes, operands, run_products
from moa.data.dataset import load_dataset, read_features
from moa.data.schema import CP_TYPE, TEST_FEATURES, TREATED
from moa.data.synthetic import synthesize
from moa.errors import UserError
from moa.features import GaussianRank
from moa.files import read_json, write_json
from moa.learners.matmul import product
from moa.learners.perceptron.learner import MLPLearner
from moa.models.registry import recipe
from moa.training.executors import groups
from moa.training.runner import Runner, Selection

MODEL = "simple-nn-new-cv"
FEWER_BITS = "bf16-mixed"


# -- one model, from test_features.csv to submission.csv --------------------------------------------------------------


@dataclass(frozen=True)
class Workspace:
    """A folder of the benchmark's own: synthetic files, a Simple NN with all its members, and the same for the old way.

    One member is trained, for one epoch, and stands in for all the others: times do not depend on what they learned.
    """

    folder: Path
    data: Path
    weights: Path
    fits: Path
    cache: Path
    members: int
    widths: tuple[int, int, int]  # inputs, hidden units and targets of a member


@contextmanager
def workspace(sizes: Sizes, device: torch.device) -> Iterator[Workspace]:
    """Write synthetic files of full size, train one member, copy it; gone at the end."""
    with tempfile.TemporaryDirectory(prefix="moa-bench-") as name, _cache_in(Path(name) / "cache") as cache:
        folder = Path(name)
        data, weights, fits = folder / "data", folder / "weights", folder / "notebook"
        synthesize(data, rows=sizes.train_file_rows, test_rows=sizes.test_file_rows)
        model = recipe(MODEL)
        config = model.configure(overlay=sizes.small).model_copy(
            update={"learner": _shortened(model.configure(overlay=sizes.small).learner)}
        )
        runner = Runner(model, weights, config, device)
        runner.train(load_dataset(data, drugs=True, nonscored=False), Selection(seeds=1, folds=1))
        units = runner.last.units()
        first = runner.store.unit_path(runner.last.name, *units[0])
        for seed, fold in units[1:]:
            copy = shutil.copytree(first, runner.store.unit_path(runner.last.name, seed, fold))
            write_json(copy / "unit.json", read_json(copy / "unit.json") | {"seed": seed, "fold": fold})
        _write_notebook_fits(runner, fits)
        meta = runner.store.unit_facts(runner.last.name, *units[0])["meta"]
        widths = meta["n_inputs"], config.learner.hidden, meta["n_targets"]
        yield Workspace(folder, data, weights, fits, cache, len(units), widths)


def _shortened(learner: MLPLearner) -> MLPLearner:
    return learner.model_copy(update={"epochs": 1})


@contextmanager
def _cache_in(folder: Path) -> Iterator[Path]:
    """Keep parsed files apart from the user's."""
    before = os.environ.get("MOA_CACHE")
    os.environ["MOA_CACHE"] = str(folder)
    try:
        yield folder
    finally:
        os.environ.pop("MOA_CACHE")
        if before is not None:
            os.environ["MOA_CACHE"] = before


def _write_notebook_fits(runner: Runner, folder: Path) -> None:
    """The runner's fits as the old way kept them: a pickle a column, a file a member."""
    folder.mkdir()
    stage = runner.last

    def keep(name: str, value: object) -> None:
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(value))

    pipeline = runner.pipeline(stage.name)
    for step in pipeline.fitted_:
        if isinstance(step.transformer, GaussianRank):
            prefix = "second" if step.name.startswith("second") else "rank"
            for column, transformer in zip(step.inputs, by_column(step.transformer), strict=True):
                keep(f"{prefix}_{column}", transformer)
        elif step.name.endswith("-fa"):
            keep(step.name, step.transformer)
    (folder / "columns.json").write_text(json.dumps(pipeline.feature_names_))
    settings = {"batch_size": stage.learner.batch_size, "dropout": stage.learner.dropout}
    (folder / "settings.json").write_text(json.dumps(settings))
    for number, unit in enumerate(stage.units()):
        torch.save(runner.store.load_unit(stage.name, *unit).tensors, folder / f"member-{number:03}.pt")


def by_column(rank: GaussianRank) -> list[QuantileTransformer]:
    """scikit-learn's transformers of single columns with the quantiles of a matrix' fit."""
    found = []
    for column in range(rank.quantiles_.shape[1]):
        transformer = QuantileTransformer(n_quantiles=len(rank.references_), output_distribution="normal")
        transformer.n_quantiles_, transformer.n_features_in_ = len(rank.references_), 1
        transformer.references_, transformer.quantiles_ = rank.references_, rank.quantiles_[:, [column]]
        found.append(transformer)
    return found


def prediction(sizes: Sizes, device: torch.device) -> pd.DataFrame:
    """A test set made ready for a shallow model, and the whole process from its csv file to the submission's."""
    with workspace(sizes, device) as place:
        return pd.concat([_preprocessing(place, sizes), _processes(place, sizes, device)], ignore_index=True)


def _preprocessing(place: Workspace, sizes: Sizes) -> pd.DataFrame:
    """Tables are read already, fits are not: what stands between both and the inputs of the networks."""
    train, test, _ = notebook_inference.read(place.data)
    rows = read_features(place.data / TEST_FEATURES)
    rows = rows[rows[CP_TYPE] == TREATED]

    def new() -> pd.DataFrame:
        runner = Runner(recipe(MODEL), place.weights)  # a new one has read nothing yet
        return runner.pipeline(runner.last.name).transform(rows)

    old = partial(notebook_inference.features, train, test, place.fits)
    _check_agreement("preprocessing", old().set_index("sig_id").loc[rows.index], new())
    table = measure({OLD: old, "moa": new}, sizes, torch.device("cpu"), limit=4 * sizes.limit)
    return labelled(table, "preprocessing of a test set", "", len(rows), 1, 0)


def _processes(place: Workspace, sizes: Sizes, device: torch.device) -> pd.DataFrame:
    """Each way a process of its own: Python's start, imports, reading, predicting, writing; and what bounds them."""
    old_out, out, peak = place.folder / "old.csv", place.folder / "predictions", place.folder / "peak"
    rounded = place.folder / "predictions of fewer bits"
    predict = ["moa.cli", "predict", MODEL, "--data", place.data, "--weights", place.weights, "--device", device]
    new = [*predict, "--out", out]
    old = ["moa.bench.notebook_inference", place.data, place.fits, old_out, device]
    commands = {
        OLD: old,
        "moa, csv never seen": new,
        "moa, csv seen before": new,
        f"moa, csv seen before, {FEWER_BITS}": [*predict, "--out", rounded, "--precision", FEWER_BITS],
        "imports and bare products": ["moa.bench.floor", sizes.test_rows, place.members, *place.widths],
    }
    times: dict[str, list[float]] = {way: [] for way in commands}
    peaks = dict.fromkeys(commands, float("nan"))
    for _ in range(max(sizes.repeats - 1, 1)):
        for way, command in commands.items():
            if way == "moa, csv never seen":
                shutil.rmtree(place.cache, ignore_errors=True)
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "moa.bench.watched", str(peak), *map(str, command)],
                capture_output=True,
                text=True,
            )
            times[way].append(time.perf_counter() - started)
            if done.returncode:
                raise UserError(f"{way}: the process failed with status {done.returncode}: {done.stderr[-1000:]}")
            if peak.exists():
                peaks[way] = max(int(peak.read_text()) / 2**10, np.nan_to_num(peaks[way]))
    paths = (old_out, out / MODEL / "submission.csv", rounded / MODEL / "submission.csv")
    before, exact, near = (pd.read_csv(path, index_col="sig_id") for path in paths)
    _check_agreement("prediction", before, exact)
    _check_agreement(f"prediction, {FEWER_BITS}", before, near, 0.02)
    return labelled(
        compared(times, peaks), "csv to submission, a process", "", sizes.test_file_rows, place.members, sizes.hidden
    )


def _check_agreement(what: str, old: pd.DataFrame, new: pd.DataFrame, most: float = 1e-4) -> None:
    """Times of two ways mean nothing unless both lead to the same place."""
    apart = np.abs(old[new.columns].loc[new.index].to_numpy(np.float64) - new.to_numpy(np.float64)).max()
    if not apart < most:
        raise UserError(f"{what}: the old way and ours are {apart:g} apart; the comparison is void")


# -- training ---------------------------------------------------------------------------------------------------------


def stage(sizes: Sizes, device: torch.device) -> pd.DataFrame:
    """The steady state of a stage: epochs after the first of every member, 5 × 5 on a CPU and 5 × 10 on a GPU.

    A run is one member's epoch of training and validation: where several are trained at a time, the time of all by
    their number. Beside it the bare products of such an epoch on all cores, by torch's matmul and by the faster of the
    routines that ``moa.learners.matmul`` has at hand.
    """
    members = sizes.members * (2 if device.type == "cuda" else 1)
    rows, valid_rows = sizes.stage_rows, sizes.stage_rows // 4
    folds = make_folds(sizes, device, rows, valid_rows, members)
    learner = sizes.learner(4)
    shapes = epoch_shapes(sizes, rows, valid_rows)
    tensors = operands(shapes, device)
    alone, at_once = cycle(folds), cycle(groups(learner, folds))

    def products(multiply: Multiply) -> list[float]:
        started = time.perf_counter()
        run_products(shapes, tensors, multiply)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return [time.perf_counter() - started]

    ways = {
        OLD: lambda: epoch_seconds(partial(notebook.fit, learner), next(alone)),
        "moa": lambda: [group_seconds(learner, next(at_once))],
        "bare products, torch": lambda: products(lambda a, b: a @ b.T),
        "bare products, moa": lambda: products(product),
    }
    table = measure(ways, sizes, device, told=True, rounds=members, limit=5 * sizes.limit)
    return labelled(table, "stage, a member's epoch", "", rows, members, sizes.hidden)


def three_stage(sizes: Sizes, device: torch.device) -> pd.DataFrame:
    """The whole published training of the 3-stage NN, 5 seeds × 5 folds × 3 stages; hours on a CPU."""
    with tempfile.TemporaryDirectory(prefix="moa-bench-") as name, _cache_in(Path(name) / "cache"):
        synthesize(Path(name) / "data", rows=sizes.train_file_rows, test_rows=sizes.test_file_rows)
        data = load_dataset(Path(name) / "data")
        model = recipe("three-stage-nn-5fold")
        runner = Runner(model, Path(name) / "weights", model.configure(overlay=sizes.small_stages), device)
        started = time.perf_counter()
        runner.train(data)
        spent = time.perf_counter() - started
        units, trained = runner.cost()
        times = {"moa, features and predictions included": [spent], "moa, training alone": [trained]}
    table = compared(times, dict.fromkeys(times, float("nan"))).assign(ratio=np.nan, ratio_median=np.nan)
    return labelled(table, "3-stage NN, all units", "", len(data.features), units, sizes.hidden)

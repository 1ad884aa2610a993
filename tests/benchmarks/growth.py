"""Single steps of the work, and how their times grow with rows, members and width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import torch

from moa.features import GaussianRank
from moa.learners.perceptron.learner import MLPLearner
from moa.learners.runtime import Runtime
from moa.learners.tabnet.learner import TabNetLearner
from moa.training.executors import LocalExecutor
from moa.training.unit import StageInputs, Unit, train_batch, train_unit
from tests.benchmarks import notebook, tabnet_library
from tests.benchmarks.epochs import epoch_seconds
from tests.benchmarks.inference import new_inference, old_inference, random_member
from tests.benchmarks.measure import NOTEBOOK, labelled, measure
from tests.benchmarks.noise import make_units, noise_fold, noise_inputs, noise_table
from tests.benchmarks.sizes import Sizes


def training_epoch(sizes: Sizes, runtime: Runtime) -> pd.DataFrame:
    """One epoch of one perceptron with its validation: at full size, and by number of rows and by width."""
    cases = [("", sizes.rows, sizes.valid_rows, sizes.hidden)]
    cases += [("rows", rows, rows // 4, sizes.hidden) for rows in sizes.many_rows]
    cases += [("hidden", sizes.stage_rows, sizes.stage_rows // 4, hidden) for hidden in sizes.many_hidden]
    tables = []
    for growth, rows, valid_rows, hidden in cases:
        data = noise_fold(sizes, rows, valid_rows)
        learner = sizes.learner(2 if rows > 20_000 else sizes.repeats + 1, hidden)
        ways = {
            NOTEBOOK: partial(epoch_seconds, partial(notebook.fit, learner), data, runtime),
            "moa": partial(epoch_seconds, learner.fit, data, runtime),
        }
        table = measure(ways, sizes, runtime.torch_device, timed=True)
        tables.append(labelled(table, "training epoch", growth, rows, 1, hidden))
    return pd.concat(tables, ignore_index=True)


def tabnet_epoch(sizes: Sizes, runtime: Runtime) -> pd.DataFrame:
    """One epoch of TabNet with its validation, by the pytorch-tabnet library and here.

    The set-up, which takes the library a quarter of a minute per network, is left out.
    """
    data = noise_fold(replace(sizes, inputs=sizes.tabnet_inputs), sizes.stage_rows, sizes.stage_rows // 4)
    rows = np.arange(len(data.X))
    data = replace(data, X=data.X.assign(f0=rows % 3, f1=rows % 2).astype(np.float32))
    learner = TabNetLearner(cat_dims=(3, 2), cat_emb_dim=(1, 1), epochs=sizes.repeats + 1, batch_size=4 * sizes.batch)
    ways = {
        NOTEBOOK: partial(epoch_seconds, partial(tabnet_library.fit, learner), data, runtime),
        "moa": partial(epoch_seconds, learner.fit, data, runtime),
    }
    table = measure(ways, sizes, runtime.torch_device, timed=True, rounds=1)
    return labelled(table, "TabNet epoch", "", sizes.stage_rows, 1, learner.n_d)


def growing_ensemble(sizes: Sizes, runtime: Runtime) -> pd.DataFrame:
    """Many units of one short epoch, with set-up, validation and OOF predictions: one after another, and together."""
    tables = []
    inputs = noise_inputs(sizes, sizes.stage_rows, sizes.stage_rows // 4)
    narrow = min(sizes.many_hidden)
    for hidden, members in [*product([sizes.hidden], sizes.many_members), (narrow, sizes.members)]:
        learner = sizes.learner(1, hidden)
        units = make_units(learner, members, runtime)
        ways = {
            NOTEBOOK: partial(_notebook_units, learner, inputs, units),
            "moa, sequential": partial(_one_by_one, inputs, units),
            "moa, side by side": partial(_side_by_side, inputs, units),
            "moa, ensemble": partial(train_batch, inputs, units, [None] * members),
        }
        growth = "members" if hidden == sizes.hidden else ""
        table = measure(ways, sizes, runtime.torch_device)
        tables.append(labelled(table, "ensemble", growth, sizes.stage_rows, members, hidden))
    return pd.concat(tables, ignore_index=True)


def _notebook_units(learner: MLPLearner, inputs: StageInputs, units: Sequence[Unit]) -> None:
    for unit in units:
        data = inputs.fold(unit.seed, unit.fold)
        tensors = notebook.fit(learner, data, unit.seed, unit.fold, unit.runtime)
        X = data.X.to_numpy(np.float32)[data.valid]
        notebook.predict(tensors, X, unit.runtime.torch_device, learner.batch_size, learner.dropout)


def _one_by_one(inputs: StageInputs, units: Sequence[Unit]) -> None:
    for unit in units:
        train_unit(inputs, unit)


def _side_by_side(inputs: StageInputs, units: Sequence[Unit]) -> None:
    """As training does it: on a CPU in threads, on a GPU as batched networks of as many units as fit into memory."""
    list(LocalExecutor().run(inputs, units))


def gaussian_rank(sizes: Sizes, runtime: Runtime) -> pd.DataFrame:
    """Fit and apply the Gaussian rank to all genes and cells; always on the CPU."""
    tables = []
    for growth, rows in [("", sizes.rows + sizes.valid_rows), *(("rows", rows) for rows in sizes.many_rows)]:
        table = noise_table(rows, sizes.columns)
        ways = {NOTEBOOK: partial(_rank_columns, table), "moa": partial(_rank_table, table)}
        measured = measure(ways, sizes, torch.device("cpu"))
        tables.append(labelled(measured, "gaussian rank", growth, rows, 1, 0))
    return pd.concat(tables, ignore_index=True)


def _rank_columns(table: pd.DataFrame) -> pd.DataFrame:
    return notebook.apply_ranks(notebook.fit_ranks(table), table)


def _rank_table(table: pd.DataFrame) -> np.ndarray:
    return GaussianRank(random_state=0).fit_transform(table.to_numpy())


def inference(sizes: Sizes, runtime: Runtime) -> pd.DataFrame:
    """From raw genes and cells to the mean prediction of five members; ranks and perceptrons are fitted already."""
    tables, count = [], 5
    fitted_on = noise_table(min(sizes.rows, 4_000), sizes.columns)
    old_ranks, ranks = notebook.fit_ranks(fitted_on), GaussianRank().fit(fitted_on.to_numpy())
    learner = sizes.learner(1)
    members = [random_member(learner, sizes.columns, sizes.targets, seed) for seed in range(count)]
    for growth, rows in [("", sizes.test_rows), *(("rows", rows) for rows in sizes.many_rows)]:
        table = noise_table(rows, sizes.columns, seed=1)
        ways = {
            NOTEBOOK: partial(old_inference, learner, members, old_ranks, table, runtime),
            "moa": partial(new_inference, learner, members, ranks, table, runtime),
        }
        measured = measure(ways, sizes, runtime.torch_device)
        tables.append(labelled(measured, "inference", growth, rows, count, sizes.hidden))
    return pd.concat(tables, ignore_index=True)

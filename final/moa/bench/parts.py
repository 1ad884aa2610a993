"""The parts of the work, each the old way (``moa.bench.notebook``) and the package's, and how far both are apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from pytorch_tabnet import tab_network

from moa.bench import notebook
from moa.bench.measure import OLD, Sizes, epoch_seconds, make_folds, measure, noise_table
from moa.features import GaussianRank
from moa.learners import tabnet
from moa.learners.base import Fitted, Fold
from moa.learners.perceptron.batched import fit_together
from moa.learners.perceptron.learner import MLPLearner
from moa.learners.tabnet import TabNetLearner
from moa.training.executors import fit_group, groups


def training_epoch(sizes: Sizes, device: torch.device) -> pd.DataFrame:
    """One epoch of one perceptron with its validation, at full size, and growing with rows and width."""
    cases = [("", sizes.rows, sizes.valid_rows, sizes.hidden)]
    cases += [("rows", rows, rows // 4, sizes.hidden) for rows in sizes.many_rows]
    cases += [("hidden", sizes.stage_rows, sizes.stage_rows // 4, hidden) for hidden in sizes.many_hidden]
    tables = []
    for growth, rows, valid_rows, hidden in cases:
        fold = make_folds(sizes, device, rows, valid_rows)[0]
        learner = sizes.learner(2 if rows > 20_000 else sizes.repeats + 1, hidden)
        ways = {
            OLD: partial(epoch_seconds, partial(notebook.fit, learner), fold),
            "moa": partial(epoch_seconds, learner.fit, fold),
        }
        tables.append(labelled(measure(ways, sizes, device, told=True), "training epoch", growth, rows, 1, hidden))
    return pd.concat(tables, ignore_index=True)


def tabnet_epoch(sizes: Sizes, device: torch.device) -> pd.DataFrame:
    """One epoch of TabNet with its validation: the library as it is, and as the package runs it, bit for bit alike.

    Setting up is left out, of which the library as it is needs a quarter of a minute a network.
    """
    wide = replace(sizes, inputs=sizes.tabnet_inputs)
    fold = make_folds(wide, device, sizes.stage_rows, sizes.stage_rows // 4)[0]
    x = fold.x.assign(f0=np.arange(len(fold.x)) % 3, f1=np.arange(len(fold.x)) % 2).astype(np.float32)
    learner = TabNetLearner(epochs=sizes.repeats + 1, batch_size=4 * sizes.batch)
    run = partial(epoch_seconds, learner.fit, replace(fold, x=x))

    def library() -> list[float]:
        with patch.object(tabnet, "EmbeddingGenerator", tab_network.EmbeddingGenerator):
            return run()

    table = measure({OLD: library, "moa": run}, sizes, device, told=True, rounds=1)
    return labelled(table, "TabNet epoch", "", sizes.stage_rows, 1, learner.n_d)


def growing_ensemble(sizes: Sizes, device: torch.device) -> pd.DataFrame:
    """Many members for one short epoch, set-up and validation included: one after another, and at once."""
    tables = []
    narrow = min(sizes.many_hidden)
    for hidden, members in [*product([sizes.hidden], sizes.many_members), (narrow, sizes.members)]:
        learner = sizes.learner(1, hidden)
        folds = make_folds(sizes, device, sizes.stage_rows, sizes.stage_rows // 4, members)
        ways = {
            OLD: partial(notebook.fit_all, learner, folds),
            "moa, sequential": partial(_fit_all, learner, folds),
            "moa, side by side": partial(_fit_groups, learner, folds),
            "moa, ensemble": partial(fit_together, learner, folds),
        }
        growth = "members" if hidden == sizes.hidden else ""
        table = measure(ways, sizes, device)
        tables.append(labelled(table, "ensemble", growth, sizes.stage_rows, members, hidden))
    return pd.concat(tables, ignore_index=True)


def gaussian_rank(sizes: Sizes, device: torch.device) -> pd.DataFrame:
    """Fit and apply the gaussian rank to all genes and cells; runs on the CPU whatever the device."""
    tables = []
    for growth, rows in [("", sizes.rows + sizes.valid_rows), *(("rows", rows) for rows in sizes.many_rows)]:
        table = noise_table(rows, sizes.columns)
        ways = {
            OLD: lambda table=table: notebook.apply_ranks(notebook.fit_ranks(table), table),
            "moa": lambda table=table: GaussianRank(random_state=0).fit_transform(table.to_numpy()),
        }
        measured = measure(ways, sizes, torch.device("cpu"))
        tables.append(labelled(measured, "gaussian rank", growth, rows, 1, 0))
    return pd.concat(tables, ignore_index=True)


def inference(sizes: Sizes, device: torch.device) -> pd.DataFrame:
    """From raw genes and cells to the mean prediction of five members: ranks and perceptrons already fitted."""
    tables, members = [], 5
    fitted_on = noise_table(min(sizes.rows, 4_000), sizes.columns)
    old_ranks, ranks = notebook.fit_ranks(fitted_on), GaussianRank().fit(fitted_on.to_numpy())
    learner = sizes.learner(1)
    models = [random_member(learner, sizes.columns, sizes.targets, seed) for seed in range(members)]
    for growth, rows in [("", sizes.test_rows), *(("rows", rows) for rows in sizes.many_rows)]:
        table = noise_table(rows, sizes.columns, seed=1)
        ways = {
            OLD: partial(old_inference, learner, models, old_ranks, table, device),
            "moa": partial(new_inference, learner, models, ranks, table, device),
        }
        measured = measure(ways, sizes, device)
        tables.append(labelled(measured, "inference", growth, rows, members, sizes.hidden))
    return pd.concat(tables, ignore_index=True)


def random_member(learner: MLPLearner, n_inputs: int, n_targets: int, seed: int) -> Fitted:
    """A member with random weights and statistics, as if trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = learner.build(n_inputs, n_targets)
        model(torch.randn(256, n_inputs))
    return Fitted(model.state_dict(), {"n_inputs": n_inputs, "n_targets": n_targets})


def old_inference(
    learner: MLPLearner, models: Sequence[Fitted], ranks: Mapping, table: pd.DataFrame, device: torch.device
) -> np.ndarray:
    """Ranks a column at a time, models and batches one after another; shape (rows, targets)."""
    x = notebook.apply_ranks(dict(ranks), table).to_numpy(np.float32)
    batch_size, dropout = learner.batch_size, learner.dropout
    return np.mean([notebook.predict(model.tensors, x, device, batch_size, dropout) for model in models], axis=0)


def new_inference(
    learner: MLPLearner, models: Sequence[Fitted], ranks: GaussianRank, table: pd.DataFrame, device: torch.device
) -> np.ndarray:
    """The package's way; shape (rows, targets)."""
    x = pd.DataFrame(ranks.transform(table.to_numpy()).astype(np.float32), table.index)
    return np.mean([learner.predict(model, x, device) for model in models], axis=0)


def labelled(table: pd.DataFrame, part: str, growth: str, rows: int, members: int, hidden: int) -> pd.DataFrame:
    labels = pd.DataFrame(
        {"part": part, "growth": growth, "rows": rows, "members": members, "hidden": hidden}, table.index
    )
    return labels.join(table)


def agreement(sizes: Sizes, device: torch.device) -> pd.DataFrame:
    """How far the two ways are apart on the same data and weights; columns: what, largest, scale."""
    table = noise_table(min(sizes.rows, 2_000), min(sizes.columns, 50))
    old_ranks, ranks = notebook.fit_ranks(table), GaussianRank().fit(table.to_numpy())
    plain = sizes.learner(3).model_copy(update={"dropout": (0.0, 0.0, 0.0)})  # the ways draw other masks
    models = [random_member(plain, table.shape[1], sizes.targets, seed) for seed in range(2)]
    folds = make_folds(sizes, device, min(sizes.rows, 1_000), min(sizes.valid_rows, 300), 2)
    learner = sizes.learner(3)
    both = {
        "gaussian rank": (
            notebook.apply_ranks(old_ranks, table).to_numpy(),
            ranks.transform(table.to_numpy()),
        ),
        "inference": (
            old_inference(plain, models, old_ranks, table, device),
            new_inference(plain, models, ranks, table, device),
        ),
        "validation loss": (
            _losses(partial(notebook.fit_all, plain), folds),
            _losses(partial(_fit_all, plain), folds),
        ),
        "validation loss, ensemble": (
            _losses(partial(_fit_all, learner), folds),
            _losses(partial(fit_together, learner), folds),
        ),
    }
    return pd.DataFrame(
        {"what": what, "largest": np.abs(a - b).max(), "scale": np.abs(a).mean()} for what, (a, b) in both.items()
    )


def _fit_groups(learner: MLPLearner, folds: Sequence[Fold]) -> None:
    for group in groups(learner, folds):
        fit_group(learner, group)


def _fit_all(learner: MLPLearner, folds: Sequence[Fold]) -> None:
    for fold in folds:
        learner.fit(fold)


def _losses(fit: Callable[[Sequence[Fold]], object], folds: Sequence[Fold]) -> np.ndarray:
    found: dict[tuple[int, int], float] = {}

    def listening(fold: Fold) -> Fold:
        return replace(fold, on_epoch=lambda epoch, _, row: found.__setitem__((fold.seed, epoch), row["valid_loss"]))

    fit([listening(fold) for fold in folds])
    return np.array([found[key] for key in sorted(found)])

"""A data set and a trained model in a temporary folder, and the same model as a notebook of 2020 kept it."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.preprocessing import QuantileTransformer

from moa.data.dataset import load_dataset
from moa.data.stored_tables import read_table, write_table
from moa.data.synthetic import synthesize
from moa.environment import CACHE
from moa.features import GaussianRank
from moa.files import read_json, sha256, write_json
from moa.learners.runtime import Runtime
from moa.models.base import merge
from moa.models.registry import recipe
from moa.training.runner import Runner
from moa.weights.layout import ModelFolder, UnitKey
from moa.weights.selection import Selection
from moa.weights.trained import Trained
from tests.benchmarks.sizes import Sizes

#: The model that the workspace holds.
MODEL = "simple-nn-new-cv"


@dataclass(frozen=True)
class Workspace:
    """What is in the temporary folder.

    One unit is trained, for one epoch, and copied to all others: times do not depend on what was learned.

    Attributes:
        folder: the folder itself, for further files.
        data: synthetic competition files.
        weights: weights folder with all units of ``MODEL``.
        fits: the same transformers and units as the notebook kept them.
        cache: cache of parsed csv files.
        members: number of units.
        widths: inputs, hidden units and targets of a unit's network.
    """

    folder: Path
    data: Path
    weights: Path
    fits: Path
    cache: Path
    members: int
    widths: tuple[int, int, int]


@contextmanager
def workspace(sizes: Sizes, runtime: Runtime) -> Iterator[Workspace]:
    """Write the files, train a unit and copy it; everything is removed at the end."""
    with synthetic_data(sizes) as (folder, data, cache):
        weights, fits = folder / "weights", folder / "notebook"
        model = recipe(MODEL)
        config = model.configure(overlay=merge(sizes.small, {"learner": {"epochs": 1}}))
        runner = Runner(Trained(model, weights, config, runtime=runtime))
        runner.train(load_dataset(data, drugs=True, nonscored=False), Selection(seeds=1, folds=1))
        trained = runner.trained
        stage, units = trained.last.name, trained.last.units()
        layout = trained.store.layout
        for seed, fold in units[1:]:
            _copy_unit(layout, UnitKey(stage, *units[0]), UnitKey(stage, seed, fold))
        _write_notebook_fits(trained, fits)
        meta = trained.store.unit_facts(stage, *units[0]).meta
        widths = meta["n_inputs"], config.learner.hidden, meta["n_targets"]
        yield Workspace(folder, data, weights, fits, cache, len(units), widths)


def _copy_unit(layout: ModelFolder, unit: UnitKey, key: UnitKey) -> None:
    """Copy a unit; the OOF predictions of another fold get other sig_ids, as each row is held out once."""
    folder = layout.unit(key)
    shutil.copytree(layout.unit(unit), folder)
    facts = read_json(layout.facts(key)) | {"seed": key.seed, "fold": key.fold}
    path = folder / "oof.parquet"
    if key.fold != unit.fold:
        oof = read_table(path)
        write_table(path, oof.set_axis([f"{name}-{key.fold}" for name in oof.index]).rename_axis(oof.index.name))
        facts["sha256"][path.name] = sha256(path)
    write_json(layout.facts(key), facts)


@contextmanager
def synthetic_data(sizes: Sizes) -> Iterator[tuple[Path, Path, Path]]:
    """A temporary folder, and in it synthetic competition files and an empty cache, which is used inside the block."""
    with tempfile.TemporaryDirectory(prefix="moa-bench-") as name, _cache_in(Path(name) / "cache") as cache:
        data = Path(name) / "data"
        synthesize(data, rows=sizes.train_file_rows, test_rows=sizes.test_file_rows)
        yield Path(name), data, cache


@contextmanager
def _cache_in(folder: Path) -> Iterator[Path]:
    """Keep parsed files out of the user's cache."""
    before = os.environ.get(CACHE)
    os.environ[CACHE] = str(folder)
    try:
        yield folder
    finally:
        os.environ.pop(CACHE)
        if before is not None:
            os.environ[CACHE] = before


def _write_notebook_fits(trained: Trained, folder: Path) -> None:
    """The model as the notebook kept it: a pickle per column, a file per member."""
    folder.mkdir()
    stage = trained.last

    def keep(name: str, value: object) -> None:
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(value))

    pipeline = trained.pipeline(stage.name)
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
    for number, (seed, fold) in enumerate(stage.units()):
        torch.save(trained.unit(stage.name, seed, fold).fitted.tensors, folder / f"member-{number:03}.pt")


def by_column(rank: GaussianRank) -> list[QuantileTransformer]:
    """scikit-learn's transformers of single columns, with the quantiles of a fitted ``GaussianRank``."""
    found = []
    for column in range(rank.quantiles_.shape[1]):
        transformer = QuantileTransformer(n_quantiles=len(rank.references_), output_distribution="normal")
        transformer.n_quantiles_, transformer.n_features_in_ = len(rank.references_), 1
        transformer.references_, transformer.quantiles_ = rank.references_, rank.quantiles_[:, [column]]
        found.append(transformer)
    return found

"""The inputs of a stage: features fitted the first time and read from the store after that, targets, and folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from moa.data.dataset import Dataset
from moa.data.holdout import HoldOut
from moa.data.schema import COMPOUND
from moa.data.wells import TREATMENT, describe_rows
from moa.errors import StoreError, UserError
from moa.files import create_json, digest
from moa.models.base import Stage
from moa.progress import progress
from moa.training.unit import StageInputs
from moa.weights.stage_description import describe_stage
from moa.weights.trained import Trained


def prepare_stage(
    trained: Trained, stage: Stage, data: Dataset, seeds: Sequence[int], quiet: bool = False
) -> StageInputs:
    """Everything that the units of a stage are trained on, with the folds of the model seeds ``seeds``.

    Raises:
        StoreError: an earlier stage is not finished, or this one was begun on other predictions of it.
    """
    y = _targets(stage, data)
    X = _features(trained, stage, data, list(y.columns), quiet)
    y = y.loc[X.index]
    labelled = _labelled(data, X.index) if stage.unit_features else None
    rows = _row_facts(data, X.index)
    keys = {seed if stage.folds.per_seed else None: seed for seed in seeds}  # by key, a seed that splits
    if isinstance(stage.folds, HoldOut):
        held = {key: stage.folds.assign(data, X.index, seed) for key, seed in keys.items()}
        folds = {key: each.fold for key, each in held.items()}
        return StageInputs(X, y, folds, held, trained.blind, labelled, **rows)
    splits = {key: stage.folds.split(y, data.drugs, seed).to_numpy() for key, seed in keys.items()}
    return StageInputs(X, y, splits, None, trained.blind, labelled, **rows)


def _row_facts(data: Dataset, rows: pd.Index) -> dict[str, np.ndarray]:
    """Treatments, compounds and controls of the rows, as far as they are known; see ``StageInputs``."""
    known = describe_rows(data.features, data.schema, data.compounds, data.wells).loc[rows]
    found: dict[str, np.ndarray] = {}
    for name, column in (("treatments", TREATMENT), ("compounds", COMPOUND)):
        if column in known:
            codes, names = pd.factorize(known[column])
            found[name] = np.where(codes >= 0, codes, len(names) + np.arange(len(codes)))  # each a value of its own
    controls = ~data.treated.loc[rows].to_numpy()
    return found | ({"controls": controls} if controls.any() else {})


def _labelled(data: Dataset, rows: pd.Index) -> np.ndarray:
    """1 for rows that have any mechanism of action, for selectors; all stages of a model get the same labels."""
    return data.scored.loc[rows].to_numpy().any(axis=1).astype(np.int64)


def _with_predictions(
    trained: Trained, stage: Stage, features: pd.DataFrame, predicted: Callable[[str, pd.Index], pd.DataFrame]
) -> pd.DataFrame:
    """Features with the predictions of the stages that this one uses; ``predicted`` gives a stage's for some rows.

    Control rows are there, so that transformers can be fitted with them; they have no predictions (NaN). Models that
    are trained on all rows take them in the order of sig_id, as the original did.
    """
    table = features.sort_index() if trained.model.rows == "all" else features
    treated = table.index[trained.schema.is_treated(table)]
    for name in stage.uses:
        table = table.join(predicted(name, treated).add_prefix(f"{name}:"))
    return table


def _targets(stage: Stage, data: Dataset) -> pd.DataFrame:
    if stage.targets == "scored":
        return data.scored.astype(np.float32)
    if data.nonscored is None or not data.nonscored.to_numpy().any():
        raise UserError(
            f"{stage.name}: no row has a nonscored target, so there is nothing to learn; leave the stage out, as "
            "`moa train` does"
        )
    y = data.nonscored.astype(np.float32)
    # "nonscored" leaves out the targets without a positive in training (71 of 402 in the competition).
    return y if stage.targets == "nonscored-all" else y.loc[:, y.to_numpy().any(axis=0)]


def _features(trained: Trained, stage: Stage, data: Dataset, targets: list[str], quiet: bool) -> pd.DataFrame:
    """The stage's training inputs; fits the pipeline the first time, and reads it from the store after that."""
    store = trained.store
    sources = {name: trained.units(trained.stages[name]) for name in stage.uses}
    train = _with_predictions(trained, stage, data.features, partial(_whole_oof, trained))
    path = store.layout.stage(stage.name)
    inputs = digest(*(train[c].to_numpy() for c in sorted(set(train) - set(data.features))))
    if path.exists():
        _check_inputs(trained, stage, inputs)
        return trained.pipeline(stage.name).transform(train)

    def predicted(name: str, rows: pd.Index) -> pd.DataFrame:
        return trained.predict_stage(name, data.test.loc[rows], sources[name], quiet)

    test = _with_predictions(trained, stage, data.test, predicted)  # long: only where transformers are to be fitted
    pipeline = stage.features()
    with progress(f"{trained.model.name} {stage.name} features", len(pipeline.steps), quiet, even=False) as bar:
        X, _ = pipeline.fit_transform(
            train,
            test,
            store.fits,
            _labelled(data, train.index),
            lambda name, done, total: bar.update(done, name),
            ~data.treated.loc[train.index].to_numpy(),
        )
        bar.update(len(pipeline.steps))
    # Another process may have been first; fits are shared by what they were fitted on, so its pipeline is this one.
    create_json(
        path,
        {
            "targets": targets,
            "sources": sources,
            "inputs": inputs,
            "folds": stage.folds.model_dump(),
            "rows": len(X),
            "pipeline": pipeline.describe(),
            "description": describe_stage(trained.model, stage),
        },
    )
    _check_inputs(trained, stage, inputs)
    return X


def _check_inputs(trained: Trained, stage: Stage, inputs: str) -> None:
    """Check that a stage was begun on these predictions of the stages that it uses."""
    path = trained.store.layout.stage(stage.name)
    if trained.store.stage(stage.name).inputs != inputs:
        raise StoreError(
            f"{path}: {stage.name} was begun on other predictions of {', '.join(stage.uses)} (units were added "
            f"since); delete the folder {path.parent} to train it again"
        )


def _whole_oof(trained: Trained, name: str, index: pd.Index) -> pd.DataFrame:
    """OOF predictions of an earlier stage for all training rows."""
    oof = trained.oof(stage=name)
    missing = index.difference(oof.index)
    if len(missing):
        raise StoreError(
            f"{trained.store.layout.path / name}: its OOF lacks {len(missing)} training rows (first {missing[0]}), so "
            f"the next stage has no inputs; train all folds of {name} first"
        )
    return oof.loc[index]

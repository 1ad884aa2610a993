"""The inputs of a stage: features fitted the first time and read from the store after that, targets, and folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from moa.data.dataset import Dataset
from moa.errors import StoreError
from moa.features.pipeline import FeaturePipeline
from moa.files import create_json, digest, read_json
from moa.models.base import Stage
from moa.progress import progress
from moa.training.trained import Trained
from moa.training.unit import StageInputs


def prepare_stage(trained: Trained, stage: Stage, data: Dataset, seeds: Sequence[int]) -> StageInputs:
    """Everything that the units of a stage are trained on.

    Args:
        trained: the model, whose earlier stages this one may use.
        stage: the stage.
        data: the data set.
        seeds: model seeds whose folds are needed.

    Raises:
        StoreError: an earlier stage is not finished, or this one was begun on other predictions of it.
    """
    features, test = (_rows(trained, frame) for frame in (data.features, data.test))
    y = _targets(stage, data).loc[features.index]
    X = _fit_features(trained, stage, data, features, test, list(y.columns))
    keys = seeds if stage.folds.per_seed else seeds[:1]
    splits = {
        seed if stage.folds.per_seed else None: stage.folds.split(y, data.drugs, seed).to_numpy() for seed in keys
    }
    return StageInputs(X, y, splits)


def _rows(trained: Trained, features: pd.DataFrame) -> pd.DataFrame:
    """The rows the model works on; models of all rows take them in the order of sig_id, as the original did."""
    if trained.model.rows == "treated":
        return features[trained.schema.is_treated(features)]
    return features.sort_index()


def _targets(stage: Stage, data: Dataset) -> pd.DataFrame:
    if stage.targets == "scored":
        return data.scored.astype(np.float32)
    y = data.nonscored.astype(np.float32)
    # "nonscored" leaves out the targets without a positive in training (71 of 402 in the competition).
    return y if stage.targets == "nonscored-all" else y.loc[:, y.to_numpy().any(axis=0)]


def _fit_features(
    trained: Trained, stage: Stage, data: Dataset, features: pd.DataFrame, test: pd.DataFrame, targets: list[str]
) -> pd.DataFrame:
    """The stage's training inputs; fits the pipeline the first time, and reads it from the store after that."""
    store = trained.store
    sources = {name: trained.units(trained.stages[name]) for name in stage.uses}
    train_frame, test_frame = features, test
    for name, units in sources.items():
        train_frame = train_frame.join(_whole_oof(trained, name, features.index).add_prefix(f"{name}:"))
        test_frame = test_frame.join(trained.predict_stage(name, test, units).add_prefix(f"{name}:"))
    path = store.layout.stage(stage.name)
    inputs = digest(*(train_frame[c].to_numpy() for c in sorted(set(train_frame) - set(features))))
    if path.exists():
        description = _same_inputs(trained, stage, read_json(path), inputs)
        return FeaturePipeline.restore(description["pipeline"], store.fits).transform(train_frame)
    pipeline = stage.features()
    # For selectors: does the sample have any mechanism of action? All stages of a model get the same labels.
    labelled = data.scored.loc[features.index].to_numpy().any(axis=1).astype(np.int64)
    with progress(f"{trained.model.name} {stage.name} features", len(pipeline.steps)) as bar:
        X, _ = pipeline.fit_transform(
            train_frame, test_frame, store.fits, labelled, lambda name, done, total: bar.update(done, name)
        )
        bar.update(len(pipeline.steps), log=True)
    description = {
        "targets": targets,
        "sources": sources,
        "inputs": inputs,
        "folds": stage.folds.model_dump(),
        "rows": len(X),
        "pipeline": pipeline.describe(),
    }
    # Another process may have been first; fits are shared by what they were fitted on, so its pipeline is this one.
    _same_inputs(trained, stage, create_json(path, description), inputs)
    return X


def _same_inputs(trained: Trained, stage: Stage, description: dict[str, Any], inputs: str) -> dict[str, Any]:
    """A stage's description, if the stage was begun on these predictions of the stages that it uses."""
    path = trained.store.layout.stage(stage.name)
    if description["inputs"] != inputs:
        raise StoreError(
            f"{path}: {stage.name} was begun on other predictions of {', '.join(stage.uses)} (units were added "
            f"since); delete the folder {path.parent} to train it again"
        )
    return description


def _whole_oof(trained: Trained, name: str, index: pd.Index) -> pd.DataFrame:
    """OOF predictions of an earlier stage for all training rows."""
    oof = trained.oof(stage=name)
    missing = index.difference(oof.index)
    if len(missing):
        raise StoreError(
            f"{trained.store.folder / name}: its OOF lacks {len(missing)} training rows (first {missing[0]}), so the "
            f"next stage has no inputs; train all folds of {name} first"
        )
    return oof.loc[index]

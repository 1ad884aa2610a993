"""The unit of training: one (stage, seed, fold) as a pure function of its arguments.

``train_unit`` and all of its arguments can be pickled, so that a unit can run in a thread, in another process or on
another machine. It reads and writes no files but checkpoints in ``runtime.scratch``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import torch

from moa.data.holdout import Held
from moa.errors import UserError
from moa.features.fits import NoStore
from moa.features.pipeline import FeaturePipeline
from moa.learners.base import BatchedLearner, EpochCallback, Fitted, FoldData, traits
from moa.learners.runtime import Runtime
from moa.models.base import Stage
from moa.weights.units import UnitResult

#: Share of the training rows that choose the epoch where the validation fold must not.
INNER_SHARE = 1 / 8


@dataclass(frozen=True)
class StageInputs:
    """What all units of a stage are trained on.

    Attributes:
        X: inputs of all training rows, float32, shape (rows, features), indexed by sig_id.
        y: 0/1 targets of the same rows, float32, shape (rows, targets), same index.
        folds: fold of each row, shape (rows,), by model seed; the key None holds for all seeds.
        held: the folds where whole compounds are held out, by the keys of ``folds``, which has them too.
        blind: nothing of training may see the validation fold: the kept epoch is the last, or is chosen on some of the
            training rows.
        labelled: 1 for rows that have any mechanism of action, shape (rows,), for features that are fitted inside a
            unit; None: no such feature is asked for.
        treatments, compounds, controls: of the rows, as in ``moa.learners.base.FoldData``.
    """

    X: pd.DataFrame
    y: pd.DataFrame
    folds: Mapping[int | None, np.ndarray]
    held: Mapping[int | None, Held] | None = None
    blind: bool = False
    labelled: np.ndarray | None = None
    treatments: np.ndarray | None = None
    compounds: np.ndarray | None = None
    controls: np.ndarray | None = None

    def fold(self, seed: int, fold: int) -> FoldData:
        """The data of one unit: its training rows, and the rows that are predicted as OOF."""
        key = self._key(seed)
        fold_of_row = self.folds[key]
        held = self.held[key] if self.held else None
        return FoldData(
            self.X,
            self.y,
            held.train(fold) if held else np.flatnonzero(fold_of_row != fold),
            np.flatnonzero(fold_of_row == fold),
            treatments=self.treatments,
            compounds=held.groups if held else self.compounds,
            controls=self.controls,
            apart=held.codes[:, 1:] if held and held.codes.shape[1] > 1 else None,
        )

    def inner(self, train: np.ndarray, seed: int, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Split a unit's training rows into those to fit on and those that choose the epoch.

        Whole compounds are taken for the latter, where they are known, until they hold ``INNER_SHARE`` of the rows.
        """
        groups = self.held[self._key(seed)].groups[train] if self.held else train
        names, of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        order = np.random.default_rng([seed, fold]).permutation(len(names))
        count = int(np.searchsorted(np.cumsum(sizes[order]), INNER_SHARE * len(train))) + 1
        chosen = np.isin(of_row, order[: min(count, len(names) - 1)])
        return train[~chosen], train[chosen]

    def _key(self, seed: int) -> int | None:
        """The key of a seed's folds."""
        return seed if seed in self.folds else None


@dataclass(frozen=True)
class Unit:
    """One unit to train.

    ``initial`` is the finished unit that it starts from, where the stage names one; ``runtime.scratch`` is its own
    folder for checkpoints.
    """

    stage: Stage
    seed: int
    fold: int
    initial: Fitted | None
    runtime: Runtime


class UnitsFailed(UserError):
    """Some units failed, and those that do not need them are finished."""

    exit_code = 1


class UnitCallback:
    """Receives the progress of units. Every method does nothing here; override what you need.

    Methods may be called from several threads.
    """

    def on_start(self, seed: int, fold: int) -> None:
        """Called when a unit begins on a cluster; again where its worker was lost and it begins anew."""

    def on_epoch_end(self, seed: int, fold: int, epoch: int, epochs: int, row: dict[str, float]) -> None:
        """Called after each epoch of a unit; see ``moa.learners.base.EpochCallback``."""

    def on_failure(self, seed: int, fold: int, reason: str) -> None:
        """Called where a unit failed and the others go on; ``reason`` is one line."""

    def on_finished(self, result: UnitResult) -> None:
        """Called when a unit is stored."""


def train_unit(inputs: StageInputs, unit: Unit, callback: EpochCallback | None = None) -> UnitResult:
    """Train one unit; the callback receives each epoch."""
    started = perf_counter()
    data, features = _prepare(inputs, unit)
    learner, learned = unit.stage.learner, _learned(inputs, unit, data)
    fitted = learner.fit(learned, unit.seed, unit.fold, unit.runtime, unit.initial, callback)
    if inputs.blind:  # what the learner predicted for its own validation rows is of other rows
        fitted.oof, fitted.variants = None, {}
    return _result(unit, data, features, fitted, perf_counter() - started, _trained_on(inputs, data))


def train_batch(
    inputs: StageInputs, units: Sequence[Unit], callbacks: Sequence[EpochCallback | None]
) -> list[UnitResult]:
    """Train several units of one stage as one batched network, see ``moa.learners.base.BatchedLearner``."""
    started = perf_counter()
    learner, runtime = units[0].stage.learner, units[0].runtime
    assert isinstance(learner, BatchedLearner)
    prepared = [_prepare(inputs, unit) for unit in units]
    learned = [_learned(inputs, unit, data) for unit, (data, _) in zip(units, prepared, strict=True)]
    seeds, folds = [unit.seed for unit in units], [unit.fold for unit in units]
    fitted = learner.fit_batched(learned, seeds, folds, runtime, callbacks)
    seconds = (perf_counter() - started) / len(units)
    parts = zip(units, prepared, fitted, strict=True)
    return [
        _result(unit, data, features, each, seconds, _trained_on(inputs, data))
        for unit, (data, features), each in parts
    ]


def _trained_on(inputs: StageInputs, data: FoldData) -> dict[str, Any] | None:
    """The treated rows that a unit is trained on, for calibration; None in the competition."""
    if not inputs.blind:
        return None
    rows = data.train if data.controls is None else data.train[~data.controls[data.train]]
    return {"rows": len(rows), "positives": data.y.iloc[rows].sum().astype(int).tolist()}


def _prepare(inputs: StageInputs, unit: Unit) -> tuple[FoldData, FeaturePipeline | None]:
    """The unit's data, with the features that are fitted on its training rows."""
    data = inputs.fold(unit.seed, unit.fold)
    if unit.stage.unit_features is None:
        return data, None
    fits = NoStore()
    labelled = None if inputs.labelled is None else inputs.labelled[data.train]
    pipeline = unit.stage.unit_features(unit.seed)
    controls = None if data.controls is None else data.controls[data.train]
    train = pipeline.fit_train(data.X.iloc[data.train], labelled, fits, controls)
    # Restored, it has no steps, whose selectors cannot be pickled.
    features = FeaturePipeline.restore(pipeline.describe(), fits)
    others = np.setdiff1d(np.arange(len(data.X)), data.train)
    X = np.empty((len(data.X), train.shape[1]), features.dtype)
    X[data.train], X[others] = train, features.transform(data.X.iloc[others])
    return replace(data, X=pd.DataFrame(X, data.X.index, train.columns)), features


def _learned(inputs: StageInputs, unit: Unit, data: FoldData) -> FoldData:
    """What the learner is given: the unit's data, or, where it must not see the validation fold, parts of them."""
    if not inputs.blind:
        return data
    if traits(unit.stage.learner).fixed_epochs:
        return replace(data, keep_last=True)
    train, valid = inputs.inner(data.train, unit.seed, unit.fold)
    return replace(data, train=train, valid=valid)


def _result(
    unit: Unit,
    data: FoldData,
    features: FeaturePipeline | None,
    fitted: Fitted,
    seconds: float,
    trained_on: dict[str, Any] | None,
) -> UnitResult:
    started = perf_counter()
    values = fitted.oof
    if values is None:
        values = unit.stage.learner.predict(fitted, data.X.iloc[data.valid], unit.runtime)
    oof = pd.DataFrame(values, data.X.index[data.valid], data.y.columns)
    seconds += perf_counter() - started
    return UnitResult(unit.seed, unit.fold, fitted, features, oof, seconds, torch.get_num_threads(), trained_on)

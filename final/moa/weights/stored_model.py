"""A model and what is stored of it: finished units, learning curves, costs, facts of the training data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pandas as pd

from moa.data.assay import COMPETITION, Assay
from moa.data.feature_names import competition_features
from moa.data.holdout import HoldOut
from moa.errors import StoreError
from moa.features import Familiarity, TrainingEvidence
from moa.features.pipeline import FeaturePipeline
from moa.learners.runtime import Runtime
from moa.models.base import ModelConfig, Recipe, Stage
from moa.models.source import code_of
from moa.weights.records import CalibrationRecord
from moa.weights.stage_description import changed_columns, changed_stage
from moa.weights.store import ModelStore
from moa.weights.units import StoredUnit


def stages_of(model: Recipe, config: ModelConfig, schema: Assay, hold_out: HoldOut | None) -> tuple[Stage, ...]:
    """The stages of a model, with the folds that hold out whole compounds where there are some."""
    stages = model.stages(config, schema)
    return tuple(replace(stage, folds=hold_out) for stage in stages) if hold_out else stages


class StoredModel:
    """A model and what is stored of it.

    Without ``config`` the model has the published settings, and without ``hold_out`` the recipe's own folds. ``schema``
    is that of the training data, ``runtime`` has the device and the precision of predictions.
    """

    def __init__(
        self,
        model: Recipe,
        weights: Path,
        config: ModelConfig | None = None,
        schema: Assay = COMPETITION,
        runtime: Runtime | None = None,
        hold_out: HoldOut | None = None,
    ):
        self.model, self.config, self.schema, self.hold_out = model, config or model.config, schema, hold_out
        self.store = ModelStore(weights, model.name)
        self.runtime = runtime or Runtime()
        self.stages = {stage.name: stage for stage in stages_of(model, self.config, schema, hold_out)}
        self.last = list(self.stages.values())[-1]
        self._kept: dict[tuple[Any, ...], Any] | None = None

    @property
    def blind(self) -> bool:
        """Whether training sees nothing of a validation fold; in the competition it chooses the epoch as published."""
        return self.hold_out is not None or not self.schema.of_competition

    @property
    def targets(self) -> list[str]:
        """Names of the scored targets, in the order of the training file."""
        return self.store.stage(self.last.name).targets

    def check_recipe(self) -> None:
        """Refuse fits and weights of a recipe that was changed since, in the package or outside of it.

        Raises:
            StoreError: names the first change.
        """
        store = self.store
        for stage in self.stages.values():
            path = store.layout.stage(stage.name)
            if not path.exists():
                continue
            changed = changed_stage(self.model, stage, store.stage(stage.name))
            unit = next(iter(self.units(stage)), None)
            if not changed and unit and (inside := store.unit_facts(stage.name, *unit).features):
                changed = changed_columns(stage, unit[0], inside)
            if changed:
                raise StoreError(f"{path}: trained by another recipe ({changed}); {store.again}")
        store.check_code(code_of(self.model))

    def units(self, stage: Stage) -> list[tuple[int, int]]:
        """The finished units (seed, fold) of a stage."""
        return [unit for unit in stage.units() if self.store.has_unit(stage.name, *unit)]

    def _some(self, units: list[tuple[int, int]], stage: Stage) -> list[tuple[int, int]]:
        if not units:
            raise StoreError(f"{self.store.layout.path}: holds no finished unit of {stage.name}; train the model first")
        return units

    def keep(self) -> Self:
        """Keep what is read in memory from now on, for predictions of many parts; returns this object."""
        self._kept = {}
        return self

    def unit(self, stage: str, seed: int, fold: int) -> StoredUnit:
        """One finished unit."""
        return self._read(lambda: self.store.load_unit(stage, seed, fold), "unit", stage, seed, fold)

    def pipeline(self, stage: str) -> FeaturePipeline:
        """The fitted feature pipeline of a stage."""
        store = self.store
        return self._read(
            lambda: FeaturePipeline.restore(store.stage(stage).pipeline.to_json(), store.fits), "pipeline", stage
        )

    def _read(self, read: Callable[[], Any], *what: Any) -> Any:
        if self._kept is None:
            return read()
        if what not in self._kept:
            self._kept[what] = read()
        return self._kept[what]

    def familiarity(self) -> Familiarity | None:
        """Measures how far samples lie from the training data; None where the weights have no such fit."""
        facts = self.store.training_facts()
        return self.store.fits.load(facts.familiarity) if facts else None

    def prevalence(self) -> pd.Series | None:
        """Share of treated training rows that carry a target, by target; None as in ``familiarity``."""
        facts = self.store.training_facts()
        return pd.Series(facts.prevalence) if facts else None

    def evidence(self) -> TrainingEvidence | None:
        """Labels and compounds of the training rows; None where the weights have no such fit."""
        record = self.store.evidence()
        if record is None:
            return None
        found = self.store.fits.load(record.evidence)
        if not isinstance(found, TrainingEvidence):
            raise StoreError(f"{self.store.fits.path(record.evidence)}: holds no evidence; delete it and train again")
        return found

    def identities(self) -> pd.DataFrame | None:
        """Gene or cell line behind each feature, as ``moa.data.feature_names.read_identities``; None if not known."""
        if self.schema.of_competition:
            return competition_features()
        facts = self.store.training_facts()
        return pd.DataFrame.from_dict(facts.identities, orient="index") if facts and facts.identities else None

    def has_seed(self, stage: Stage, seed: int) -> bool:
        """Whether all folds of a seed are finished; False where the stage has no such seed."""
        own = [unit for unit in stage.units() if unit[0] == seed]
        return bool(own) and all(self.store.has_unit(stage.name, *unit) for unit in own)

    def mapping(self) -> dict[str, Any] | None:
        """How the plates of the training data were read, as ``moa.importing.mapping`` has it; None if not known."""
        facts = self.store.training_facts()
        return facts.mapping or None if facts else None

    def missing_units(self) -> int:
        """Number of units of the whole plan that are not finished."""
        return sum(len(stage.units()) - len(self.units(stage)) for stage in self.stages.values())

    def history(self) -> pd.DataFrame:
        """Learning curves, one row per epoch of every unit: stage, seed, fold, epoch, train_loss, valid_loss."""
        return pd.DataFrame(
            {"stage": stage.name, "seed": seed, "fold": fold, **row}
            for stage in self.stages.values()
            for seed, fold in self.units(stage)
            for row in self.store.unit_facts(stage.name, seed, fold).history
        )

    def cost(self, until: str | None = None) -> tuple[int, float]:
        """Number of finished units, and the seconds of each added up; up to the stage ``until``.

        Units that were trained side by side took less by the clock.
        """
        seconds = [
            self.store.unit_facts(stage.name, *unit).seconds
            for stage in self.stages_until(until)
            for unit in self.units(stage)
        ]
        return len(seconds), sum(seconds)

    def stages_until(self, name: str | None) -> list[Stage]:
        """The stages up to the named one, all of them for None."""
        names = list(self.stages)
        return [self.stages[each] for each in names[: names.index(name) + 1 if name else None]]

    def calibration(self) -> CalibrationRecord | None:
        """What calibrates predictions; None for the competition's models, and in weights of older versions."""
        return self._read(self.store.calibration, "calibration")

    @property
    def one_mechanism(self) -> bool:
        """Whether each training row has exactly one mechanism; False where that is not known."""
        record = self.calibration()
        return record is not None and record.one

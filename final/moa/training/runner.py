"""Trains one model: the units of its stages that are not on disk yet.

A run is the set of units that are not finished, so a run that was killed continues where it stopped, and several
processes can work on one weights folder, for example one fold each. Each unit is stored as soon as it is finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.dataset import Dataset
from moa.data.schema import (
    COMPETITION,
    TEST_FEATURES,
    TRAIN_DRUG,
    TRAIN_FEATURES,
    TRAIN_NONSCORED,
    TRAIN_SCORED,
    Schema,
)
from moa.data.table_files import write_table
from moa.errors import UserError
from moa.features import Familiarity
from moa.files import create_json
from moa.learners.runtime import Runtime
from moa.models.base import ModelConfig, Recipe, Stage
from moa.progress import Units, progress
from moa.training.executors import LocalExecutor, UnitExecutor
from moa.training.selection import Selection
from moa.training.stage_inputs import prepare_stage
from moa.training.trained import Trained
from moa.training.unit import Unit, UnitCallback, UnitResult


@dataclass(frozen=True)
class Predictions:
    """Tables of a model: ``oof`` over the training rows covered so far, ``test`` over all test rows (controls 0)."""

    oof: pd.DataFrame
    test: pd.DataFrame


class Runner:
    """Trains one model into a weights folder.

    Args:
        model: the recipe.
        weights: the weights folder.
        config: the model's settings; None: the published ones.
        runtime: how units are run.
        profile: recorded in the manifest.
        schema: of the data it will be trained on.
        executor: runs the units; None: on this machine.

    Attributes:
        trained: what is finished so far, for predictions and learning curves.
    """

    def __init__(
        self,
        model: Recipe,
        weights: Path,
        config: ModelConfig | None = None,
        runtime: Runtime | None = None,
        profile: str = "custom",
        schema: Schema = COMPETITION,
        executor: UnitExecutor | None = None,
    ):
        self.model, self.profile, self.runtime = model, profile, runtime or Runtime()
        self.executor = executor or LocalExecutor()
        self.trained = Trained(model, Path(weights), config or model.config, schema, self.runtime)

    def train(self, data: Dataset, selection: Selection | None = None) -> Predictions | None:
        """Train the selected units that are not finished; write and return the predictions so far.

        Returns None while the last stage has no unit, as after ``Selection(stage=...)`` with an earlier stage.
        """
        self.train_units(data, selection)
        trained = self.trained
        if not trained.units(trained.last):
            return None
        while True:
            units = trained.units(trained.last)
            predictions = Predictions(trained.oof(), trained.predict(data.test))
            write_table(trained.store.layout.prediction("oof"), predictions.oof)
            write_table(trained.store.layout.prediction("test"), predictions.test)
            # Another process may have stored a unit and its tables meanwhile: the last ones written must hold all.
            if trained.units(trained.last) == units:
                return predictions

    def train_units(self, data: Dataset, selection: Selection | None = None, until: str | None = None) -> None:
        """Train the selected units that are not finished, and predict nothing.

        Args:
            data: the data set.
            selection: which units.
            until: last stage to train, as if the model ended there; None: all.

        Raises:
            UserError: the selection names a stage or fold that does not exist.
            StoreError: the weights folder was made with other settings or data.
        """
        plan = self._plan(selection or Selection(), until)
        self.trained.store.claim(
            {
                "model": self.model.name,
                "recipe": self.model.version,
                "profile": self.profile,
                "settings": self.trained.config.model_dump(mode="json"),
                "schema": self.trained.schema.model_dump(mode="json"),
                "data": self._fingerprint(data),
            }
        )
        self._describe_training(data)
        for stage, wanted in plan:
            if not all(self.trained.store.has_unit(stage.name, *unit) for unit in wanted):
                self._train_stage(stage, data, wanted)

    def _plan(self, selection: Selection, until: str | None) -> list[tuple[Stage, list[tuple[int, int]]]]:
        """Stages and their selected units; made first, so that a wrong fold is reported before hours of training."""
        stages = self.trained.stages
        if selection.stage and selection.stage not in stages:
            raise UserError(f"--stage {selection.stage}: {self.model.name} has {', '.join(stages)}")
        chain = self.trained.stages_until(until)
        return [
            (stage, selection.units(stage, any(stage.name in later.uses for later in chain)))
            for stage in chain
            if selection.stage in (None, stage.name)
        ]

    def _describe_training(self, data: Dataset) -> None:
        """Store what predictions of new samples are compared with; the same for all models of one data set."""
        store = self.trained.store
        if store.layout.training.exists():
            return
        treated = data.features[data.treated]
        with progress(f"{self.model.name} familiarity"):
            _, key = store.fits.fit(Familiarity(), treated[list(data.schema.values)].to_numpy(np.float64))
        prevalence = data.scored[data.treated].mean()
        create_json(store.layout.training, {"familiarity": key, "prevalence": prevalence.to_dict()})

    def _train_stage(self, stage: Stage, data: Dataset, wanted: list[tuple[int, int]]) -> None:
        store = self.trained.store
        missing = [unit for unit in wanted if not store.has_unit(stage.name, *unit)]
        inputs = prepare_stage(self.trained, stage, data, seeds=list(dict.fromkeys(seed for seed, _ in missing)))
        units = (self._unit(stage, seed, fold) for seed, fold in missing)
        done = len(wanted) - len(missing)
        with progress(f"{self.model.name} {stage.name}", len(wanted), done=done) as bar:
            shown = _Progress(Units(bar, done))
            for result in self.executor.run(inputs, units, shown):
                store.save_unit(stage.name, result, self.runtime.device)
                shown.finished(result)

    def _unit(self, stage: Stage, seed: int, fold: int) -> Unit:
        store = self.trained.store
        initial = store.load_unit(stage.starts_from, seed, fold).fitted if stage.starts_from else None
        runtime = self.runtime.replace(scratch=store.scratch(stage.name, seed, fold))
        return Unit(stage, seed, fold, initial, runtime)

    def _fingerprint(self, data: Dataset) -> dict[str, str]:
        needs = self.model.needs(self.trained.config, self.trained.schema)
        optional = {TRAIN_NONSCORED: needs["nonscored"], TRAIN_DRUG: needs["drugs"]}
        names = [TRAIN_FEATURES, TRAIN_SCORED, TEST_FEATURES, *(name for name, needed in optional.items() if needed)]
        return {name: data.fingerprint[name] for name in names}


class _Progress(UnitCallback):
    """Shows how far the units of a stage are."""

    def __init__(self, units: Units):
        self._units = units

    def on_epoch_end(self, seed: int, fold: int, epoch: int, epochs: int, row: dict[str, float]) -> None:
        self._units.epoch((seed, fold), epoch, epochs, f"seed {seed} fold {fold} valid loss {row['valid_loss']:.5f}")

    def finished(self, result: UnitResult) -> None:
        """Count a finished unit."""
        seed, fold = result.seed, result.fold
        self._units.finished((seed, fold), f"seed {seed} fold {fold} best valid loss {result.best_loss:.5f}")

"""Walk over a model's units and train those that are not there yet.

The unit of work is (model, stage, seed, fold). A run is the set of units that are not on disk, so a killed run goes on
where it stopped, and several processes may work on one store, a fold each. Units trained at once (``moa.learners.perceptron.batched``)
are stored one after another as soon as their group is done: a kill loses the group in flight, no more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moa.data.dataset import Dataset
from moa.data.schema import CELLS, GENES, TEST_FEATURES, TRAIN_DRUG, TRAIN_FEATURES, TRAIN_NONSCORED, TRAIN_SCORED
from moa.data.table_files import write_table
from moa.errors import StoreError, UserError
from moa.features.familiarity import Familiarity
from moa.features.pipeline import FeaturePipeline
from moa.files import create_json, digest, read_json
from moa.learners.base import Fold
from moa.learners.common import pick_device
from moa.learners.runtime import Runtime
from moa.models.base import ModelConfig, Recipe, Selection, Stage, Unit
from moa.models.registry import recipe
from moa.progress import Bar, console, progress
from moa.training.executors import fit_group, groups
from moa.training.trained import Trained

__all__ = ["Predictions", "Runner", "Selection", "needs", "open_runner", "pick_device"]


@dataclass(frozen=True)
class Predictions:
    """Tables of a model: ``oof`` over the training rows covered so far, ``test`` over all test rows (controls 0)."""

    oof: pd.DataFrame
    test: pd.DataFrame


class Runner(Trained):
    """Trains one model, and replays it as ``moa.training.trained.Trained``, whose arguments it takes."""

    # -- training -----------------------------------------------------------------------------------------------------

    def train(self, data: Dataset, selection: Selection | None = None) -> Predictions | None:
        """Train the units that are selected and not there yet; write and return the predictions so far.

        None is returned while the last stage has no unit, as after `--stage` with an earlier one.
        """
        self.train_units(data, selection)
        if not self._units_present(self.last):
            return None
        while True:
            units = self._units_present(self.last)
            predictions = Predictions(self.oof(), self.predict(data.test))
            write_table(self.store.prediction_path("oof"), predictions.oof)
            write_table(self.store.prediction_path("test"), predictions.test)
            # Another process may have stored a unit, and its tables, meanwhile: the last ones written must hold all.
            if self._units_present(self.last) == units:
                return predictions

    def train_units(self, data: Dataset, selection: Selection | None = None, until: str | None = None) -> None:
        """Train the units that are selected and not there yet, and predict nothing.

        Args:
            data: the competition's tables.
            selection: which units.
            until: last stage to train, as if the model ended there; None: all.
        """
        selection = selection or Selection()
        if selection.stage and selection.stage not in self.stages:
            raise UserError(f"--stage {selection.stage}: {self.model.name} has {', '.join(self.stages)}")
        chain = self._until(until)
        plan = [  # drawn up first, so that a fold that no stage has is told before hours of training
            (stage, selection.units(stage, any(stage.name in later.uses for later in chain)))
            for stage in chain
            if selection.stage in (None, stage.name)
        ]
        self.store.claim(
            {
                "model": self.model.name,
                "profile": self.profile,
                "settings": self.config.model_dump(mode="json"),
                "data": self._fingerprint(data),
            }
        )
        self._describe_training(data)
        features, test = self._rows(data.features), self._rows(data.test)
        for stage, wanted in plan:
            self._train_stage(stage, data, features, test, wanted)

    def _describe_training(self, data: Dataset) -> None:
        """Keep what predictions of new samples are told beside; the same for all models of one data set."""
        if self.store.training_path.exists():
            return
        treated = data.features[data.treated]
        with progress(f"{self.model.name} familiarity", 1) as bar:
            _, key = self.store.fits.fit(Familiarity(), treated[[*GENES, *CELLS]].to_numpy(np.float64))
            bar.update(1)
        prevalence = data.scored[data.treated].mean()
        create_json(self.store.training_path, {"familiarity": key, "prevalence": prevalence.to_dict()})

    def _train_stage(
        self, stage: Stage, data: Dataset, features: pd.DataFrame, test: pd.DataFrame, wanted: list[Unit]
    ) -> None:
        if all(self.store.has_unit(stage.name, *unit) for unit in wanted):
            return
        y = self._targets(stage, data).loc[features.index]
        x = self._fit_features(stage, data, features, test, y)
        missing = [unit for unit in wanted if not self.store.has_unit(stage.name, *unit)]
        splits: dict[int | None, np.ndarray] = {}

        def folds() -> Iterator[Fold]:
            for seed, fold in missing:
                key = seed if stage.folds.per_seed else None
                if key not in splits:
                    splits[key] = stage.folds.split(y, data.drugs, seed).to_numpy()
                yield self._fold(stage, seed, fold, x, y, splits[key])

        with progress(f"{self.model.name} {stage.name}", len(wanted)) as bar:
            done = len(wanted) - len(missing)
            for group in groups(stage.learner, folds()):
                self._train_group(stage, group, bar, done)
                done += len(group)

    def _fold(self, stage: Stage, seed: int, fold: int, x: pd.DataFrame, y: pd.DataFrame, folds: np.ndarray) -> Fold:
        initial = self.store.load_unit(stage.starts_from, seed, fold) if stage.starts_from else None
        train, valid = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        scratch = self.store.scratch(stage.name, seed, fold)
        return Fold(x, y, train, valid, seed, fold, self.device, scratch, initial)

    def _train_group(self, stage: Stage, group: list[Fold], bar: Bar, done: int) -> None:
        """Train and store the units of a group; killed inside, the group's units are those to train again."""
        started = time.perf_counter()

        def on_epoch(fold: Fold, epoch: int, epochs: int, row: dict[str, float]) -> None:
            ahead = len(group) * (epoch + 1) / epochs
            bar.update(done + ahead, f"seed {fold.seed} fold {fold.fold} valid loss {row['valid_loss']:.5f}")

        group = [replace(fold, on_epoch=partial(on_epoch, fold)) for fold in group]
        for number, (fold, fitted) in enumerate(zip(group, fit_group(stage.learner, group), strict=True), 1):
            honest = fitted.meta.get("honest_oof")
            if honest:
                values = fitted.variants[honest]
            else:
                values = stage.learner.predict(fitted, fold.x.iloc[fold.valid], self.device)
            oof = pd.DataFrame(values, fold.x.index[fold.valid], fold.y.columns)
            seconds = (time.perf_counter() - started) / len(group)
            self.store.save_unit(stage.name, fold.seed, fold.fold, fitted, oof, seconds)
            best = min(row["valid_loss"] for row in fitted.history)
            bar.update(done + number, f"seed {fold.seed} fold {fold.fold} best valid loss {best:.5f}", log=True)

    def _fit_features(
        self, stage: Stage, data: Dataset, features: pd.DataFrame, test: pd.DataFrame, y: pd.DataFrame
    ) -> pd.DataFrame:
        """The stage's training inputs; fits the pipeline the first time, and reads it from the store after that."""
        sources = {name: self._units_present(self.stages[name]) for name in stage.uses}
        train_frame, test_frame = features, test
        for name, units in sources.items():
            train_frame = train_frame.join(self._prefixed(name, self._full_oof(name, features.index)))
            test_frame = test_frame.join(self._prefixed(name, self._predict_stage(name, test, units)))
        path = self.store.stage_path(stage.name)
        inputs = digest(*(train_frame[c].to_numpy() for c in sorted(set(train_frame) - set(features))))
        if path.exists():
            description = self._same_inputs(stage, read_json(path), inputs)
            return FeaturePipeline.restore(description["pipeline"], self.store.fits).transform(train_frame)
        pipeline = stage.features()
        # For selectors: does the sample have any mechanism of action? All stages of a model are told the same.
        labelled = data.scored.loc[features.index].to_numpy().any(axis=1).astype(np.int64)
        with progress(f"{self.model.name} {stage.name} features", len(pipeline.steps)) as bar:
            x, _ = pipeline.fit_transform(
                train_frame, test_frame, self.store.fits, labelled, lambda name, done, total: bar.update(done, name)
            )
            bar.update(len(pipeline.steps), log=True)
        description = {
            "targets": list(y.columns),
            "sources": sources,
            "inputs": inputs,
            "folds": stage.folds.model_dump(),
            "rows": len(x),
            "pipeline": pipeline.describe(),
        }
        # Another process may have been first; fits are shared by what they were fitted on, so its pipeline is this one.
        self._same_inputs(stage, create_json(path, description), inputs)
        return x

    def _same_inputs(self, stage: Stage, description: dict[str, Any], inputs: str) -> dict[str, Any]:
        """A stage's description, if the stage was begun on these predictions of the stages that it uses."""
        path = self.store.stage_path(stage.name)
        if description["inputs"] != inputs:
            raise StoreError(
                f"{path}: {stage.name} was begun on other predictions of {', '.join(stage.uses)} (units were added "
                f"since); delete the folder {path.parent} to train it again"
            )
        return description

    def _full_oof(self, name: str, index: pd.Index) -> pd.DataFrame:
        oof = self._oof(self.stages[name])
        lost = index.difference(oof.index)
        if len(lost):
            raise StoreError(
                f"{self.store.folder / name}: its OOF lacks {len(lost)} training rows (first {lost[0]}), so the next "
                f"stage has no inputs; train all folds of {name} first"
            )
        return oof.loc[index]

    # -- rows and targets ---------------------------------------------------------------------------------------------

    def _rows(self, features: pd.DataFrame) -> pd.DataFrame:
        """The rows the model works on; models of all rows take them by sig_id, as the original did."""
        return features[self._treated(features)] if self.model.rows == "treated" else features.sort_index()

    def _targets(self, stage: Stage, data: Dataset) -> pd.DataFrame:
        if stage.targets == "scored":
            return data.scored.astype(np.float32)
        y = data.nonscored.astype(np.float32)
        # "nonscored" leaves out the targets without a positive in training (71 of 402 in the competition).
        return y if stage.targets == "nonscored-all" else y.loc[:, y.to_numpy().any(axis=0)]

    def _fingerprint(self, data: Dataset) -> dict[str, str]:
        names = [TRAIN_FEATURES, TRAIN_SCORED, TEST_FEATURES]
        if any(stage.targets != "scored" for stage in self.stages.values()):
            names.append(TRAIN_NONSCORED)
        if any(stage.folds.needs_drugs for stage in self.stages.values()):
            names.append(TRAIN_DRUG)
        return {name: data.fingerprint[name] for name in names}


def needs(model: Recipe, config: ModelConfig) -> dict[str, bool]:
    """Which optional files a model needs, as arguments of ``load_dataset``."""
    stages = model.stages(config)
    return {
        "drugs": any(stage.folds.needs_drugs for stage in stages),
        "nonscored": any(stage.targets != "scored" for stage in stages),
    }


def open_runner(name: str, weights: Path, device: str = "auto", precision: str | None = None) -> Runner:
    """The runner of trained weights, settings read from their manifest.

    Args:
        name: of the model.
        weights: the weights folder.
        device: where networks run.
        precision: of ``ModelConfig.at_precision``; None: as in training.
    """
    runner = Runner(recipe(name), Path(weights), device=pick_device(device))
    if precision is not None:
        Runtime.of({"precision": precision}).check(runner.device)
        config = runner.config.at_precision(precision)
        runner = Runner(runner.model, Path(weights), config, runner.device, runner.profile)
    missing = runner.missing_units()
    if missing:
        console.print(f"[yellow]{name}: {missing} units of the plan are not trained; using those that are[/yellow]")
    return runner

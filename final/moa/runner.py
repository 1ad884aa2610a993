"""Walk over a model's units: train those that are not there yet, and turn stored units into predictions.

The unit of work is (model, stage, seed, fold). A run is the set of units that are not on disk, so a killed run goes on
where it stopped, and several processes may work on one store, a fold each. Units trained at once (``moa.ensemble``)
are stored one after another as soon as their group is done: a kill loses the group in flight, no more.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import ValidationError

from moa.data import Dataset
from moa.ensemble import fit_group, groups
from moa.errors import StoreError, UserError
from moa.familiarity import Familiarity
from moa.files import create_json, digest, read_json, write_table
from moa.learner import Fold
from moa.pipeline import FeaturePipeline
from moa.progress import Bar, console, progress
from moa.recipe import ModelConfig, Recipe, Stage, recipe
from moa.schema import (
    CELLS,
    CP_TYPE,
    GENES,
    TEST_FEATURES,
    TRAIN_DRUG,
    TRAIN_FEATURES,
    TRAIN_NONSCORED,
    TRAIN_SCORED,
    TREATED,
)
from moa.store import ModelStore

Unit = tuple[int, int]


@dataclass(frozen=True)
class Selection:
    """Which units to train; the rest is left to other runs.

    Attributes:
        seeds: the first so many seeds; None: all.
        folds: the first so many folds; None: all.
        fold: this fold alone.
        stage: this stage alone.

    Folds are narrowed only where no later stage needs all of them for its inputs.
    """

    seeds: int | None = None
    folds: int | None = None
    fold: int | None = None
    stage: str | None = None

    def units(self, stage: Stage, feeds_later: bool) -> list[Unit]:
        """The units of a stage that this selection asks for."""
        seeds = stage.seeds[: self.seeds]
        numbers = range(stage.folds.n_splits)
        if not feeds_later or self.stage:
            numbers = numbers[: self.folds]
            if self.fold is not None:
                if not 0 <= self.fold < stage.folds.n_splits:
                    raise UserError(f"--fold {self.fold}: {stage.name} has folds 0 to {stage.folds.n_splits - 1}")
                numbers = range(self.fold, self.fold + 1)
        return [(seed, fold) for seed in seeds for fold in numbers]


@dataclass(frozen=True)
class Predictions:
    """Tables of a model: ``oof`` over the training rows covered so far, ``test`` over all test rows (controls 0)."""

    oof: pd.DataFrame
    test: pd.DataFrame


def pick_device(name: str = "auto") -> torch.device:
    """ "auto" takes the GPU where there is one.

    Raises:
        UserError: "cuda" was asked for and there is none, or it is another word.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UserError(f"--device {name}: unknown; choose auto, cpu or cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {name}: no CUDA device is visible; use --device cpu")
    return torch.device(name)


class Runner:
    """Trains and replays one model.

    Args:
        model: the recipe.
        weights: the weights folder.
        config: the model's settings; None reads them from the manifest of trained weights.
        device: where networks run.
        profile: recorded in the manifest.
    """

    def __init__(
        self,
        model: Recipe,
        weights: Path,
        config: ModelConfig | None = None,
        device: torch.device | None = None,
        profile: str = "custom",
    ):
        self.model = model
        self.store = ModelStore(weights, model.name)
        if config is None:
            config, profile = self._trained_settings()
        self.config, self.profile = config, profile
        self.device = device or torch.device("cpu")
        self.stages = {stage.name: stage for stage in model.stages(config)}
        self.last = list(self.stages.values())[-1]

    def _trained_settings(self) -> tuple[ModelConfig, str]:
        """Configuration and profile of the trained weights."""
        path, manifest = self.store.folder / "manifest.json", self.store.manifest()
        if not {"settings", "profile"} <= manifest.keys():
            raise StoreError(f"{path}: holds no settings; copy the weights folder again")
        try:
            return type(self.model.config).model_validate(manifest["settings"]), manifest["profile"]
        except ValidationError as error:
            places = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
            raise StoreError(
                f"{path}: settings that this version of the package does not know ({places}); train again, or use the "
                "version that trained them"
            ) from None

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

    # -- predictions --------------------------------------------------------------------------------------------------

    @property
    def targets(self) -> list[str]:
        """Names of the scored targets, in the order of the training file."""
        return read_json(self.store.stage_path(self.last.name))["targets"]

    def predict(self, features: pd.DataFrame, quiet: bool = False) -> pd.DataFrame:
        """Probabilities for any rows: the mean over all stored seeds and folds; control rows are exactly 0.

        Args:
            features: as read from a features file, shape (rows, 875), indexed by sig_id.
            quiet: show no progress, where the caller does.

        Returns:
            shape (rows, scored targets), in the order of ``features``; float32.
        """
        units = self._units_present(self.last)
        if not units:
            raise StoreError(f"{self.store.folder}: holds no finished unit of {self.last.name}; train the model first")
        treated = self._treated(features)
        rows = features[treated] if self.model.rows == "treated" else features
        found = self._predict_stage(self.last.name, rows, units, quiet)
        result = found.reindex(features.index)
        result[~treated.to_numpy()] = 0
        return result.astype(np.float32)

    def oof(
        self, variant: str | None = None, stage: str | None = None, selection: Selection | None = None
    ) -> pd.DataFrame:
        """Out-of-fold predictions: the mean over seeds, for the rows covered so far.

        Args:
            variant: name of another OOF kept beside the honest one.
            stage: whose; None: the last one's.
            selection: of its seeds and folds alone.
        """
        chosen = self.stages[stage] if stage else self.last
        units = self._units_present(chosen)
        if selection:
            asked = set(selection.units(chosen, feeds_later=False))
            units = [unit for unit in units if unit in asked]
        return self._oof(chosen, variant, units)

    def pipeline(self, stage: str) -> FeaturePipeline:
        """The fitted feature pipeline of a stage."""
        return FeaturePipeline.restore(read_json(self.store.stage_path(stage))["pipeline"], self.store.fits)

    def familiarity(self) -> Familiarity | None:
        """How far samples lie from the training data; None where the weights were trained before this was kept."""
        path = self.store.training_path
        return self.store.fits.load(read_json(path)["familiarity"]) if path.exists() else None

    def prevalence(self) -> pd.Series | None:
        """Share of treated training rows that carry a target, by target; None as in ``familiarity``."""
        path = self.store.training_path
        return pd.Series(read_json(path)["prevalence"]) if path.exists() else None

    def missing_units(self) -> int:
        """How many units of the whole plan are not there yet."""
        return sum(
            not self.store.has_unit(stage.name, *unit) for stage in self.stages.values() for unit in stage.units()
        )

    def history(self) -> pd.DataFrame:
        """Learning curves: stage, seed, fold, epoch, train_loss, valid_loss, one row an epoch of every unit."""
        rows = [
            {"stage": stage.name, "seed": seed, "fold": fold, **row}
            for stage in self.stages.values()
            for seed, fold in self._units_present(stage)
            for row in self.store.unit_facts(stage.name, seed, fold)["history"]
        ]
        return pd.DataFrame(rows)

    def cost(self, until: str | None = None) -> tuple[int, float]:
        """Number of stored units, and seconds their training took; up to the stage ``until``."""
        seconds = [
            self.store.unit_facts(stage.name, *unit)["seconds"]
            for stage in self._until(until)
            for unit in self._units_present(stage)
        ]
        return len(seconds), sum(seconds)

    def _predict_stage(
        self, name: str, rows: pd.DataFrame, units: list[Unit], quiet: bool = False
    ) -> pd.DataFrame:
        stage = self.stages[name]
        description = read_json(self.store.stage_path(name))
        targets = description["targets"]
        frame = rows
        for source, source_units in description["sources"].items():
            chosen = [(seed, fold) for seed, fold in source_units]
            frame = frame.join(self._prefixed(source, self._predict_stage(source, rows, chosen, quiet)))
        if not len(rows):
            return pd.DataFrame(columns=targets, index=rows.index, dtype=np.float32)
        x = FeaturePipeline.restore(description["pipeline"], self.store.fits).transform(frame)
        total = np.zeros((len(x), len(targets)))
        with progress(f"{self.model.name} {name} predict", len(units), quiet) as bar:
            for done, unit in enumerate(units, 1):
                total += stage.learner.predict(self.store.load_unit(name, *unit), x, self.device)
                bar.update(done)
        return pd.DataFrame(total / len(units), x.index, targets).astype(np.float32)

    def _oof(self, stage: Stage, variant: str | None = None, units: list[Unit] | None = None) -> pd.DataFrame:
        units = self._units_present(stage) if units is None else units
        if not units:
            raise StoreError(f"{self.store.folder}: holds no finished unit of {stage.name}; train the model first")
        parts = [self.store.load_oof(stage.name, *unit, variant) for unit in units]
        stacked = pd.concat(parts)
        return stacked.groupby(level=0, sort=True).mean().astype(np.float32)

    def _full_oof(self, name: str, index: pd.Index) -> pd.DataFrame:
        oof = self._oof(self.stages[name])
        lost = index.difference(oof.index)
        if len(lost):
            raise StoreError(
                f"{self.store.folder / name}: its OOF lacks {len(lost)} training rows (first {lost[0]}), so the next "
                f"stage has no inputs; train all folds of {name} first"
            )
        return oof.loc[index]

    def _units_present(self, stage: Stage) -> list[Unit]:
        return [unit for unit in stage.units() if self.store.has_unit(stage.name, *unit)]

    def _until(self, name: str | None) -> list[Stage]:
        """The stages up to one, all of them for None."""
        names = list(self.stages)
        return [self.stages[each] for each in names[: names.index(name) + 1 if name else None]]

    # -- rows and targets ---------------------------------------------------------------------------------------------

    @staticmethod
    def _treated(features: pd.DataFrame) -> pd.Series:
        return features[CP_TYPE] == TREATED

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

    @staticmethod
    def _prefixed(stage: str, table: pd.DataFrame) -> pd.DataFrame:
        return table.add_prefix(f"{stage}:")


def needs(model: Recipe, config: ModelConfig) -> dict[str, bool]:
    """Which optional files a model needs, as arguments of ``load_dataset``."""
    stages = model.stages(config)
    return {
        "drugs": any(stage.folds.needs_drugs for stage in stages),
        "nonscored": any(stage.targets != "scored" for stage in stages),
    }


def open_runner(name: str, weights: Path, device: str = "auto") -> Runner:
    """The runner of trained weights, settings read from their manifest."""
    runner = Runner(recipe(name), Path(weights), device=pick_device(device))
    missing = runner.missing_units()
    if missing:
        console.print(f"[yellow]{name}: {missing} units of the plan are not trained; using those that are[/yellow]")
    return runner

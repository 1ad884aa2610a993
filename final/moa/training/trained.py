"""Trained models: stored units turned into predictions, learning curves and costs. Nothing is fitted here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pydantic import ValidationError

from moa.data.schema import CP_TYPE, TREATED
from moa.errors import StoreError
from moa.features.familiarity import Familiarity
from moa.features.pipeline import FeaturePipeline
from moa.files import read_json
from moa.models.base import ModelConfig, Recipe, Selection, Stage, Unit
from moa.progress import progress
from moa.training.store import ModelStore


class Trained:
    """A model and what is stored of it.

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

    def _predict_stage(self, name: str, rows: pd.DataFrame, units: list[Unit], quiet: bool = False) -> pd.DataFrame:
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
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # hashing and parquet leave Python's lock
            parts = list(pool.map(lambda unit: self.store.load_oof(stage.name, *unit, variant), units))
        stacked = pd.concat(parts)
        return stacked.groupby(level=0, sort=True).mean().astype(np.float32)

    def _units_present(self, stage: Stage) -> list[Unit]:
        return [unit for unit in stage.units() if self.store.has_unit(stage.name, *unit)]

    def _until(self, name: str | None) -> list[Stage]:
        """The stages up to one, all of them for None."""
        names = list(self.stages)
        return [self.stages[each] for each in names[: names.index(name) + 1 if name else None]]

    @staticmethod
    def _treated(features: pd.DataFrame) -> pd.Series:
        return features[CP_TYPE] == TREATED

    @staticmethod
    def _prefixed(stage: str, table: pd.DataFrame) -> pd.DataFrame:
        return table.add_prefix(f"{stage}:")

"""Trained models: stored units turned into predictions, learning curves and costs. Nothing is fitted here."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pandas.api.types import is_float_dtype
from pydantic import ValidationError

from moa.data.assay import Assay
from moa.data.holdout import HoldOut
from moa.errors import StoreError, UserError, in_words
from moa.learners.base import traits
from moa.learners.runtime import Runtime
from moa.metrics.calibration import Calibration, prior_of
from moa.models.base import Recipe
from moa.models.registry import recipe
from moa.progress import console, progress
from moa.weights.calibrating import calibrated_oof
from moa.weights.layout import UnitKey
from moa.weights.means import mean_of_units
from moa.weights.records import CalibrationRecord
from moa.weights.selection import Selection
from moa.weights.store import ModelStore
from moa.weights.stored_model import StoredModel
from moa.words import counted, shown


class Trained(StoredModel):
    """A model and what is stored of it, which predicts.

    Without ``config`` the model has the published settings, and without ``hold_out`` the recipe's own folds. ``schema``
    is that of the training data, ``runtime`` has the device and the precision of predictions.
    """

    def predict(self, features: pd.DataFrame, quiet: bool = False, raw: bool = False) -> pd.DataFrame:
        """Probabilities for any rows: the mean over all stored seeds and folds; control rows are exactly 0.

        ``features`` are as read from a features file, shape (rows, features), indexed by sig_id. The probabilities are
        float32, of shape (rows, scored targets) in the same order. Outside of the competition they are calibrated, see
        `moa.weights.calibrating`; with ``raw`` they are not.

        Raises:
            StoreError: no unit of the last stage is finished.
        """
        units = self._some(self.units(self.last), self.last)
        treated = self.schema.is_treated(features)
        rows = features[treated] if self.model.rows == "treated" else features
        result = self.predict_stage(self.last.name, rows, units, quiet).reindex(features.index)
        if not raw and (record := self.calibration()) is not None and record.beta is not None:
            result.loc[treated] = self._calibrated(record, result[treated]).astype(np.float32)
        result[~treated.to_numpy()] = 0
        return result.astype(np.float32)

    def _calibrated(self, record: CalibrationRecord, q: pd.DataFrame) -> np.ndarray:
        if record.beta is None or record.gamma is None:
            return q.to_numpy()
        if list(record.positives) != list(q):
            raise StoreError(
                f"{self.store.layout.calibration}: of other targets than {self.last.name}; train the model again"
            )
        prior = prior_of(np.array(list(record.positives.values())), record.rows)
        return Calibration(record.one, record.beta, record.gamma).apply(q.to_numpy(np.float64), prior)

    def predict_stage(
        self, name: str, rows: pd.DataFrame, units: list[tuple[int, int]], quiet: bool = False
    ) -> pd.DataFrame:
        """Mean predictions of some units of a stage, float32, shape (rows, targets of the stage)."""
        stage, targets = self.stages[name], self.store.stage(name).targets
        if not len(rows):
            return pd.DataFrame(columns=targets, index=rows.index, dtype=np.float32)
        X = self.inputs(name, rows, quiet)
        with progress(f"{self.model.name} {name} predict", len(units), quiet) as bar:

            def predictions() -> Iterator[np.ndarray]:
                for done, (seed, fold) in enumerate(units, 1):
                    unit = self.unit(name, seed, fold)
                    with _fits_the_model(self.store.layout.unit(UnitKey(name, seed, fold))):
                        yield stage.learner.predict(unit.fitted, unit.inputs(X), self.runtime)
                    bar.update(done)

            return pd.DataFrame(mean_of_units(predictions(), (len(X), len(targets))), X.index, targets)

    def inputs(self, stage: str, rows: pd.DataFrame, quiet: bool = False) -> pd.DataFrame:
        """A stage's inputs for any rows of features, those that earlier stages predict included."""
        sources = self.store.stage(stage).sources
        if set(sources) != set(self.stages[stage].uses):
            raise StoreError(
                f"{self.store.layout.stage(stage)}: uses predictions of {', '.join(sources) or 'no stage'}, and this "
                f"version of the model of {', '.join(self.stages[stage].uses) or 'no stage'}; train again"
            )
        for source, units in sources.items():
            rows = rows.join(self.predict_stage(source, rows, units, quiet).add_prefix(f"{source}:"))
        pipeline = self.pipeline(stage)
        with _fits_the_model(self.store.layout.stage(stage)):
            return pipeline.transform(rows)

    def oof(
        self, variant: str | None = None, stage: str | None = None, selection: Selection | None = None
    ) -> pd.DataFrame:
        """Out-of-fold predictions of a stage, by default the last: the mean over seeds, for the rows covered so far.

        ``variant`` is the name of another OOF stored beside the honest one; ``selection`` narrows seeds and folds.

        Raises:
            StoreError: no such unit is finished.
        """
        chosen = self.stages[stage] if stage else self.last
        asked = selection.units(chosen, feeds_later=False) if selection else chosen.units()
        units = self._some([unit for unit in self.units(chosen) if unit in asked], chosen)
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # hashing and parquet release Python's lock
            parts = list(pool.map(lambda unit: self.store.load_oof(chosen.name, unit[0], unit[1], variant), units))
        targets = self.store.stage(chosen.name).targets
        for unit, part in zip(units, parts, strict=True):
            if list(part.columns) != targets or not all(map(is_float_dtype, part.dtypes)):
                path = self.store.layout.unit(UnitKey(chosen.name, *unit))
                raise StoreError(
                    f"{path}: its OOF predictions have other columns than the targets of {chosen.name}; copy the "
                    "weights folder again"
                )
        for seed in {seed for seed, _ in units}:
            of_seed = [part.index for unit, part in zip(units, parts, strict=True) if unit[0] == seed]
            self.store.check_once(chosen.name, seed, of_seed[0].append(of_seed[1:]))
        return pd.concat(parts).groupby(level=0, sort=True).mean().astype(np.float32)

    def calibrated_oof(self, labels: pd.DataFrame | None = None) -> pd.DataFrame:
        """Out-of-fold predictions as `predict` calibrates, each fold's rows by what the other folds choose.

        In the competition, and where it does not help, those of `oof`; same shape. ``labels`` are the 0/1 labels of all
        treated training rows, shape (rows, targets); None: those that are stored.

        Raises:
            StoreError: no unit of the last stage is finished.
        """
        return calibrated_oof(self, self.calibration(), labels)

    def oof_as_published(self) -> pd.DataFrame | None:
        """Out-of-fold predictions as those of the published CV: of the variant that leaks, or clipped.

        None where the published CV is of honest ones, and where a finished unit has no such variant.
        """
        known, units = self.model.published, self.units(self.last)
        if known is None or not units or not (known.leaky or known.clipped):
            return None
        facts = (self.store.unit_facts(self.last.name, *unit) for unit in units)
        if known.leaky and not all(known.leaky in each.variants for each in facts):
            return None
        found = self.oof(known.leaky)
        return found.clip(*known.clipped) if known.clipped else found


@contextmanager
def _fits_the_model(path: Path) -> Iterator[None]:
    """Report in one line that stored parts cannot be applied: they are of other code, or were tampered with."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if "memory" in str(error):  # torch raises RuntimeError where memory is short
            raise
        what = shown(" ".join(str(error).split()), 160)
        raise StoreError(
            f"{path}: does not fit this version of the model ({type(error).__name__}: {what}); train again, or use the "
            "version that trained it"
        ) from error


def open_trained(name: str | Recipe, weights: Path, runtime: Runtime | None = None, whole: bool = True) -> Trained:
    """Open trained weights with the settings and the schema of their manifest.

    With ``whole`` a note is printed where units of the plan are missing.

    Raises:
        StoreError: there are no weights of that model, their settings are unknown to this version, or the recipe was
            changed since.
        UserError: the model is unknown, or its learners do not predict at the runtime's precision.
    """
    model = name if isinstance(name, Recipe) else recipe(name)
    store = ModelStore(Path(weights), model.name)
    path, manifest = store.layout.manifest, store.manifest()
    if manifest.settings is None or manifest.profile is None:
        raise StoreError(f"{path}: holds no settings; copy the weights folder again")
    store.check_version(model.version)
    try:
        config = type(model.config).model_validate(manifest.settings)
        schema = Assay.model_validate(manifest.data_schema)
        hold_out = HoldOut.model_validate(manifest.hold_out) if manifest.hold_out else None
    except ValidationError as error:
        raise StoreError(
            f"{path}: settings that this version of the package does not know ({in_words(error)}); train again, or "
            "use the version that trained them"
        ) from None
    trained = Trained(model, Path(weights), config, schema, runtime, hold_out)
    trained.check_recipe()
    asked = trained.runtime.precision
    for stage in trained.stages.values():
        if asked not in (precisions := traits(stage.learner).precisions):
            known = ", ".join(each for each in precisions if each != "auto")
            raise UserError(f"--precision {asked}: {stage.name} of {model.name} has {known}")
    if whole and trained.missing_units():
        console.print(f"[yellow]{model.name}: {_in_part(trained)}[/yellow]", highlight=False)
    return trained


def _in_part(trained: Trained) -> str:
    """What of a model's seeds and folds is trained, in words."""
    seeds = trained.last.seeds
    done = [seed for seed in seeds if all(trained.has_seed(stage, seed) for stage in trained.stages.values())]
    begun = {seed for stage in trained.stages.values() for seed, _ in trained.units(stage)}
    if done and begun <= set(done):
        words = f"{len(done)} of its {counted(len(seeds), 'seed')} trained, with all folds"
        return f"{words}; this predicts with them, and `moa train` without --seeds trains the others"
    count = sum(len(stage.units()) for stage in trained.stages.values())
    words = f"{count - trained.missing_units()} of {count} networks (one for each stage, seed and fold) are trained"
    return f"{words}; this uses them, and `moa train` trains the others"

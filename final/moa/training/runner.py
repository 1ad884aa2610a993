"""Trains one model: the units of its stages that are not on disk yet.

A run is the set of units that are not finished, so a run that was killed continues where it stopped, and several
processes can work on one weights folder, for example one fold each. Each unit is stored as soon as it is finished.

Runners of several models may run at the same time in threads of one process, which gives their units to one cluster.
Features and predictions are computed in the process itself, for one model after another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from time import perf_counter

import numpy as np
import pandas as pd

from moa.data.dataset import Dataset
from moa.data.schema import COMPOUND, TEST_FEATURES, TRAIN_DRUG, TRAIN_FEATURES, TRAIN_NONSCORED, TRAIN_SCORED
from moa.data.stored_tables import write_table
from moa.data.wells import describe_rows
from moa.errors import WriteError
from moa.features import Familiarity, TrainingEvidence
from moa.features.evidence import evidence_table
from moa.files import create_json, write_json
from moa.models.base import Stage, needs_of
from moa.models.source import code_of
from moa.progress import progress
from moa.training.executors import LocalExecutor, UnitExecutor
from moa.training.stage_inputs import prepare_stage
from moa.training.unit import Unit
from moa.training.unit_progress import Watch
from moa.weights.calibrating import fit_calibration
from moa.weights.selection import Selection
from moa.weights.trained import Trained

#: Held while a runner fits features or predicts in this process, with all of its cores.
_ALONE = Lock()


@dataclass(frozen=True)
class Predictions:
    """Tables of a model.

    Attributes:
        oof: over the training rows covered so far; calibrated outside of the competition.
        test: over all test rows, controls 0; None while units of the model's plan are missing.
    """

    oof: pd.DataFrame
    test: pd.DataFrame | None


class Runner:
    """Trains one model into its weights folder.

    ``trained`` is what is finished so far, and ``profile`` is recorded in the manifest. Without ``executor`` units run
    on this machine, and without ``watch`` each stage has a bar. Without ``describes``, what new samples are compared
    with is not stored: predictions are the same, and pages about plates have less to say.
    """

    def __init__(
        self,
        trained: Trained,
        profile: str = "custom",
        executor: UnitExecutor | None = None,
        watch: Watch | None = None,
        describes: bool = True,
    ):
        self.trained, self.model, self.profile = trained, trained.model, profile
        self.executor, self.watch = executor or LocalExecutor(), watch or Watch()
        self.describes = describes
        self.placed = self.executor.place(trained.runtime)

    def train(self, data: Dataset, selection: Selection | None = None) -> Predictions | None:
        """Train the selected units that are not finished; write and return the predictions so far.

        The test rows are predicted once the last unit of the plan is finished, by the job that finished it.

        Returns None while the last stage has no unit, as after ``Selection(stage=...)`` with an earlier stage.
        """
        self.train_units(data, selection)
        trained = self.trained
        if not trained.units(trained.last):
            return None
        with self._here("predictions"):
            while True:
                units = trained.units(trained.last)
                self.calibrate(data)
                whole = len(units) == len(trained.last.units())
                test = trained.predict(data.test, self.watch.quiet) if whole else None
                predictions = Predictions(trained.calibrated_oof(), test)
                write_table(trained.store.layout.prediction("oof"), predictions.oof)
                if (record := trained.calibration()) is not None and record.beta is not None:
                    write_table(trained.store.layout.prediction("oof-raw"), trained.oof())
                if test is not None:
                    write_table(trained.store.layout.prediction("test"), test)
                # Another process may have stored a unit and its tables meanwhile: the last ones must hold all.
                if trained.units(trained.last) == units:
                    return predictions

    def train_units(self, data: Dataset, selection: Selection | None = None, until: str | None = None) -> None:
        """Train the selected units that are not finished and predict nothing, as if the model ended at stage ``until``.

        Raises:
            UserError: the selection names a stage or fold that does not exist.
            StoreError: the weights folder was made with other settings or data, or by another recipe.
            UnitsFailed: some units failed on a cluster; later stages are not begun.
        """
        plan = self.plan(selection, until)
        self._claim(data)
        for stage, wanted in plan:
            if not all(self.trained.store.has_unit(stage.name, *unit) for unit in wanted):
                self._train_stage(stage, data, wanted)

    def calibrate(self, data: Dataset) -> None:
        """Fit and store what calibrates the predictions, from the OOF predictions so far; not in the competition."""
        if (record := fit_calibration(self.trained, data.scored[data.treated])) is not None:
            write_json(self.trained.store.layout.calibration, record.to_json())

    def fit_features(self, data: Dataset) -> None:
        """Fit and store the features of the first stage, if they are not there, and train nothing.

        Raises:
            StoreError: as ``train_units``.
        """
        self._claim(data)
        first, *_ = self.trained.stages.values()
        if not self.trained.store.layout.stage(first.name).exists():
            with self._here(first.name):
                prepare_stage(self.trained, first, data, list(first.seeds[:1]), self.watch.quiet)

    def _claim(self, data: Dataset) -> None:
        """Record what is trained on which data, or check that it is what the weights folder was begun with."""
        hold_out = self.trained.hold_out
        self.trained.store.claim(
            {
                "model": self.model.name,
                "recipe": self.model.version,
                "profile": self.profile,
                "settings": self.trained.config.model_dump(mode="json"),
                "schema": self.trained.schema.plain,
                "data": self._fingerprint(data),
                "hold_out": hold_out.model_dump(mode="json") if hold_out else None,
            },
            code_of(self.model),
            type(self.trained.config),
        )
        self.trained.check_recipe()
        if self.describes:
            with self._here("familiarity"):
                self._describe_training(data)

    def plan(
        self, selection: Selection | None = None, until: str | None = None
    ) -> list[tuple[Stage, list[tuple[int, int]]]]:
        """Stages and their selected units; made first, so that a wrong fold is reported before hours of training.

        Raises:
            UserError: the selection names a stage, seed or fold that does not exist.
        """
        selection = selection or Selection()
        selection.check(self.model.name, self.trained.stages)
        chain = self.trained.stages_until(until)
        return [
            (stage, selection.units(stage, any(stage.name in later.uses for later in chain)))
            for stage in chain
            if selection.has(stage.name)
        ]

    def count(self, selection: Selection | None = None, until: str | None = None) -> tuple[int, int]:
        """Number of selected units, and of those that are finished."""
        units = [(stage.name, *unit) for stage, wanted in self.plan(selection, until) for unit in wanted]
        return len(units), sum(self.trained.store.has_unit(*unit) for unit in units)

    def _describe_training(self, data: Dataset) -> None:
        """Store what predictions of new samples are compared with; the same for all models of one data set."""
        store = self.trained.store
        self._keep_evidence(data)
        if store.layout.training.exists():
            return
        treated = data.features[data.treated]
        # The competition's familiarity stays what it was: rows are measured without themselves alone.
        known = None if data.schema.of_competition else _compounds(data)
        groups = None if known is None else pd.factorize(known, use_na_sentinel=False)[0]
        with progress(f"{self.model.name} familiarity", quiet=self.watch.quiet):
            _, key = store.fits.fit(Familiarity(), treated[list(data.schema.values)].to_numpy(np.float64), groups)
        prevalence = data.scored[data.treated].mean()
        facts = {"familiarity": key, "prevalence": prevalence.to_dict()}
        if data.identities is not None and not data.schema.of_competition:
            facts["identities"] = data.identities.reindex(data.schema.values, fill_value="").to_dict("index")
        if data.mapping is not None:
            facts["mapping"] = data.mapping
        create_json(store.layout.training, facts)

    def _keep_evidence(self, data: Dataset) -> None:
        """Store the labels and compounds that predictions are explained by; also in weights that lack them."""
        store, known = self.trained.store, self.trained.store.evidence()
        compounds, treated = _compounds(data), data.treated
        if known is not None and known.by_row and (known.compounds or compounds is None):
            return
        table = evidence_table(data.features[treated], compounds, list(data.schema.values))
        with progress(f"{self.model.name} evidence", quiet=self.watch.quiet):
            found, key = store.fits.fit(TrainingEvidence(), table, data.scored[treated].to_numpy(np.uint8))
        write_json(store.layout.evidence, {"evidence": key, "compounds": len(found.names_), "by_row": True})

    def _train_stage(self, stage: Stage, data: Dataset, wanted: list[tuple[int, int]]) -> None:
        store = self.trained.store
        missing = [unit for unit in wanted if not store.has_unit(stage.name, *unit)]
        seeds = list(dict.fromkeys(seed for seed, _ in missing))
        with self._here(stage.name):
            inputs = prepare_stage(self.trained, stage, data, seeds, self.watch.quiet)
        units = (self._unit(stage, seed, fold) for seed, fold in missing)
        done = len(wanted) - len(missing)
        with self.watch.stage(self.model.name, stage.name, len(wanted), done) as shown:
            for result in self.executor.run(inputs, units, shown):
                try:
                    store.save_unit(stage.name, result, self.placed.device)
                except WriteError as error:
                    there = sum(store.has_unit(stage.name, *unit) for unit in wanted)
                    kept = f"{there} of {len(wanted)} units of {stage.name} are finished and kept"
                    raise error.during(kept, len(wanted) - there) from error
                shown.on_finished(result)

    def _unit(self, stage: Stage, seed: int, fold: int) -> Unit:
        store = self.trained.store
        initial = store.load_unit(stage.starts_from, seed, fold, start=True).fitted if stage.starts_from else None
        runtime = self.placed.replace(scratch=store.scratch(stage.name, seed, fold))
        return Unit(stage, seed, fold, initial, runtime)

    @contextmanager
    def _here(self, what: str) -> Iterator[None]:
        """Work of this process itself: one model at a time, with its seconds noted for ``moa plan``."""
        with _ALONE:
            started = perf_counter()
            yield
            self.trained.store.note_seconds(what, perf_counter() - started)

    def _fingerprint(self, data: Dataset) -> dict[str, str]:
        needs = needs_of(self.trained.stages.values())
        optional = {TRAIN_NONSCORED: needs["nonscored"], TRAIN_DRUG: needs["drugs"]}
        names = [TRAIN_FEATURES, TRAIN_SCORED, TEST_FEATURES, *(name for name, needed in optional.items() if needed)]
        # An assay other than the competition's may have no test file.
        return {name: data.fingerprint[name] for name in names if name in data.fingerprint}


def _compounds(data: Dataset) -> pd.Series | None:
    """The compound of each treated row, indexed by sig_id; None where no row names one."""
    found = describe_rows(data.features, data.schema, data.compounds, data.wells).get(COMPOUND)
    return None if found is None or found[data.treated].isna().all() else found[data.treated]

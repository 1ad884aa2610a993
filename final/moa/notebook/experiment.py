"""A model as a notebook trains it: as published, with other settings, or with edited cells."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from moa.cells import cells, code, given_to_processes
from moa.data.assay import COMPETITION
from moa.data.dataset import Dataset, load_dataset
from moa.data.stored_tables import read_table
from moa.errors import UserError
from moa.files import creating
from moa.jobs.ablation import compare, in_words
from moa.jobs.model_scores import score_model
from moa.jobs.options import DeviceOptions
from moa.jobs.writeup_claims import Arm
from moa.kaggle.session import Session
from moa.models.base import Stage
from moa.models.registry import recipe
from moa.models.remarks import footnotes
from moa.notebook.live import LiveCurves
from moa.notebook.steps import SeenStep, feature_steps
from moa.notebook.tables import strongest
from moa.training.executors import LocalExecutor
from moa.training.runner import Runner
from moa.weights.layout import WeightsFolder
from moa.weights.selection import Selection
from moa.weights.trained import Trained

#: Letters of a weights folder's name; longer ones are cut and end with a hash.
_LONGEST = 100
#: Rows on which steps are shown.
_SAMPLE = 600


class Experiment:
    """A model to be trained in a notebook, with the definitions in its cells (``moa.cells``).

    A change never touches the weights of the unchanged model, and is there again when the same change is made again.
    Changed settings are trained into ``weights-edited`` beside the weights folder, under a name that says what was
    changed. Edited cells have a weights folder of their own in ``weights-cells``, named by their content.

    Args:
        name: the model.
        session: the folders and the profile.
        weights: the weights folder of the unchanged models.
        settings: overlay of the profile's settings, nested.
        device: "auto", "cpu" or "cuda".

    Attributes:
        base: the recipe, with the definitions in the cells.
        model: the recipe that is trained.
        config: its settings.
        edited: modules of which a cell was edited.
        changed: whether settings or cells were changed.

    Raises:
        UserError: a setting is unknown.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        weights: Path,
        settings: Mapping[str, Any] | None = None,
        device: str = "auto",
    ):
        self.session, self.settings = session, dict(settings or {})
        self.base = recipe(name)
        self.config = self.base.configure(session.profile, self.settings)
        self.edited = list(cells.changed)
        self._cells = cells.text
        content = _digest("".join(map(code, cells.changed.values())) or self._cells)
        self.plain_weights = Path(weights)
        of_cells = self.plain_weights.with_name(f"{self.plain_weights.name}-cells") / content
        self._file = of_cells / "cells.py"
        other = self.config != self.base.configure(session.profile)
        self.changed = other or bool(self.edited)
        self.model, self.weights = self.base, self.plain_weights
        if self.changed:
            self.model = replace(self.base, name=self._name(f"+cells-{content}" if self.edited else ""))
            beside = self.plain_weights.with_name(f"{self.plain_weights.name}-edited")
            self.weights = of_cells if self.edited else beside
        self.runtime = DeviceOptions(device=device).runtime
        self._runner: Runner | None = None

    @property
    def runner(self) -> Runner:
        """What trains the model, once the data are loaded."""
        if self._runner is None:
            raise UserError("load the data first: experiment.load()")
        return self._runner

    @property
    def trained(self) -> Trained:
        """What is trained so far."""
        return self.runner.trained

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that are trained."""
        return self.model.stages(self.config, COMPETITION)

    def load(self) -> Dataset:
        """Read the data set with the files that the model needs.

        Raises:
            UserError: cells were edited since this experiment was made.
        """
        self._check_cells()
        needs = self.model.needs(self.config)
        data = load_dataset(self.session.data, needs["drugs"], needs["nonscored"])
        trained = Trained(self.model, self.weights, self.config, data.schema, self.runtime)
        # What trains many units as one network is not in the cells.
        executor = LocalExecutor(batches=not any(module.startswith("moa.learners.") for module in self.edited))
        self._runner = Runner(trained, self.session.profile, executor, LiveCurves())
        return data

    def feature_steps(self, data: Dataset, rows: int = _SAMPLE) -> list[SeenStep]:
        """The first stage's features at work on a sample; they are fitted on all rows now, if they were not before.

        Steps that training fits in each fold, on its training rows, are fitted on the sample here.
        """
        trained, stage = self.trained, self.stages[0]
        self.runner.fit_features(data)
        shown = strongest(data).groupby(level=0).first()
        shown = shown.groupby(shown).head(rows // 10).index  # without these few dots of a map would be coloured
        others = data.features.index.difference(shown)
        chosen = data.features.loc[others].sample(min(rows - len(shown), len(others)), random_state=0).index
        sample = data.features.loc[chosen.union(shown)]
        pipeline = trained.pipeline(stage.name)
        seen = feature_steps(pipeline, sample)
        if stage.unit_features:
            X = pipeline.transform(sample)
            y = data.scored.loc[X.index].to_numpy().any(axis=1).astype(int)
            seen += feature_steps(stage.unit_features(stage.seeds[0]).fit(X, y), X)
        return seen

    def train(self, data: Dataset, selection: Selection | None = None) -> pd.DataFrame:
        """Train what is not trained yet, with live curves.

        Returns:
            the out-of-fold (OOF) predictions so far, shape (rows covered, targets), indexed by sig_id.
        """
        self._check_cells()
        total, done = self.runner.count(selection)
        where = self.weights / self.model.name
        note = " (a change: the unchanged model keeps its own)" if self.changed else ""
        print(f"{done} of {total} units are trained already; weights: {where}{note}")
        if self.edited:
            print(f"edited: {', '.join(f'{module.replace(chr(46), chr(47))}.py' for module in self.edited)}")
        if self._cells:
            with creating(self._file) as temporary:
                temporary.write_text(self._cells, encoding="utf-8")
        with given_to_processes(self._file if self._cells else None):
            predictions = self.runner.train(data, selection)
        if predictions is None:
            raise UserError("the last stage has no finished unit, and so there are no OOF predictions yet")
        return predictions.oof

    def scores(self, data: Dataset, oof: pd.DataFrame) -> pd.DataFrame:
        """Scores as a table of text, one row per score; see ``moa.jobs.model_scores.ModelScores``.

        Prints the footnotes of the published CV.
        """
        words = score_model(self.model, data, oof, self.trained.oof_as_published()).words()
        print(*footnotes([self.model]), sep="\n")
        return pd.DataFrame({words.pop("model"): words})

    def against_unchanged(self, data: Dataset, oof: pd.DataFrame) -> pd.DataFrame | None:
        """The change against the unchanged model on the rows that both cover, with its interval, row by row.

        None where nothing was changed, or the unchanged model is not trained.
        """
        if not self.changed:
            print("nothing is changed: edit a cell or `settings` above, and the difference is shown here")
            return None
        if not WeightsFolder(self.plain_weights).has(self.base.name):
            print(
                f"{self.base.name} is not trained in {self.plain_weights}: run this notebook once with nothing "
                "changed, and then this cell compares with it"
            )
            return None
        base = self._unchanged_oof(data)
        y = data.scored[data.treated]
        drugs = data.drugs if data.drugs is not None else data.compounds
        found = compare({"unchanged": base, self.model.name: oof}, y, drugs)
        found = found.assign(ablation="", model=self.base.title, units=0, unit_seconds=0.0)
        return in_words(found).set_index("variant")[["OOF log loss", "difference", "95 % interval", "rows"]]

    def _unchanged_oof(self, data: Dataset) -> pd.DataFrame:
        """OOF predictions of the unchanged model; its recipe may be another one than that of the cells."""
        table = WeightsFolder(self.plain_weights).model(self.base.name).prediction("oof")
        if table.exists():
            return read_table(table)
        config = self.base.configure(self.session.profile)
        return Trained(self.base, self.plain_weights, config, data.schema).oof()

    def _name(self, suffix: str) -> str:
        name = Arm("", self.base.name, self.settings).name + suffix
        name = re.sub(r"[^A-Za-z0-9+,.=_-]+", "_", name)
        return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}-{_digest(name)}"

    def _check_cells(self) -> None:
        if cells.text != self._cells:
            raise UserError("cells were edited since: run the cell `experiment = ...` and those below it again")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]

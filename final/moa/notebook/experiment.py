"""A model as a notebook trains it: as published, with other settings, or with the reader's features and networks."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from moa.data.assay import COMPETITION, Assay
from moa.data.dataset import Dataset, load_dataset
from moa.errors import UserError
from moa.features.pipeline import FeaturePipeline, Step
from moa.features.stored import trust
from moa.jobs.ablation import compare, in_words
from moa.jobs.model_scores import score_model
from moa.jobs.options import DeviceOptions
from moa.jobs.writeup_claims import Arm
from moa.kaggle.session import Session
from moa.learners.base import Learner
from moa.models.base import Stage
from moa.models.registry import recipe
from moa.models.remarks import footnotes
from moa.notebook.live import LiveCurves
from moa.notebook.steps import SeenStep, feature_steps
from moa.notebook.tables import strongest
from moa.training.runner import Runner
from moa.weights.layout import WeightsFolder
from moa.weights.selection import Selection
from moa.weights.trained import Trained, open_trained

#: What a reader may swap: functions of a stage's name and its steps, or its learner.
OWN = ("features", "learner")
#: Letters of a weights folder's name; longer ones are cut and end with a hash.
_LONGEST = 100
#: Rows on which steps are shown.
_SAMPLE = 600

#: The steps of a stage, changed; and its learner, changed.
ChangeSteps = Callable[[str, list[Step]], Sequence[Step]]
ChangeLearner = Callable[[str, Learner], Learner]


class Experiment:
    """A model to be trained in a notebook.

    A change goes to a weights folder of its own, named after it, in ``weights-edited`` beside the others: it never
    touches the weights of the unchanged model, and is there again when the same change is made again.

    Args:
        name: the model.
        session: the folders and the profile.
        weights: the weights folder of the unchanged models.
        settings: overlay of the profile's settings, nested.
        own: "features" and "learner", see ``OWN``; nothing: as published.
        device: "auto", "cpu" or "cuda".

    Attributes:
        base: the recipe as the package has it.
        model: the recipe that is trained.
        config: its settings.
        changed: whether settings or parts were changed.

    Raises:
        UserError: a setting or a part is unknown.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        weights: Path,
        settings: Mapping[str, Any] | None = None,
        own: Mapping[str, Callable] | None = None,
        device: str = "auto",
    ):
        self.session, self.settings, self.own = session, dict(settings or {}), dict(own or {})
        unknown = sorted(set(self.own) - set(OWN))
        if unknown:
            raise UserError(f"own['{unknown[0]}']: only these can be swapped: {', '.join(OWN)}")
        self.base = recipe(name)
        self.config = self.base.configure(session.profile, self.settings)
        self.changed = bool(self.own) or self.config != self.base.configure(session.profile)
        self.plain_weights = Path(weights)
        self.model, self.weights = self.base, self.plain_weights
        if self.changed:
            stages = partial(_own_stages, self.base.stages, self.own) if self.own else self.base.stages
            self.model = replace(self.base, name=self._name(), stages=stages)
            self.weights = self.plain_weights.with_name(f"{self.plain_weights.name}-edited")
        self._trust()
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
        """Read the data set with the files that the model needs."""
        needs = self.model.needs(self.config)
        data = load_dataset(self.session.data, needs["drugs"], needs["nonscored"])
        trained = Trained(self.model, self.weights, self.config, data.schema, self.runtime)
        self._runner = Runner(trained, self.session.profile, watch=LiveCurves())
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
        total, done = self.runner.count(selection)
        where = self.weights / self.model.name
        note = " (a change: the unchanged model keeps its own)" if self.changed else ""
        print(f"{done} of {total} units are trained already; weights: {where}{note}")
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
            print("nothing is changed: edit `settings` or `own` above, and the difference is shown here")
            return None
        if not WeightsFolder(self.plain_weights).has(self.base.name):
            print(
                f"{self.base.name} is not trained in {self.plain_weights}: run this notebook once with nothing "
                "changed, and then this cell compares with it"
            )
            return None
        base = open_trained(self.base, self.plain_weights, whole=False).oof()
        y = data.scored[data.treated]
        drugs = data.drugs if data.drugs is not None else data.compounds
        found = compare({"unchanged": base, self.model.name: oof}, y, drugs)
        found = found.assign(ablation="", model=self.base.title, units=0, unit_seconds=0.0)
        return in_words(found).set_index("variant")[["OOF log loss", "difference", "95 % interval", "rows"]]

    def _name(self) -> str:
        name = Arm("", self.base.name, self.settings).name
        if self.own:
            name += f"+own-{_digest(''.join(map(_text, self._own_parts())))}"
        name = re.sub(r"[^A-Za-z0-9+,.=_-]+", "_", name)
        return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}-{_digest(name)}"

    def _own_parts(self) -> list[Any]:
        """The functions that change something, and the reader's classes that they bring in."""
        found: list[Any] = list(self.own.values())
        for stage in _own_stages(self.base.stages, self.own, self.config, COMPETITION):
            parts = [step.transformer for step in stage.features().steps]
            found += [type(part) for part in (*parts, stage.learner)]
        return [each for each in dict.fromkeys(found) if each.__module__.split(".")[0] not in ("moa", "sklearn")]

    def _trust(self) -> None:
        """Let fits of the reader's own transformers be read again."""
        for part in self._own_parts() if self.own else ():
            if isinstance(part, type) and hasattr(part, "get_params"):
                trust(part)


class _OwnFeatures:
    """A stage's features with steps changed by the reader.

    Features are fitted in the notebook's process; copies for other processes, which cannot import what a notebook
    defines, leave the reader's function out.
    """

    def __init__(self, make: Callable[[], FeaturePipeline], change: ChangeSteps | None, stage: str):
        self.make, self.change, self.stage = make, change, stage

    def __call__(self) -> FeaturePipeline:
        made = self.make()
        return FeaturePipeline(self.change(self.stage, list(made.steps)) if self.change else made.steps, made.dtype)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"change": None}


def _own_stages(
    make: Callable[[Any, Assay], tuple[Stage, ...]], own: Mapping[str, Callable], config: Any, schema: Assay
) -> tuple[Stage, ...]:
    """The stages of a recipe with the reader's features and learners."""
    stages = []
    for stage in make(config, schema):
        if "features" in own:
            stage = replace(stage, features=_OwnFeatures(stage.features, own["features"], stage.name))
        if "learner" in own:
            stage = replace(stage, learner=own["learner"](stage.name, stage.learner))
        stages.append(stage)
    return tuple(stages)


def _text(part: Any) -> str:
    """The source of a function or class; of a class defined in a notebook, that of its methods."""
    try:
        return inspect.getsource(part)
    except (OSError, TypeError):
        methods = [each for each in vars(part).values() if inspect.isfunction(each)] if isinstance(part, type) else []
        return f"{part.__qualname__}{''.join(map(_text, methods))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]

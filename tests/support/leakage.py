"""A permutation test: has a model seen the labels of the fold that its OOF predicts?

The labels of one fold's rows are shuffled among these rows before training. A model that was not trained on them cannot
predict the shuffle: any other shuffle of the same labels is as likely as the one in the data. So its log loss against
the labels as they are, compared with its losses against all their shuffles, shows whether it has seen them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.assay import Assay
from moa.data.dataset import Dataset
from moa.data.folds import Folds
from moa.metrics.losses import CLIP, log_loss, prevalence_baseline
from moa.models.base import ModelConfig, Recipe, Stage
from moa.training.runner import Runner
from moa.weights.selection import Selection
from moa.weights.trained import Trained

#: A fold is leaked if its loss lies this many standard deviations below that of the shuffles. By chance that happens
#: once in thirty thousand; choosing the best epoch by the fold's own loss is worth about one standard deviation.
LIMIT = 4.0


@dataclass(frozen=True)
class Leak:
    """How well a model predicts the shuffled labels of a fold.

    Attributes:
        loss: log loss of its OOF on the fold.
        baseline: log loss of the targets' prevalence on the fold; the same for every shuffle of its labels.
        noise: standard deviation of ``loss`` over all shuffles of the labels.
        z: how many of these ``loss`` lies below the mean over all shuffles.
    """

    loss: float
    baseline: float
    noise: float
    z: float

    @property
    def better_than_baseline(self) -> bool:
        """Better than the prevalence by more than noise."""
        return self.baseline - self.loss > LIMIT * self.noise

    @property
    def found(self) -> bool:
        """The model saw the labels. This is the sharper of the two tests: few models reach the baseline's loss."""
        return self.z > LIMIT


def measure(y: pd.DataFrame, p: pd.DataFrame, baseline: pd.DataFrame) -> Leak:
    """Compare predictions with the labels and with all shuffles of the labels among the rows.

    The loss against a shuffle s is a constant plus the sum over rows i of a[i, s(i)], whose mean and variance over all
    shuffles are known (Hoeffding 1951): sum(a) / n and the sum of squares of the doubly centred a, divided by n - 1.

    Args:
        y, p, baseline: labels, predictions and the prevalence of the same rows and targets.
    """
    values = np.clip(p.loc[y.index].to_numpy(np.float64), CLIP, 1 - CLIP)
    labels = y.to_numpy(np.float64)
    a = -np.log(values / (1 - values)) @ labels.T / labels.size  # row i's predictions with the labels of row j
    constant = -np.log1p(-values).mean()
    centred = a - a.mean(axis=0) - a.mean(axis=1, keepdims=True) + a.mean()
    noise = float(np.sqrt((centred**2).sum() / (len(a) - 1)))
    loss = constant + np.trace(a)
    return Leak(float(loss), log_loss(y, baseline), noise, float((constant + a.sum() / len(a) - loss) / noise))


def shuffled_fold(model: Recipe, config: ModelConfig, data: Dataset, seed: int = 0) -> tuple[Recipe, Dataset, pd.Index]:
    """Shuffle the labels of fold 0 of a model's last stage among its rows.

    Returns:
        the recipe, with the folds of all its stages fixed to those of the true labels (stratified folds would change
        with the shuffle); the data; the fold's rows. Scored and nonscored labels of a row stay together.
    """
    rows = data.features.index[data.treated] if model.rows == "treated" else data.features.index.sort_values()
    last = model.stages(config, data.schema)[-1]
    folds = last.folds.split(data.scored.loc[rows], data.drugs, last.seeds[0])
    fold = folds.index[(folds == 0).to_numpy() & data.treated.loc[folds.index].to_numpy()]
    order = np.random.default_rng(seed).permutation(len(fold))

    def shuffle(table: pd.DataFrame) -> pd.DataFrame:
        table = table.copy()
        table.loc[fold] = table.loc[fold].to_numpy()[order]
        return table

    def stages(config: ModelConfig, schema: Assay) -> tuple[Stage, ...]:
        tables = {"scored": data.scored, "nonscored": data.nonscored, "nonscored-all": data.nonscored}
        return tuple(
            dataclasses.replace(stage, folds=_Held(stage.folds, tables[stage.targets]))
            for stage in model.stages(config, schema)
        )

    changed = dataclasses.replace(data, scored=shuffle(data.scored), nonscored=shuffle(data.nonscored))
    return dataclasses.replace(model, stages=stages), changed, fold


@dataclass(frozen=True)
class _Held:
    """Folds that always split by the labels given here."""

    folds: Folds
    y: pd.DataFrame

    def split(self, y: pd.DataFrame, drugs: pd.Series | None = None, seed: int | None = None) -> pd.Series:
        return self.folds.split(self.y.loc[y.index, y.columns].astype(y.dtypes), drugs, seed)

    def __getattr__(self, name: str):
        return getattr(self.folds, name)


def leak(
    model: Recipe, config: ModelConfig, data: Dataset, weights: Path, seed: int = 0, variant: str | None = None
) -> Leak:
    """Train a model with one fold of shuffled labels, and measure whether its OOF (or a variant) predicts them."""
    model, data, fold = shuffled_fold(model, config, data, seed)
    runner = Runner(Trained(model, weights, config))
    runner.train(data, Selection(seeds=1, fold=0))
    y = data.scored.loc[fold]
    return measure(y, runner.trained.oof(variant), prevalence_baseline(data.scored[data.treated], fold))

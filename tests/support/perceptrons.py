"""Small perceptrons, and units to train them on."""

import numpy as np
import pandas as pd

from moa.data.folds import Folds
from moa.learners.base import FoldData
from moa.learners.perceptron.learner import MLPLearner
from moa.models.base import Stage
from moa.training import unit as training
from moa.training.unit import StageInputs
from support.units import CPU, Unit

LEARNERS = {
    "simple": MLPLearner(hidden=24, epochs=4, batch_size=32, smoothing=0.001),
    "3-stage": MLPLearner(hidden=24, epochs=4, batch_size=32, dropout=(0.15, 0.3, 0.25), target_clip=(0.0005, 0.9995)),
    "2-fc": MLPLearner(block="2-fc", hidden=24, epochs=4, batch_size=32, dropout=(0.2, 0.25), max_lr=5e-4),
}


def make_inputs(rows=203, n_splits=5, n_inputs=11, n_targets=5):
    """203 rows in 5 folds: 162 or 163 to train on, so the last batches of members differ in size."""
    rng = np.random.default_rng(0)
    index = pd.Index([f"id_{i}" for i in range(rows)], name="sig_id")
    X = pd.DataFrame(rng.normal(size=(rows, n_inputs)).astype(np.float32), index).add_prefix("f")
    signal = X.to_numpy() @ rng.normal(size=(n_inputs, n_targets)) + rng.normal(size=(rows, n_targets))
    y = pd.DataFrame((signal > 3).astype(np.float32), index).add_prefix("t")
    return StageInputs(X, y, {None: np.arange(rows) % n_splits})


def make_units(rows=203, n_splits=5, seeds=(1, 2), **options):
    """The units of ``make_inputs``, by seed and fold."""
    inputs = make_inputs(rows, n_splits, **options)
    return [Unit(inputs.fold(seed, fold), seed, fold) for seed in seeds for fold in range(n_splits)]


def training_units(learner, seeds=(1, 2), n_splits=5, runtime=CPU):
    """What an executor takes: the units of a stage that trains ``learner``."""
    stage = Stage("nn", "scored", None, Folds(scheme="kfold", n_splits=n_splits), seeds, learner)
    return [training.Unit(stage, seed, fold, None, runtime) for seed, fold in stage.units()]


def make_unit(rows=240, n_inputs=12, n_targets=4, seed=0, y=None):
    """Targets that are linear in the inputs, unless ``y`` is given; a quarter of the rows is held out."""
    rng = np.random.default_rng(seed)
    index = pd.Index([f"id_{i}" for i in range(rows)], name="sig_id")
    x = rng.normal(size=(rows, n_inputs)).astype(np.float32)
    if y is None:
        y = (x @ rng.normal(size=(n_inputs, n_targets)) > 2).astype(np.float32)
    cut = rows * 3 // 4
    X = pd.DataFrame(x, index, [f"f{i}" for i in range(n_inputs)])
    y = pd.DataFrame(y, index, [f"t{i}" for i in range(n_targets)])
    return Unit(FoldData(X, y, np.arange(cut), np.arange(cut, rows)), seed)

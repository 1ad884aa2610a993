"""Noise in place of the competition's data: times do not depend on what is learned."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from moa.data.folds import Folds
from moa.features.pipeline import FeaturePipeline
from moa.learners.base import FoldData, Learner
from moa.learners.runtime import Runtime
from moa.models.base import Stage
from moa.training.unit import StageInputs, Unit
from tests.benchmarks.sizes import Sizes


def noise_table(rows: int, columns: int, seed: int = 0) -> pd.DataFrame:
    """Noise in place of genes and cells, shape (rows, columns)."""
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(rows, columns))).add_prefix("g-")


def noise_inputs(sizes: Sizes, rows: int, valid_rows: int) -> StageInputs:
    """Inputs of a stage whose targets are as sparse as the real ones; fold 0 holds the last ``valid_rows`` rows."""
    rng = np.random.default_rng(0)
    total = rows + valid_rows
    index = pd.Index([f"id_{i}" for i in range(total)], name="sig_id")
    X = pd.DataFrame(rng.standard_normal((total, sizes.inputs), dtype=np.float32), index).add_prefix("f")
    y = pd.DataFrame((rng.random((total, sizes.targets)) < 0.0035).astype(np.float32), index).add_prefix("t")
    return StageInputs(X, y, {None: np.repeat([1, 0], [rows, valid_rows])})


def noise_fold(sizes: Sizes, rows: int, valid_rows: int) -> FoldData:
    """Fold 0 of ``noise_inputs``."""
    return noise_inputs(sizes, rows, valid_rows).fold(seed=0, fold=0)


def make_units(learner: Learner, members: int, runtime: Runtime) -> list[Unit]:
    """Units of one stage on ``noise_inputs``: seeds 0, 1, … of fold 0."""
    folds = Folds(scheme="kfold", n_splits=2)
    stage = Stage("noise", "scored", partial(FeaturePipeline, []), folds, tuple(range(members)), learner)
    return [Unit(stage, seed, 0, None, runtime) for seed in stage.seeds]

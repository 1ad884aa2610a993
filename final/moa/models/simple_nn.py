"""Simple NN, old and new CV: one stage, gaussian ranks + factor analysis + row statistics into a 3-FC block.

Source: write-up, "Simple NN". The old-CV model keeps two slips of the original, named where they happen.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from moa.data.folds import Folds
from moa.data.schema import CELLS, CP_DOSE, CP_TIME, CP_TYPE, GENES
from moa.features.conditions import OneHotConditions
from moa.features.pipeline import (
    FeaturePipeline,
    Step,
    cells,
    drop,
    excluding,
    genes,
    genes_and_cells,
    named,
    positions,
    starting,
)
from moa.features.transformers import GaussianRank, KMeansOneHot, RowStatistics, factor_analysis
from moa.learners.perceptron.learner import MLPLearner
from moa.models.base import ModelConfig, Published, Recipe, Stage


class SimpleNNConfig(ModelConfig):
    """Settings of a Simple NN; the defaults are those of the old-CV model."""

    seeds: tuple[int, ...] = (940, 1513, 1269, 1392, 1119, 1303)
    folds: Folds = Folds(scheme="multilabel", n_splits=5)
    learner: MLPLearner = MLPLearner(dropout=(0.0, 0.25, 0.25), epochs=25, pct_start=0.1, smoothing=0.001)
    first_rank_seed: int = 0
    first_rank_fit_on: Literal["train", "train+test"] = "train"
    second_rank_seed: int = 123
    gene_factors: int = 90
    cell_factors: int = 50
    factor_seed: int = 1903
    keep_slips: bool = True
    gene_clusters: int | None = 45
    cell_clusters: int | None = 15
    cluster_seed: int = 123


def features(config: SimpleNNConfig) -> FeaturePipeline:
    """The feature pipeline: 1,089 columns with the slips and clusters, 1,030 without, before one-hot encoding."""
    # Slip of the original: the second rank starts one column late, which loses g-0 and moves every later slice by
    # position by one: "genes" then are g-1 … c-0, "cells" c-1 … the first gene factor.
    first = 3 if config.keep_slips else 2  # after cp_time and cp_dose
    gene_like = positions(2, 2 + len(GENES))
    cell_like = positions(2 + len(GENES), 2 + len(GENES) + len(CELLS))
    both = positions(2, 2 + len(GENES) + len(CELLS))
    steps = [
        drop("treated rows only", named(CP_TYPE)),
        Step(
            "rank",
            GaussianRank(random_state=config.first_rank_seed),
            genes_and_cells,
            "in place",
            fit_on=config.first_rank_fit_on,
        ),
        Step("g-fa", factor_analysis(config.gene_factors, config.factor_seed), genes),
        Step("c-fa", factor_analysis(config.cell_factors, config.factor_seed), cells),
        *([drop("g-0 is lost", positions(2, first))] if config.keep_slips else []),
        Step(
            "second rank", GaussianRank(random_state=config.second_rank_seed), excluding(CP_TIME, CP_DOSE), "in place"
        ),
    ]
    if config.gene_clusters and config.cell_clusters:
        steps += [
            Step("g-cluster", KMeansOneHot(config.gene_clusters, random_state=config.cluster_seed), gene_like),
            Step("c-cluster", KMeansOneHot(config.cell_clusters, random_state=config.cluster_seed), cell_like),
        ]
    steps += [
        Step("statistics", RowStatistics(groups={"g": len(GENES), "c": len(CELLS)}), both, own_names=True),
        Step("conditions", OneHotConditions(), starting(CP_TIME, CP_DOSE), "replace", own_names=True),
    ]
    return FeaturePipeline(steps)


def stages(config: SimpleNNConfig) -> tuple[Stage, ...]:
    """One stage on the scored targets."""
    return (Stage("nn", "scored", partial(features, config), config.folds, config.seeds, config.learner),)


# A size that two CPU cores train in a minute.
DEMO = {
    "seeds": (940, 1513),
    "folds": {"n_splits": 3},
    "learner": {"hidden": 256, "epochs": 10, "batch_size": 32},
    "gene_factors": 20,
    "cell_factors": 10,
}

RECIPES = (
    Recipe(
        "simple-nn-old-cv",
        "Simple NN, old CV",
        SimpleNNConfig(),
        stages,
        Published(cv=0.01585, public_lb=0.01833, private_lb=0.01626),
        demo=DEMO | {"gene_clusters": 10, "cell_clusters": 5},
    ),
    Recipe(
        "simple-nn-new-cv",
        "Simple NN, new CV",
        SimpleNNConfig(
            folds=Folds(scheme="drug-aware", n_splits=5, seed=34),
            first_rank_seed=123,
            first_rank_fit_on="train+test",
            keep_slips=False,
            gene_clusters=None,
            cell_clusters=None,
        ),
        stages,
        Published(cv=0.01564, public_lb=0.01830, private_lb=0.01622),
        demo=DEMO,
    ),
)

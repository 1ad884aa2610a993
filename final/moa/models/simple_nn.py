"""Simple NN, old and new CV: one stage, Gaussian ranks, factor analysis and row statistics into a 3-FC block.

Source: write-up, "Simple NN". The old-CV model keeps an off-by-one error of the original; see ``features``.
"""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from typing import Annotated

from moa.data.assay import COMPETITION, Assay
from moa.data.folds import Folds
from moa.data.sizes import CELL_CLUSTERS, CELL_COMPONENTS, GENE_CLUSTERS, GENE_COMPONENTS, components, setting_of
from moa.features.condition_steps import encode_conditions, keep_treated
from moa.features.pipeline import FeaturePipeline, Step, drop, excluding, named, positions
from moa.features.profile_steps import sphered_steps
from moa.features.reductions import factor_analysis
from moa.learners.perceptron.learner import MLPLearner
from moa.models.base import DataFacts, ModelConfig, Published, Recipe, Shrinkage, Stage


class SimpleNNConfig(ModelConfig):
    """Settings of a Simple NN; the defaults are those of the old-CV model.

    Attributes:
        keep_slips: keep the off-by-one error of the original, see ``features``.
        gene_clusters, cell_clusters: numbers of k-means clusters; None: no clusters.
        sphered: λ of sphering the features on controls first, for other assays; None: they are taken as they are.
    """

    seeds: tuple[int, ...] = (940, 1513, 1269, 1392, 1119, 1303)
    folds: Folds = Folds(scheme="multilabel", n_splits=5, seed=42)
    learner: MLPLearner = MLPLearner(
        dropout=(0.0, 0.25, 0.25), epochs=25, batch_size=128, pct_start=0.1, smoothing=0.001
    )
    first_rank_seed: int = 0
    second_rank_seed: int = 123
    gene_factors: Annotated[int, GENE_COMPONENTS] = 90
    cell_factors: Annotated[int, CELL_COMPONENTS] = 50
    factor_seed: int = 1903
    keep_slips: bool = True
    gene_clusters: Annotated[int | None, GENE_CLUSTERS] = 45
    cell_clusters: Annotated[int | None, CELL_CLUSTERS] = 15
    cluster_seed: int = 123
    sphered: Shrinkage = None


def features(config: SimpleNNConfig, schema: Assay) -> FeaturePipeline:
    """The feature pipeline, for the competition 1,089 columns with clusters, else 1,030, before one-hot encoding.

    Clusters and row statistics select genes and cells by position. In the original's old-CV model the second rank
    starts one column late and loses the first gene, so that all these positions are off by one: "genes" are g-1 … c-0,
    and "cells" are c-1 … the first gene factor. All transformers are fitted with the control rows in; they are left out
    at the end.
    """
    from moa.features import GaussianRank, KMeansOneHot, RowStatistics

    first = len(schema.control_columns) + len(schema.conditions)  # position of the first gene
    ends = [*accumulate(schema.widths.values(), initial=first)]  # where each group starts, and the last one ends
    rank = GaussianRank(random_state=config.first_rank_seed)
    steps = sphered_steps(schema, config.sphered)
    steps.append(Step("rank", rank, named(*schema.values), "in place", fit_on="train"))
    for group in schema.groups:
        fitted = factor_analysis(components(group, config.gene_factors, config.cell_factors), config.factor_seed)
        steps.append(Step(f"{group.prefix}-fa", fitted, named(*group.columns)))
    if config.keep_slips:
        steps.append(drop("g-0 is lost", positions(first, first + 1)))
    others = excluding(*schema.control_columns, *schema.condition_columns)
    steps.append(Step("second rank", GaussianRank(random_state=config.second_rank_seed), others, "in place"))
    if config.gene_clusters and config.cell_clusters:
        for group, start, end in zip(schema.groups, ends[:-1], ends[1:], strict=True):
            clusters = KMeansOneHot(setting_of(group, config.gene_clusters, config.cell_clusters), config.cluster_seed)
            steps.append(Step(f"{group.prefix}-cluster", clusters, positions(start, end)))
    steps += [
        Step("statistics", RowStatistics(schema.widths), positions(first, first + len(schema.values)), own_names=True),
        keep_treated(schema),
        *encode_conditions(schema),
    ]
    return FeaturePipeline(steps)


def stages(config: SimpleNNConfig, schema: Assay) -> tuple[Stage, ...]:
    """One stage on the scored targets."""
    return (Stage("nn", "scored", partial(features, config, schema), config.folds, config.seeds, config.learner),)


def adapt(config: SimpleNNConfig, facts: DataFacts) -> tuple[SimpleNNConfig, list[str]]:
    """The off-by-one error of the original belongs to the competition's columns."""
    if facts.assay == COMPETITION or not config.keep_slips:
        return config, []
    return config.model_copy(update={"keep_slips": False}), ["the original's off-by-one error is left out"]


# Small enough that two CPU cores train it in a minute.
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
        least_columns=4,
        adapt=adapt,
        version=3,
    ),
    Recipe(
        "simple-nn-new-cv",
        "Simple NN, new CV",
        SimpleNNConfig(
            folds=Folds(scheme="drug-aware", n_splits=5, seed=34),
            first_rank_seed=123,
            keep_slips=False,
            gene_clusters=None,
            cell_clusters=None,
        ),
        stages,
        Published(cv=0.01572, public_lb=0.01830, private_lb=0.01622, cv_rows="all", printed=0.01564),
        demo=DEMO,
        least_columns=4,
        adapt=adapt,
        version=3,
    ),
)

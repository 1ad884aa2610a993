"""2-stage NN + TabNet: a perceptron predicts nonscored targets; its predictions are among TabNet's 1,397 inputs.

Source: write-up, "2-stage NN + TabNet".
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

from moa.data.assay import Assay
from moa.data.folds import Folds
from moa.data.sizes import CELL_CLUSTERS, CELL_COMPONENTS, GENE_CLUSTERS, GENE_COMPONENTS, components, setting_of
from moa.features.condition_steps import encode_conditions, keep_treated, log_conditions
from moa.features.pipeline import FeaturePipeline, Step, excluding, named, starting
from moa.features.profile_steps import sphered_steps
from moa.features.reductions import factor_analysis, pca
from moa.learners.perceptron.learner import MLPLearner
from moa.learners.tabnet.learner import TabNetLearner
from moa.models.base import DataFacts, ModelConfig, Published, Recipe, Shrinkage, Stage


class NonscoredConfig(ModelConfig):
    """Settings of stage 1.

    The original drew the folds of each model seed from numpy's global generator, in the state that the last seeding had
    left: 512 of the features for model seed 0, then that of the model seed before.

    The published learning rate of 5e-4 was that of Adam. OneCycleLR overwrites it before the first step, so it had no
    effect and is not a setting here.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    folds: Folds = Folds(scheme="multilabel", n_splits=10, seed=None, shuffle=True, split_seeds=(512, 0, 1, 2, 3))
    learner: MLPLearner = MLPLearner(block="2-fc", dropout=(0.2, 0.25), epochs=15, pct_start=0.2)
    rank_seed: int = 0
    gene_components: Annotated[int, GENE_COMPONENTS] = 50
    cell_components: Annotated[int, CELL_COMPONENTS] = 15
    gene_umap: Annotated[int, GENE_COMPONENTS] = 15
    cell_umap: Annotated[int, CELL_COMPONENTS] = 5
    reduction_seed: int = 512
    least_variance: float = 0.5


class TabNetConfig(ModelConfig):
    """Settings of stage 2.

    Attributes:
        sphered: λ of sphering the features on controls first, for other assays; None: they are taken as they are.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    folds: Folds = Folds(scheme="multilabel", n_splits=10, seed=None, shuffle=True)
    learner: TabNetLearner = TabNetLearner()
    rank_seed: int = 0
    gene_factors: Annotated[int, GENE_COMPONENTS] = 90
    cell_factors: Annotated[int, CELL_COMPONENTS] = 50
    factor_seed: int = 42
    gene_clusters: Annotated[int, GENE_CLUSTERS] = 35
    cell_clusters: Annotated[int, CELL_CLUSTERS] = 5
    cluster_seed: int = 123
    sphered: Shrinkage = None


class TwoStageConfig(ModelConfig):
    """Settings of the 2-stage NN + TabNet.

    Attributes:
        nonscored: stage 1.
        tabnet: stage 2.
        meta_features: False leaves out stage 1.
    """

    nonscored: NonscoredConfig = NonscoredConfig()
    tabnet: TabNetConfig = TabNetConfig()
    meta_features: bool = True


def nonscored_features(config: NonscoredConfig, schema: Assay) -> FeaturePipeline:
    """Ranks, PCA and UMAP; columns of low variance are removed.

    All transformers are fitted with the control rows in. The original passed training and test rows through UMAP's
    ``transform`` together, so that training rows too are embedded like new ones.
    """
    from moa.features import GaussianRank, UMAPEmbedding, VarianceThreshold

    measured, seed = excluding(*schema.control_columns, *schema.condition_columns), config.reduction_seed
    steps = [Step("rank", GaussianRank(random_state=config.rank_seed), named(*schema.values), "in place")]
    for group in schema.groups:
        size = components(group, config.gene_components, config.cell_components)
        steps.append(Step(f"{group.prefix}-pca", pca(size, seed), named(*group.columns), fit_on="train"))
        if config.gene_umap and config.cell_umap:
            size = components(group, config.gene_umap, config.cell_umap)
            umap = UMAPEmbedding(size, random_state=seed, keep_fitted=False)
            steps.append(Step(f"{group.prefix}-umap", umap, named(*group.columns), fit_on="train"))
    steps.append(Step("varying", VarianceThreshold(config.least_variance), measured, "select", fit_on="train"))
    return FeaturePipeline([*steps, keep_treated(schema), *encode_conditions(schema)])


def tabnet_features(config: TabNetConfig, schema: Assay, meta_features: bool) -> FeaturePipeline:
    """Condition codes, ranks, factors, clusters, row statistics, and last the ranked predictions of stage 1.

    All but the last are fitted with the control rows in; predictions exist for treated rows only.
    """
    from moa.features import ConditionCodes, GaussianRank, KMeansOneHot, RowStatistics

    values = named(*schema.values)
    statistics = RowStatistics(schema.widths, ("mean", "std", "kurtosis", "skew"))
    steps = [
        *sphered_steps(schema, config.sphered),
        Step("codes", ConditionCodes(schema.levels), named(*schema.levels), "in place"),
        Step("rank", GaussianRank(random_state=config.rank_seed), values, "in place", fit_on="train"),
    ]
    for group in schema.groups:
        size = components(group, config.gene_factors, config.cell_factors)
        steps.append(Step(f"{group.prefix}-fa", factor_analysis(size, config.factor_seed), named(*group.columns)))
    for group in schema.groups:
        clusters = KMeansOneHot(setting_of(group, config.gene_clusters, config.cell_clusters), config.cluster_seed)
        steps.append(Step(f"{group.prefix}-cluster", clusters, named(*group.columns)))
    steps += [Step("statistics", statistics, values, own_names=True), keep_treated(schema), *log_conditions(schema)]
    if meta_features:
        rank = GaussianRank(random_state=config.rank_seed)
        steps.append(Step("stage1 rank", rank, starting("stage1:"), "replace", fit_on="train", own_names=True))
    return FeaturePipeline(steps)


def stages(config: TwoStageConfig, schema: Assay) -> tuple[Stage, ...]:
    """The perceptron and TabNet; without meta-features only TabNet."""
    nonscored, tabnet = config.nonscored, config.tabnet
    learner, make = _with_categories(tabnet.learner, schema), partial(tabnet_features, tabnet, schema)
    if not config.meta_features:
        return (Stage("tabnet", "scored", partial(make, False), tabnet.folds, tabnet.seeds, learner),)
    first = partial(nonscored_features, nonscored, schema)
    return (
        Stage("stage1", "nonscored", first, nonscored.folds, nonscored.seeds, nonscored.learner),
        Stage("tabnet", "scored", partial(make, True), tabnet.folds, tabnet.seeds, learner, uses=("stage1",)),
    )


def _with_categories(learner: TabNetLearner, schema: Assay) -> TabNetLearner:
    """Fill the number of levels and the width of each condition's embedding, unless they are set."""
    sizes = {
        "cat_dims": tuple(len(levels) for levels in schema.levels.values()),
        "cat_emb_dim": (1,) * len(schema.levels),
    }
    return learner.model_copy(update={name: size for name, size in sizes.items() if getattr(learner, name) is None})


def left_out(config: TwoStageConfig) -> tuple[str, ...]:
    """The settings of stage 1 where there is none."""
    return () if config.meta_features else ("nonscored",)


def adapt(config: TwoStageConfig, facts: DataFacts) -> tuple[TwoStageConfig, list[str]]:
    """Without a nonscored positive stage 1 has nothing to learn."""
    if facts.nonscored or not config.meta_features:
        return config, []
    note = "no row has a nonscored target: stage 1 is left out, the model is TabNet alone"
    return config.model_copy(update={"meta_features": False}), [note]


RECIPES = (
    Recipe(
        "two-stage-nn-tabnet",
        "2-stage NN + TabNet",
        TwoStageConfig(),
        stages,
        Published(cv=0.01623, public_lb=0.01837, private_lb=0.01625, printed=0.01615),
        least_columns=4,
        left_out=left_out,
        adapt=adapt,
        version=3,
        demo={
            "nonscored": {
                "seeds": (0,),
                "folds": {"n_splits": 3},
                "gene_components": 20,
                "cell_components": 10,
                "gene_umap": 5,
                "cell_umap": 5,
                "learner": {"hidden": 256, "epochs": 6, "batch_size": 32},
            },
            "tabnet": {
                "seeds": (0,),
                "folds": {"n_splits": 2},
                "gene_factors": 20,
                "cell_factors": 10,
                "gene_clusters": 10,
                # Small batches: in a few dozen steps the predictions would hardly fall below 0.5.
                "learner": {
                    "epochs": 18,
                    "patience": 8,
                    "batch_size": 32,
                    "virtual_batch_size": 32,
                    "milestones": (11, 15),
                    "decay": 0.3,
                },
            },
        },
    ),
)

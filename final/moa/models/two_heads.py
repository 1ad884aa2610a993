"""2-heads ResNet, V1 and V2: trained on nonscored targets, then on the scored ones, from two sets of inputs.

Source: write-up, 2-heads ResNet. It does not say which rows scaler and PCA are fitted on; here the treated training
rows.
"""

from __future__ import annotations

from functools import partial

from sklearn.preprocessing import StandardScaler

from moa.data.folds import Folds
from moa.data.schema import Schema
from moa.features import OneHotConditions, RowStatistics, TTestSelector
from moa.features.pipeline import FeaturePipeline, Step, drop, named, starting
from moa.features.reductions import pca
from moa.learners.two_heads.learner import SECOND, TwoHeadsLearner
from moa.models.base import ModelConfig, Published, Recipe, Stage


class TwoHeadsConfig(ModelConfig):
    """Settings of a 2-heads ResNet; the defaults are those of V1.

    Attributes:
        selected: number of columns of the second input, those with the lowest p-values. The published list, and so
            the published network, has 447. None uses the published rule, "below the 25 % quantile of the p-values",
            which keeps 218 of 872.
        conditions: whether the first input has the conditions.
    """

    seeds: tuple[int, ...] = (23, 228, 1488, 1998, 2208, 2077, 404)
    folds: Folds = Folds(scheme="kfold", n_splits=10, seed=None)
    selected: int | None = 447
    gene_components: int = 2
    cell_components: int = 100
    pca_seed: int = 0
    conditions: bool = False
    phase1: TwoHeadsLearner = TwoHeadsLearner()
    phase2: TwoHeadsLearner = TwoHeadsLearner(phase3="validation")


def features(config: TwoHeadsConfig, schema: Schema) -> FeaturePipeline:
    """Head 1: scaled genes, cells, their means and principal components; in V2 conditions. Head 2: selected columns.

    The selection uses the labels of all training rows, including those of validation folds, as in the original, whose
    list of columns was made once.
    """
    genes, cells, values = named(*schema.columns("genes")), named(*schema.columns("cells")), named(*schema.values)
    conditions = named(*schema.condition_columns)
    one_hot = Step("conditions", OneHotConditions(schema.levels), conditions, "replace", own_names=True)
    statistics = RowStatistics(schema.widths, ("mean",))
    means = [f"{prefix}_mean" for prefix in schema.widths]
    overall = [name for name in statistics.get_feature_names_out() if name not in means]
    return FeaturePipeline(
        [
            drop("treated rows only", named(schema.treatment.column)),
            Step(
                "selected",
                TTestSelector(n_columns=config.selected),
                values,
                fit_on="train",
                own_names=True,
                prefix=SECOND,
            ),
            Step("head 2 scale", StandardScaler(), starting(SECOND), "in place", fit_on="train"),
            Step("means", statistics, values, own_names=True),
            drop("two means", named(*overall)),
            Step("head 1 scale", StandardScaler(), named(*schema.values, *means), "in place", fit_on="train"),
            Step("g-pca", pca(config.gene_components, config.pca_seed), genes, fit_on="train"),
            Step("c-pca", pca(config.cell_components, config.pca_seed), cells, fit_on="train"),
            one_hot if config.conditions else drop("no conditions", conditions),
        ]
    )


def stages(config: TwoHeadsConfig, schema: Schema) -> tuple[Stage, ...]:
    """Phase 1 on all nonscored targets; phases 2 and 3 on the scored ones, starting from phase 1's weights."""
    make = partial(features, config, schema)
    return (
        Stage("phase1", "nonscored-all", make, config.folds, config.seeds, config.phase1),
        Stage("phase2", "scored", make, config.folds, config.seeds, config.phase2, starts_from="phase1"),
    )


# In a few hundred steps the published learning rate would not bring predictions from 0.5 down to 0.01.
_SMALL = {"width": 128, "batch_size": 32, "lr": 4e-3, "epochs": 12, "loop_epochs": 3, "loop_rounds": 2}
DEMO = {
    "seeds": (23,),
    "folds": {"n_splits": 2},
    "gene_components": 2,
    "cell_components": 20,
    "phase1": _SMALL,
    "phase2": _SMALL,
}

RECIPES = (
    Recipe(
        "two-heads",
        "2-heads ResNet",
        TwoHeadsConfig(),
        stages,
        Published(cv=0.01589, public_lb=0.01836, private_lb=0.01624),
        demo=DEMO,
    ),
    Recipe(
        "two-heads-v2",
        "2-heads ResNet V2",
        TwoHeadsConfig(
            gene_components=50,
            cell_components=50,
            conditions=True,
            phase1=TwoHeadsLearner(batch_size=64),
            phase2=TwoHeadsLearner(batch_size=64, phase3="validation"),
        ),
        stages,
        # Same as the CV of the OOF predictions in the Best CV blend, which is computed on treated rows.
        Published(cv=0.01566, public_lb=0.01844, private_lb=0.01623, cv_rows="treated"),
        demo=DEMO | {"gene_components": 10},
    ),
)

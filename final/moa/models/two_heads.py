"""2-heads ResNet, V1 and V2: trained on nonscored targets, then on the scored ones, from two sets of inputs.

Source: write-up, 2-heads ResNet.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from moa.data.assay import Assay
from moa.data.folds import Folds
from moa.data.sizes import CELL_COMPONENTS, GENE_COMPONENTS, SELECTED, components
from moa.errors import UserError
from moa.features.condition_steps import encode_conditions, keep_treated
from moa.features.pipeline import FeaturePipeline, Step, drop, named, starting
from moa.features.profile_steps import sphered_steps
from moa.features.reductions import pca
from moa.learners.two_heads.learner import TwoHeadsLearner
from moa.learners.two_heads.settings import AFTER, SECOND
from moa.models.base import DataFacts, ModelConfig, Published, Recipe, Shrinkage, Stage

#: The columns of the second input as the winners published them in their repository: 347 genes and all 100 cell lines,
#: said to come from a Student's t-test of treated rows with and without any mechanism of action.
PUBLISHED = tuple(Path(__file__).with_name("two_heads_columns.txt").read_text(encoding="ascii").split())


class TwoHeadsConfig(ModelConfig):
    """Settings of a 2-heads ResNet; the defaults are those of V1.

    Attributes:
        selection: columns of the second input: the "published" list of 447, or for other data those with the lowest
            p-values of a "t-test" of a unit's training rows with and without any mechanism.
        selected: number of columns of the t-test; None uses the rule of the write-up, "below the 25 % quantile of the
            p-values", which keeps 218 of 872.
        gene_components, cell_components: of PCA, whose seed is the model seed.
        conditions: whether the first input has the conditions.
        phase1: None leaves out the phase on nonscored targets.
        sphered: λ of sphering the features on controls first, for other assays; None: they are taken as they are.
    """

    seeds: tuple[int, ...] = (23, 228, 1488, 1998, 2208, 2077, 404)
    folds: Folds = Folds(scheme="kfold", n_splits=10, seed=None)
    selection: Literal["published", "t-test"] = "published"
    selected: Annotated[int | None, SELECTED] = 447
    gene_components: Annotated[int, GENE_COMPONENTS] = 2
    cell_components: Annotated[int, CELL_COMPONENTS] = 100
    conditions: bool = False
    phase1: TwoHeadsLearner | None = TwoHeadsLearner()
    phase2: TwoHeadsLearner = TwoHeadsLearner(phase3="validation")
    sphered: Shrinkage = None


def features(config: TwoHeadsConfig, schema: Assay) -> FeaturePipeline:
    """What is the same in all units. Head 1: genes, cells, in V2 conditions, and means. Head 2: published columns.

    The published list was made once, from the labels of all training rows.
    """
    from moa.features import RowStatistics

    values, conditions = named(*schema.values), named(*schema.condition_columns)
    statistics = RowStatistics(schema.widths, ("mean",))
    overall = [name for name in statistics.get_feature_names_out() if name not in _means(schema)]
    return FeaturePipeline(
        [
            *sphered_steps(schema, config.sphered),
            keep_treated(schema),
            *([_published(schema)] if config.selection == "published" else []),
            *(encode_conditions(schema) if config.conditions else [drop("no conditions", conditions)]),
            Step("means", statistics, values, own_names=True),
            drop("overall mean", named(*overall)),
        ]
    )


def _means(schema: Assay) -> list[str]:
    return [f"{prefix}_mean" for prefix in schema.widths]


def _published(schema: Assay) -> Step:
    """Copies of the published columns, for the second input; without those of feature groups that are left out."""
    from moa.features import Copies

    known = set(schema.values)
    chosen = [column for column in PUBLISHED if column not in schema.unused]
    missing = [column for column in chosen if column not in known]
    if missing:
        raise UserError(
            f"2-heads ResNet: the published list of features has '{missing[0]}', which {schema.name} lacks; choose "
            'selection="t-test"'
        )
    return Step("selected", Copies(), named(*chosen), own_names=True, prefix=SECOND)


def unit_features(config: TwoHeadsConfig, schema: Assay, seed: int) -> FeaturePipeline:
    """Standardised inputs and principal components, fitted on the training rows of each unit.

    The components of training rows are the randomised solver's own, those of other rows their projections, as
    published: the solver is not exact, so that the two differ by a few hundredths of a component's deviation.

    A t-test chooses the columns of the second input from these rows too, so that it sees no label of a validation fold.
    ``seed`` is the model seed, of PCA.
    """
    from moa.features import OneHotConditions, StandardScaler, TTestSelector

    selector = TTestSelector(n_columns=config.selected)
    selected = Step("selected", selector, named(*schema.values), fit_on="train", own_names=True, prefix=SECOND)
    conditions = (*schema.numeric_conditions, *OneHotConditions(schema.levels).get_feature_names_out())
    first = named(*schema.values, *_means(schema), *(conditions if config.conditions else ()))
    return FeaturePipeline(
        [
            *([selected] if config.selection == "t-test" else []),
            Step("head 2 scale", StandardScaler(), starting(SECOND), "in place", fit_on="train"),
            Step("head 1 scale", StandardScaler(), first, "in place", fit_on="train"),
            *(
                Step(
                    f"{group.prefix}-pca",
                    pca(components(group, config.gene_components, config.cell_components), seed),
                    named(*group.columns),
                    fit_on="train",
                    training_rows="fit_transform",
                )
                for group in schema.groups
            ),
        ]
    )


def stages(config: TwoHeadsConfig, schema: Assay) -> tuple[Stage, ...]:
    """Phase 1 on all nonscored targets; phases 2 and 3 on the scored ones, starting from phase 1's weights."""
    stage = partial(
        Stage,
        features=partial(features, config, schema),
        folds=config.folds,
        seeds=config.seeds,
        unit_features=partial(unit_features, config, schema),
    )
    if config.phase1 is None:
        return (stage("phase2", "scored", learner=config.phase2),)
    return (
        stage("phase1", "nonscored-all", learner=config.phase1),
        stage("phase2", "scored", learner=config.phase2, starts_from="phase1"),
    )


def adapt(config: TwoHeadsConfig, facts: DataFacts) -> tuple[TwoHeadsConfig, list[str]]:
    """Without nonscored targets phase 1 has nothing to learn; the published columns are the competition's.

    Phase 3 was fitted on the validation fold, as published. Where training must not see that fold, the few rows that
    choose the epoch would take its place, and phase 3 would forget all others.
    """
    updates: dict[str, Any] = {}
    notes = []
    if config.phase1 and not facts.nonscored:
        updates["phase1"] = None
        notes.append("no row has a nonscored target: phase 1 is left out")
    if facts.blind and config.phase2.phase3 == "validation":
        updates["phase2"] = config.phase2.model_copy(update={"phase3": "train"})
        notes.append("phase 3 is fitted on the training rows, not on those that choose the epoch")
    if config.selection == "published" and not facts.assay.of_competition:
        updates["selection"] = "t-test"
        notes.append("the published list of columns is the competition's: a t-test chooses them in each fold")
    return config.model_copy(update=updates), notes


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
        Published(cv=0.01589, public_lb=0.01836, private_lb=0.01624, leaky=AFTER),
        demo=DEMO,
        adapt=adapt,
        version=3,
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
        Published(cv=0.01566, public_lb=0.01844, private_lb=0.01623, leaky=AFTER),
        demo=DEMO | {"gene_components": 10},
        adapt=adapt,
        version=3,
    ),
)

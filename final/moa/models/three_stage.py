"""3-stage NN: predict nonscored targets, then scored ones from those predictions, then correct the latter.

Source: write-up, "3-stage NN". The Best LB blend has the model with 5 folds, Best CV with 10.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

from moa.data.assay import Assay
from moa.data.folds import Folds
from moa.data.sizes import CELL_COMPONENTS, GENE_COMPONENTS, can_correct, components
from moa.features.condition_steps import encode_conditions, keep_treated
from moa.features.pipeline import FeaturePipeline, Step, drop, named, starting
from moa.features.profile_steps import sphered_steps
from moa.features.reductions import factor_analysis
from moa.learners.perceptron.learner import MLPLearner
from moa.models.base import DataFacts, ModelConfig, Published, Recipe, Shrinkage, Stage


class ThreeStageConfig(ModelConfig):
    """Settings of the 3-stage NN; the defaults are those of the Best LB blend.

    Attributes:
        folds: of stage 2, and of stage 3 with ``all_positive``, see ``stages``.
        stage1_split_seed: seed of the folds of stage 1, otherwise as those of stage 3.
        gene_umap, cell_umap: dimensions of the UMAP embeddings; 0 in either: no UMAP.
        meta_features: False leaves out the first stage.
        correction: False leaves out the last stage.
        sphered: λ of sphering the features on controls first, for other assays; None: they are taken as they are.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    folds: Folds = Folds(scheme="multilabel", n_splits=5, seed=4)
    stage1_split_seed: int = 1903
    gene_factors: Annotated[int, GENE_COMPONENTS] = 90
    cell_factors: Annotated[int, CELL_COMPONENTS] = 50
    gene_umap: Annotated[int, GENE_COMPONENTS] = 45
    cell_umap: Annotated[int, CELL_COMPONENTS] = 25
    reduction_seed: int = 1903
    rank_seed: int = 123
    meta_rank_seed: int = 0
    meta_features: bool = True
    correction: bool = True
    sphered: Shrinkage = None
    stage1: MLPLearner = MLPLearner(dropout=(0.15, 0.3, 0.25), epochs=15, pct_start=0.2, target_clip=(0.0005, 0.9995))
    stage2: MLPLearner = MLPLearner(dropout=(0.15, 0.3, 0.25), epochs=25, pct_start=0.2)
    stage3: MLPLearner = MLPLearner(
        hidden=1024, dropout=(0.15, 0.3, 0.25), epochs=25, pct_start=0.2, target_clip=(0.0005, 0.9995)
    )


def features(config: ThreeStageConfig, schema: Assay, earlier: str | None = None) -> FeaturePipeline:
    """Factors and UMAP of the raw values, then ranks; for the competition 1,085 columns before one-hot encoding.

    Only genes and cells are ranked, as in the published model; the write-up's text says that more columns are. These
    transformers are fitted with the control rows in. Predictions of the stage ``earlier``, if there is one, exist for
    treated rows only, are ranked by the training rows, and stand last.
    """
    from moa.features import GaussianRank, UMAPEmbedding

    seed, steps = config.reduction_seed, sphered_steps(schema, config.sphered)
    for group in schema.groups:
        size = components(group, config.gene_factors, config.cell_factors)
        steps.append(Step(f"{group.prefix}-fa", factor_analysis(size, seed), named(*group.columns)))
        if config.gene_umap and config.cell_umap:
            size = components(group, config.gene_umap, config.cell_umap)
            steps.append(Step(f"{group.prefix}-umap", UMAPEmbedding(size, random_state=seed), named(*group.columns)))
    steps.append(Step("rank", GaussianRank(random_state=config.rank_seed), named(*schema.values), "in place"))
    steps += [keep_treated(schema), *encode_conditions(schema)]
    return FeaturePipeline([*steps, *([_rank_predictions(config, earlier)] if earlier else [])])


def predictions_alone(config: ThreeStageConfig, schema: Assay, earlier: str) -> FeaturePipeline:
    """Only the ranked predictions of an earlier stage."""
    others = drop("all but predictions", lambda available: [c for c in available if not c.startswith(f"{earlier}:")])
    return FeaturePipeline([keep_treated(schema), others, _rank_predictions(config, earlier)])


def _rank_predictions(config: ThreeStageConfig, earlier: str) -> Step:
    from moa.features import GaussianRank

    rank = GaussianRank(random_state=config.meta_rank_seed)
    return Step(f"{earlier} rank", rank, starting(f"{earlier}:"), "replace", fit_on="train", own_names=True)


def stages(config: ThreeStageConfig, schema: Assay) -> tuple[Stage, ...]:
    """Three stages; without meta-features the first is left out, without correction the last.

    Each stage splits by its own targets. The original split stages 1 and 3 by targets that were clipped already, so
    that their folds are not stratified.
    """
    make = partial(features, config, schema)
    third_folds = config.folds.model_copy(update={"all_positive": True})
    first_folds = third_folds.model_copy(update={"seed": config.stage1_split_seed})
    first = Stage("stage1", "nonscored", make, first_folds, config.seeds, config.stage1)
    uses = ("stage1",) if config.meta_features else ()
    second = Stage("stage2", "scored", partial(make, *uses), config.folds, config.seeds, config.stage2, uses=uses)
    alone = partial(predictions_alone, config, schema, "stage2")
    third = Stage("stage3", "scored", alone, third_folds, config.seeds, config.stage3, uses=("stage2",))
    return (*([first] if config.meta_features else []), second, *([third] if config.correction else []))


def left_out(config: ThreeStageConfig) -> tuple[str, ...]:
    """The settings of stages 1 and 3 where they are left out."""
    return (*(() if config.meta_features else ("stage1",)), *(() if config.correction else ("stage3",)))


def adapt(config: ThreeStageConfig, facts: DataFacts) -> tuple[ThreeStageConfig, list[str]]:
    """Without a nonscored positive stage 1 has nothing to learn, and stage 3 needs many compounds."""
    notes, changes = [], {}
    if config.meta_features and not facts.nonscored:
        changes["meta_features"] = False
        notes.append("no row has a nonscored target: stage 1 is left out")
    examples = facts.rows if facts.compounds is None else facts.compounds
    if config.correction and not facts.assay.of_competition and not can_correct(facts.targets, examples):
        changes["correction"] = False
        what = "rows" if facts.compounds is None else "compounds"
        notes.append(f"{examples:,} {what} are too few to correct {facts.targets} predictions: stage 3 is left out")
    return config.model_copy(update=changes), notes


DEMO = {
    "seeds": (0,),
    "folds": {"n_splits": 3},
    "gene_factors": 20,
    "cell_factors": 10,
    "gene_umap": 5,
    "cell_umap": 5,
    "stage1": {"hidden": 256, "epochs": 6, "batch_size": 32},
    "stage2": {"hidden": 256, "epochs": 10, "batch_size": 32},
    "stage3": {"hidden": 128, "epochs": 10, "batch_size": 32},
}

RECIPES = (
    Recipe(
        "three-stage-nn-5fold",
        "3-stage NN (5 folds)",
        ThreeStageConfig(),
        stages,
        Published(cv=0.01561, public_lb=0.01823, private_lb=0.01618, clipped=(0.0005, 0.9995)),
        demo=DEMO,
        left_out=left_out,
        adapt=adapt,
        version=3,
    ),
    Recipe(
        "three-stage-nn-10fold",
        "3-stage NN (10 folds)",
        ThreeStageConfig(folds=Folds(scheme="multilabel", n_splits=10, seed=4)),
        stages,
        Published(cv=0.01546, public_lb=0.01822, private_lb=0.01618),
        demo=DEMO | {"folds": {"n_splits": 4}},
        left_out=left_out,
        adapt=adapt,
        version=3,
    ),
)

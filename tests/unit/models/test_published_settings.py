"""Published settings are the defaults: the figures of the write-up and of its notebooks, by model."""

from operator import attrgetter

import pytest

from moa.data.assay import COMPETITION
from moa.models.registry import recipe, recipes

FIVE, TEN = "three-stage-nn-5fold", "three-stage-nn-10fold"
CLIPPED = (0.0005, 0.9995)


def under(prefix, settings):
    """Settings of a part of a configuration."""
    return {f"{prefix}.{name}": value for name, value in settings.items()}


def rows_of(**settings):
    """Folds that are stratified by rows, unless the settings say otherwise."""
    return under("folds", {"scheme": "multilabel", "shuffle": False, "all_positive": False, **settings})


PERCEPTRON = {"max_lr": 1e-2, "div_factor": 1e3, "weight_decay": 1e-5, "hidden": 2048}
SIMPLE_NN = {
    "seeds": (940, 1513, 1269, 1392, 1119, 1303),
    "second_rank_seed": 123,
    "gene_factors": 90,
    "cell_factors": 50,
    "factor_seed": 1903,
    **under("learner", PERCEPTRON),
    "learner.block": "3-fc",
    "learner.dropout": (0.0, 0.25, 0.25),
    "learner.epochs": 25,
    "learner.batch_size": 128,
    "learner.pct_start": 0.1,
    "learner.smoothing": 0.001,
    "learner.target_clip": None,
}
THREE_FC = PERCEPTRON | {
    "block": "3-fc",
    "dropout": (0.15, 0.3, 0.25),
    "batch_size": 256,
    "pct_start": 0.2,
    "smoothing": 0.0,
}
THREE_STAGE = {
    "seeds": (0, 1, 2, 3, 4),
    "stage1_split_seed": 1903,
    "gene_factors": 90,
    "cell_factors": 50,
    "gene_umap": 45,
    "cell_umap": 25,
    "reduction_seed": 1903,
    "rank_seed": 123,
    "meta_rank_seed": 0,
    "meta_features": True,
    "correction": True,
    **under("stage1", THREE_FC | {"epochs": 15, "target_clip": CLIPPED}),
    **under("stage2", THREE_FC | {"epochs": 25, "target_clip": None}),
    **under("stage3", THREE_FC | {"epochs": 25, "target_clip": CLIPPED, "hidden": 1024}),
}
NONSCORED = {
    "seeds": (0, 1, 2, 3, 4),
    **rows_of(n_splits=10, seed=None, shuffle=True, split_seeds=(512, 0, 1, 2, 3)),
    "rank_seed": 0,
    "gene_components": 50,
    "cell_components": 15,
    "gene_umap": 15,
    "cell_umap": 5,
    "reduction_seed": 512,
    "least_variance": 0.5,
    **under("learner", PERCEPTRON),
    "learner.block": "2-fc",
    "learner.dropout": (0.2, 0.25),
    "learner.epochs": 15,
    "learner.batch_size": 256,
    "learner.pct_start": 0.2,
    "learner.smoothing": 0.0,
    "learner.target_clip": None,
}
TABNET = {
    "seeds": (0, 1, 2),
    **rows_of(n_splits=10, seed=None, shuffle=True, split_seeds=()),
    "rank_seed": 0,
    "gene_factors": 90,
    "cell_factors": 50,
    "factor_seed": 42,
    "gene_clusters": 35,
    "cell_clusters": 5,
    "cluster_seed": 123,
    "learner.n_d": 32,
    "learner.n_a": 32,
    "learner.n_steps": 1,
    "learner.gamma": 1.3,
    "learner.lambda_sparse": 0,
    "learner.mask_type": "entmax",
    "learner.lr": 2e-2,
    "learner.weight_decay": 1e-5,
    "learner.milestones": (100, 150),
    "learner.decay": 0.9,
    "learner.smoothing": 0.001,
    "learner.epochs": 200,
    "learner.patience": 50,
    "learner.batch_size": 1024,
    "learner.virtual_batch_size": 128,
}
TWO_HEADS_NET = {
    "width": 512,
    "bottleneck": 206,
    "dropout": (0.2, 0.3),
    "lr": 1e-3,
    "epochs": 50,
    "patience": 10,
    "min_delta": 1e-5,
    "plateau_factor": 0.5,
    "plateau_patience": 4,
    "smoothing": 0.0005,
    "loop_lr": 1e-3 / 5,
    "loop_patience": 3,
    "loop_min_delta": 1e-6,
}
TWO_HEADS = {
    "seeds": (23, 228, 1488, 1998, 2208, 2077, 404),
    "folds.scheme": "kfold",
    "folds.n_splits": 10,
    "folds.per_seed": True,
    "selection": "published",
    **under("phase1", TWO_HEADS_NET | {"phase3": "none"}),
    **under("phase2", TWO_HEADS_NET | {"phase3": "validation"}),
}
CNN = {
    "seeds": (1120,),
    **rows_of(n_splits=10, seed=1120, shuffle=True),
    "learner.hidden": 512,
    "learner.layout": "tsne",
    "learner.perplexity": 5,
    "learner.map_iterations": 1000,
    "learner.map_seed": 1120,
    "learner.swap_probability": 0.1,
    "learner.swap_fraction": 0.15,
    "learner.epochs": 200,
    "learner.min_delta": 1e-6,
    "learner.lr": 0.000352,
    "learner.weight_decay": 1e-6,
    "learner.half_cycle": 5,
    "learner.gradient_clip": 10,
    "learner.smoothing": 0.001,
    "learner.pretrained": True,
}
RESNEST = CNN | {
    "learner.resolution": 224,
    "learner.batch_size": 128,
    "learner.patience": 16,
    "learner.backbone.blocks": (3, 4, 6, 3),
    "learner.backbone.radix": 2,
    "learner.backbone.cardinality": 2,
    "learner.backbone.width": 40,
}
PUBLISHED = {
    "simple-nn-old-cv": SIMPLE_NN
    | rows_of(n_splits=5, seed=42)
    | {"first_rank_seed": 0, "keep_slips": True, "gene_clusters": 45, "cell_clusters": 15, "cluster_seed": 123},
    "simple-nn-new-cv": SIMPLE_NN
    | {"folds.scheme": "drug-aware", "folds.n_splits": 5, "folds.seed": 34}
    | {"first_rank_seed": 123, "keep_slips": False, "gene_clusters": None, "cell_clusters": None},
    FIVE: THREE_STAGE | rows_of(n_splits=5, seed=4),
    TEN: THREE_STAGE | rows_of(n_splits=10, seed=4),
    "two-stage-nn-tabnet": {"meta_features": True} | under("nonscored", NONSCORED) | under("tabnet", TABNET),
    "two-heads": TWO_HEADS
    | {"gene_components": 2, "cell_components": 100, "conditions": False}
    | {"phase1.batch_size": 128, "phase2.batch_size": 128},
    "two-heads-v2": TWO_HEADS
    | {"gene_components": 50, "cell_components": 50, "conditions": True}
    | {"phase1.batch_size": 64, "phase2.batch_size": 64},
    "deepinsight-efficientnet-b3": CNN
    | {"learner.resolution": 300, "learner.batch_size": 48, "learner.patience": 12}
    | under("learner.backbone", {"name": "tf_efficientnet_b3.ns_jft_in1k", "drop": 0.3, "drop_connect": 0.2}),
    "deepinsight-resnest-v1": RESNEST | {"learner.backbone.final_drop": 0.0},
    "deepinsight-resnest-v2": RESNEST | {"learner.backbone.final_drop": 0.2},
}


def test_every_model_is_in_the_table():
    assert set(PUBLISHED) == set(recipes())


@pytest.mark.parametrize(
    ("model", "setting"), [(model, setting) for model, settings in PUBLISHED.items() for setting in settings]
)
def test_published_settings_are_the_defaults(model, setting):
    assert attrgetter(setting)(recipe(model).configure("kaggle")) == PUBLISHED[model][setting]


def test_the_two_three_stage_models_differ_in_the_number_of_folds_alone():
    five, ten = (recipe(name).configure("kaggle") for name in (FIVE, TEN))
    assert five.model_copy(update={"folds": ten.folds}) == ten


STAGES = {
    "simple-nn-old-cv": [("nn", "scored", ())],
    "simple-nn-new-cv": [("nn", "scored", ())],
    FIVE: [("stage1", "nonscored", ()), ("stage2", "scored", ("stage1",)), ("stage3", "scored", ("stage2",))],
    TEN: [("stage1", "nonscored", ()), ("stage2", "scored", ("stage1",)), ("stage3", "scored", ("stage2",))],
    "two-stage-nn-tabnet": [("stage1", "nonscored", ()), ("tabnet", "scored", ("stage1",))],
    "two-heads": [("phase1", "nonscored-all", ()), ("phase2", "scored", ())],
    "two-heads-v2": [("phase1", "nonscored-all", ()), ("phase2", "scored", ())],
    "deepinsight-efficientnet-b3": [("cnn", "scored", ())],
    "deepinsight-resnest-v1": [("cnn", "scored", ())],
    "deepinsight-resnest-v2": [("cnn", "scored", ())],
}


@pytest.mark.parametrize("model", list(recipes()))
def test_targets_of_each_stage_and_what_it_reads(model):
    stages = recipe(model).stages(recipe(model).configure("kaggle"), COMPETITION)
    assert [(stage.name, stage.targets, stage.uses) for stage in stages] == STAGES[model]
    assert recipe(model).rows == ("all" if model.startswith("deepinsight") else "treated")


def test_what_stages_fill_in_from_the_competitions_conditions():
    tabnet = recipe("two-stage-nn-tabnet")
    learner = tabnet.stages(tabnet.configure("kaggle"), COMPETITION)[-1].learner
    assert (learner.cat_dims, learner.cat_emb_dim) == ((3, 2), (1, 1))
    cnn = recipe("deepinsight-efficientnet-b3")
    assert cnn.stages(cnn.configure("kaggle"), COMPETITION)[-1].learner.swap_first == 3


@pytest.mark.parametrize(("model", "keep_fitted"), [(FIVE, True), (TEN, True), ("two-stage-nn-tabnet", False)])
def test_umap_places_new_rows_in_30_epochs(model, keep_fitted):
    first = recipe(model).stages(recipe(model).configure("kaggle"), COMPETITION)[0]
    umaps = [step.transformer.get_params() for step in first.features().steps if step.name.endswith("-umap")]
    assert len(umaps) == 2
    assert all((umap["transform_epochs"], umap["keep_fitted"]) == (30, keep_fitted) for umap in umaps)

"""Published settings are the defaults: the figures of the write-up and of its notebooks, by model."""

from operator import attrgetter

import pytest

from moa.data.schema import COMPETITION
from moa.models.registry import recipe, recipes

FIVE, TEN = "three-stage-nn-5fold", "three-stage-nn-10fold"
SIMPLE_NN = {
    "seeds": (940, 1513, 1269, 1392, 1119, 1303),
    "folds.n_splits": 5,
    "learner.hidden": 2048,
    "learner.epochs": 25,
    "learner.batch_size": 256,
    "learner.pct_start": 0.1,
    "learner.max_lr": 1e-2,
    "learner.div_factor": 1e3,
    "learner.weight_decay": 1e-5,
    "learner.dropout": (0.0, 0.25, 0.25),
    "learner.smoothing": 0.001,
}
THREE_STAGE = {
    "seeds": (0, 1, 2, 3, 4),
    "stage1.epochs": 15,
    "stage2.epochs": 25,
    "stage3.epochs": 25,
    "stage1.hidden": 2048,
    "stage2.hidden": 2048,
    "stage3.hidden": 1024,
    "stage1.target_clip": (0.0005, 0.9995),
    "stage3.target_clip": (0.0005, 0.9995),
}
TWO_HEADS = {
    "seeds": (23, 228, 1488, 1998, 2208, 2077, 404),
    "folds.scheme": "kfold",
    "folds.n_splits": 10,
    "folds.per_seed": True,
    "phase1.phase3": "none",
    "phase2.phase3": "validation",
}
CNN = {"seeds": (1120,), "folds.n_splits": 10, "folds.shuffle": True, "learner.swap_probability": 0.1}
RESNEST = CNN | {"learner.resolution": 224, "learner.batch_size": 128, "learner.patience": 16}
PUBLISHED = {
    "simple-nn-old-cv": SIMPLE_NN | {"folds.scheme": "multilabel"},
    "simple-nn-new-cv": SIMPLE_NN | {"folds.scheme": "drug-aware", "folds.seed": 34},
    FIVE: THREE_STAGE | {"folds.n_splits": 5},
    TEN: THREE_STAGE | {"folds.n_splits": 10},
    "two-stage-nn-tabnet": {
        "nonscored.folds.n_splits": 10,
        "tabnet.folds.n_splits": 10,
        "tabnet.folds.per_seed": True,
        "tabnet.seeds": (0, 1, 2),
        "tabnet.learner.n_d": 32,
        "tabnet.learner.n_a": 32,
        "tabnet.learner.n_steps": 1,
        "tabnet.learner.mask_type": "entmax",
        "tabnet.learner.epochs": 200,
        "tabnet.learner.patience": 50,
        "tabnet.learner.batch_size": 1024,
        "tabnet.learner.virtual_batch_size": 128,
    },
    "two-heads": TWO_HEADS | {"phase2.batch_size": 128},
    "two-heads-v2": TWO_HEADS | {"phase2.batch_size": 64},
    "deepinsight-efficientnet-b3": CNN | {"learner.resolution": 300, "learner.batch_size": 48},
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


def test_phase_1_of_the_two_heads_learns_all_nonscored_targets():
    model = recipe("two-heads")
    stages = model.stages(model.configure("kaggle"), COMPETITION)
    assert [stage.targets for stage in stages] == ["nonscored-all", "scored"]

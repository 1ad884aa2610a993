"""The multi-stage recipes: widths of the write-up, how stages chain, published settings."""

import numpy as np
import pandas as pd
import pytest

from moa.data.schema import CP_TYPE, TREATED
from moa.errors import StoreError, UserError
from moa.models import three_stage, two_stage_tabnet
from moa.models.registry import recipe
from moa.training.runner import Runner, Selection, open_runner

THREE, TABNET = "three-stage-nn-5fold", "two-stage-nn-tabnet"


@pytest.fixture(scope="module")
def frames(dataset):
    """Treated rows with made-up predictions of the 331 nonscored targets joined."""
    rng = np.random.default_rng(0)
    found = []
    for frame in (dataset.features, dataset.test):
        frame = frame[frame[CP_TYPE] == TREATED]
        made = pd.DataFrame(rng.random((len(frame), 331)), frame.index, [f"stage1:t{i}" for i in range(331)])
        found.append((frame, frame.join(made)))
    (train, train_joined), (test, test_joined) = found
    return (train, test), (train_joined, test_joined)


def test_three_stage_widths_are_the_published_ones(frames):
    config = recipe(THREE).configure()
    first = three_stage.features(config)
    x, _ = first.fit_transform(*frames[0])
    assert first.widths_["rank"] == 1085 and x.shape[1] == 1085 - 1 - 2 + 5
    without_umap = recipe(THREE).configure(overlay={"gene_umap": 0})
    second = three_stage.features(without_umap, "stage1")
    second.fit_transform(*frames[1])
    assert second.widths_["stage1 rank"] == 1416 - 70


def test_tabnet_reads_1397_columns_with_the_condition_codes_first(frames):
    config = recipe(TABNET).configure()
    x, _ = two_stage_tabnet.tabnet_features(config.tabnet, True).fit_transform(*frames[1])
    assert x.shape[1] == 1397 and list(x.columns[:2]) == ["cp_time", "cp_dose"]
    assert set(x["cp_time"]) == {0, 1, 2} and set(x["cp_dose"]) == {0, 1}
    assert sum(column.endswith("_sum") for column in x) == 0


def test_stage_one_of_tabnet_keeps_the_columns_that_vary(frames):
    config = recipe(TABNET).configure(overlay={"nonscored": {"gene_umap": 0}})
    x, _ = two_stage_tabnet.nonscored_features(config.nonscored).fit_transform(*frames[0])
    kept = x.drop(columns=[column for column in x if column.startswith("cp_")])
    both = pd.concat([kept, two_stage_tabnet.nonscored_features(config.nonscored).fit_transform(*frames[0])[1]])
    assert both[kept.columns].var().min() > 0.5
    assert x.filter(like="-pca-").shape[1] > 0


def test_published_settings_are_the_defaults():
    five, ten = recipe(THREE).configure(), recipe("three-stage-nn-10fold").configure()
    assert five.folds.n_splits == 5 and ten.folds.n_splits == 10 and five.seeds == (0, 1, 2, 3, 4)
    assert five.model_copy(update={"folds": ten.folds}) == ten
    assert [stage.epochs for stage in (five.stage1, five.stage2, five.stage3)] == [15, 25, 25]
    assert [stage.hidden for stage in (five.stage1, five.stage2, five.stage3)] == [2048, 2048, 1024]
    assert five.stage1.target_clip == five.stage3.target_clip == (0.0005, 0.9995)
    tabnet = recipe(TABNET).configure()
    assert tabnet.nonscored.folds.n_splits == tabnet.tabnet.folds.n_splits == 10
    assert tabnet.tabnet.seeds == (0, 1, 2) and tabnet.tabnet.folds.per_seed
    learner = tabnet.tabnet.learner
    assert (learner.n_d, learner.n_a, learner.n_steps, learner.mask_type) == (32, 32, 1, "entmax")
    assert (learner.epochs, learner.patience, learner.batch_size, learner.virtual_batch_size) == (200, 50, 1024, 128)


def test_later_stages_see_out_of_fold_predictions(demo_weights, dataset):
    """Stage 3's inputs on training rows are ranks of stage 2's OOF, not of what stage 2 fitted."""
    runner = open_runner(THREE, demo_weights, "cpu")
    stage = runner.pipeline("stage3")
    oof = runner._oof(runner.stages["stage2"])
    x = stage.transform(oof.add_prefix("stage2:").reindex(columns=stage.input_columns_, fill_value=0.0))
    target = oof.columns[0]
    order = oof[target].to_numpy().argsort()
    assert (np.diff(x[f"stage2:{target}"].to_numpy()[order]) >= -1e-6).all()


def test_models_share_a_fit_of_the_same_columns_and_settings(demo_weights):
    """The 10-fold model finds the factors and UMAPs of the 5-fold one in the store."""
    keys = [
        {step.name: step.key for step in open_runner(name, demo_weights, "cpu").pipeline("stage2").fitted_}
        for name in (THREE, "three-stage-nn-10fold")
    ]
    for step in ("g-fa", "c-fa", "g-umap", "c-umap", "rank"):
        assert keys[0][step] == keys[1][step]


def test_a_fold_that_is_not_there_is_told_before_anything_is_trained(dataset, tmp_path):
    runner = Runner(recipe(THREE), tmp_path, recipe(THREE).configure("demo"), profile="demo")
    with pytest.raises(UserError, match="--fold 9: stage3 has folds 0 to 2"):
        runner.train(dataset, Selection(fold=9))
    assert not any(tmp_path.iterdir())


def test_a_stage_alone_waits_for_all_folds_of_the_one_it_reads(dataset, demo_weights, tmp_path):
    model = recipe(THREE)
    config = model.configure("demo", {"gene_umap": 0, "stage1": {"epochs": 1}})
    runner = Runner(model, tmp_path, config, profile="demo")
    with pytest.raises(StoreError, match="train all folds of stage1"):
        for stage, fold in (("stage1", 0), ("stage2", None)):
            runner.train(dataset, Selection(stage=stage, fold=fold))

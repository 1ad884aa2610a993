"""Multi-stage models: later stages learn from out-of-fold predictions, and models share fits."""

import numpy as np
import pytest

from moa.errors import StoreError, UserError
from moa.models.registry import recipe
from moa.training.runner import Runner
from moa.weights.selection import Selection
from moa.weights.trained import Trained, open_trained

THREE, TABNET = "three-stage-nn-5fold", "two-stage-nn-tabnet"


def test_later_stages_see_out_of_fold_predictions(weights_of, dataset):
    """Stage 3's inputs on training rows are ranks of stage 2's OOF, not of what stage 2 fitted."""
    trained = open_trained(THREE, weights_of(THREE))
    x = trained.pipeline("stage3").transform(_with_predictions(trained, "stage3", dataset))
    oof = trained.oof(stage="stage2").loc[x.index]
    assert len(x) == dataset.treated.sum()
    target = oof.columns[0]
    order = oof[target].to_numpy().argsort()
    assert (np.diff(x[f"stage2:{target}"].to_numpy()[order]) >= -1e-6).all()


@pytest.mark.parametrize("name", [THREE, TABNET])
def test_stage_predictions_exist_for_treated_rows_alone(name, weights_of, dataset):
    trained = open_trained(name, weights_of(name))
    treated = dataset.features.index[dataset.treated]
    assert 0 < len(treated) < len(dataset.features)
    for stage in trained.stages:
        assert set(trained.oof(stage=stage).index) == set(treated)
        assert trained.store.stage(stage).rows == len(treated)
        assert trained.pipeline(stage).transform(_with_predictions(trained, stage, dataset)).index.equals(treated)
    shown = trained.predict(dataset.test)
    controls = ~dataset.schema.is_treated(dataset.test)
    assert (shown[controls] == 0).all(axis=None) and (shown[~controls] > 0).all(axis=None)


def _with_predictions(trained, stage, dataset):
    """All training rows, with the OOF of the stages that this one reads; controls have none."""
    frame = dataset.features
    for source in trained.stages[stage].uses:
        frame = frame.join(trained.oof(stage=source).add_prefix(f"{source}:"))
    return frame


def test_models_share_a_fit_of_the_same_columns_and_settings(weights_of):
    """The 10-fold model finds the factors and UMAPs of the 5-fold one in the store."""
    keys = [
        {step.name: step.key for step in open_trained(name, weights_of(name)).pipeline("stage2").fitted_}
        for name in (THREE, "three-stage-nn-10fold")
    ]
    for step in ("g-fa", "c-fa", "g-umap", "c-umap", "rank"):
        assert keys[0][step] == keys[1][step]


def test_a_fold_that_is_not_there_is_reported_before_anything_is_trained(dataset, tmp_path):
    runner = Runner(Trained(recipe(THREE), tmp_path, recipe(THREE).configure("demo")), profile="demo")
    with pytest.raises(UserError, match="--fold 9: stage3 has folds 0 to 2"):
        runner.train(dataset, Selection(fold=9))
    assert not any(tmp_path.iterdir())


def test_a_stage_alone_waits_for_all_folds_of_the_one_it_reads(dataset, tmp_path):
    model = recipe(THREE)
    config = model.configure("demo", {"gene_umap": 0, "stage1": {"epochs": 1}})
    runner = Runner(Trained(model, tmp_path, config), profile="demo")
    runner.train(dataset, Selection(stage="stage1", fold=0))
    with pytest.raises(StoreError, match="train all folds of stage1"):
        runner.train(dataset, Selection(stage="stage2"))

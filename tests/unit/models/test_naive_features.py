"""The features of the single models, held to a plain transcription of how they are made, and of their order."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin

import moa.features
from moa.data.assay import COMPETITION
from moa.data.schema import CP_TYPE, TREATED
from moa.learners.base import Fitted
from moa.learners.runtime import Runtime
from moa.learners.two_heads.settings import SECOND
from moa.models.registry import recipe
from moa.models.two_heads import PUBLISHED
from moa.training.unit import StageInputs, Unit, train_unit
from support import naive_features


class StandIn(TransformerMixin, BaseEstimator):
    """In the place of UMAP, whose places no transcription can give; its own tests say where rows lie."""

    def __init__(self, n_components, random_state, keep_fitted=True):
        self.n_components, self.random_state, self.keep_fitted = n_components, random_state, keep_fitted

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return naive_features.stand_in(X, self.n_components)


@pytest.fixture(autouse=True)
def umap(monkeypatch):
    monkeypatch.setattr(moa.features, "UMAPEmbedding", StandIn)


def ours(model, stage, frames):
    stages = {each.name: each for each in recipe(model).stages(recipe(model).configure("kaggle"), COMPETITION)}
    return stages[stage].features().fit_transform(*frames)


def predictions(frames, stage):
    """The predictions of an earlier stage in ``frames``: of treated rows."""
    return [frame.filter(like=f"{stage}:")[frame[CP_TYPE] == TREATED] for frame in frames]


def check(found, expected, width=None):
    """Equal tables of treated rows, column by column in this order; ``width`` columns are the network's inputs."""
    for table, naive in zip(found, expected, strict=True):
        assert table.index.equals(naive.index) and list(table) == list(naive)
        # The package gives float32.
        difference = (table.astype(np.float64) - naive).abs()
        bound = 1e-5 * np.maximum(naive.abs(), 1)
        assert (difference <= bound).all(axis=None), difference.max().sort_values().tail()
    if width:
        assert found[0].shape[1] == width


@pytest.mark.parametrize(
    ("model", "new_cv", "width"), [("simple-nn-old-cv", False, 1091), ("simple-nn-new-cv", True, 1032)]
)
def test_simple_nn(tables, model, new_cv, width):
    check(ours(model, "nn", tables), naive_features.simple_nn(*tables, new_cv), width)


def test_three_stages(tables, joined):
    model = "three-stage-nn-5fold"
    with_first, with_second = joined("stage1", 331), joined("stage2", 206)
    first = naive_features.three_stage(*tables)
    check(ours(model, "stage1", tables), first, 1087)
    second = naive_features.three_stage(*tables, predictions(with_first, "stage1"))
    check(ours(model, "stage2", with_first), second, 1418)
    check(ours(model, "stage3", with_second), naive_features.third_stage(predictions(with_second, "stage2")), 206)


def test_two_stages_with_tabnet(tables, joined):
    model = "two-stage-nn-tabnet"
    with_first = joined("stage1", 331)
    check(ours(model, "stage1", tables), naive_features.two_stage_first(*tables))
    found = ours(model, "tabnet", with_first)
    check(found, naive_features.tabnet(*tables, predictions(with_first, "stage1")), 1397)
    assert list(found[0].columns[:2]) == ["cp_time", "cp_dose"]


class Remembering:
    """In the place of a learner: keeps the data of its unit, and predicts nothing."""

    def fit(self, data, seed, fold, runtime, initial=None, callback=None):
        self.data = data
        return Fitted({}, oof=np.zeros((len(data.valid), data.y.shape[1])))


@pytest.mark.parametrize(
    ("model", "counts"), [("two-heads", (False, 2, 100)), ("two-heads-v2", (True, 50, 50))], ids=["V1", "V2"]
)
def test_two_heads_training_rows_and_others(larger_dataset, model, counts):
    """More training rows than genes, or else the solver works on the transposed table and is exact for these rows."""
    stage = recipe(model).stages(recipe(model).configure("kaggle"), COMPETITION)[0]
    learner, tables = Remembering(), (larger_dataset.features, larger_dataset.test)
    X = stage.features().fit_transform(*tables)[0]
    fold_of_row = np.where(np.arange(len(X)) % 27 == 0, 1, 0)
    inputs = StageInputs(X, pd.DataFrame({"t": np.zeros(len(X), np.float32)}, X.index), {None: fold_of_row})
    inputs = dataclasses.replace(inputs, labelled=np.ones(len(X), int))
    result = train_unit(inputs, Unit(dataclasses.replace(stage, learner=learner), 228, 1, None, Runtime()))
    train, valid = X.index[fold_of_row == 0], X.index[fold_of_row == 1]
    assert len(train) > 772 and len(valid) > 20

    found, replayed = learner.data.X.astype(np.float64), result.features.transform(X.loc[train]).astype(np.float64)
    first, second = naive_features.two_heads(
        larger_dataset.features.loc[train], larger_dataset.features.loc[valid], 228, *counts, list(PUBLISHED)
    )
    for rows, naive, naive_second in zip((train, valid), first, second, strict=True):
        table = found.loc[rows]
        in_second = table.columns.str.startswith(SECOND)
        assert list(table.loc[:, ~in_second]) == list(naive)
        assert [column.removeprefix(SECOND) for column in table.loc[:, in_second]] == list(naive_second)
        np.testing.assert_allclose(table.loc[:, in_second], naive_second, rtol=1e-4, atol=1e-4)
        # In units of deviations; components start from values that were rounded to float32.
        difference = (table.loc[:, ~in_second] - naive).abs() / first[0].std()
        assert (difference <= 1e-3).all(axis=None), difference.max().sort_values().tail()
    if model == "two-heads-v2":
        components = replayed.filter(like="c-pca-")
        apart = (components - found.loc[train, components.columns]).std() / components.std()
        assert apart.median() > 0.01, "what transform gives is something else"


def test_the_transcription_tells_fits_with_controls_from_fits_without(tables):
    """Or else this comparison would show nothing about the controls."""
    treated, genes = [frame[frame[CP_TYPE] == TREATED] for frame in tables], naive_features.GENES[:20]
    with_controls, without = (
        naive_features.ranked(*frames, genes, 0, fit_on_test=False)[0] for frames in (tables, treated)
    )
    assert (with_controls.loc[without.index, genes] - without[genes]).abs().mean(axis=None) > 0.01

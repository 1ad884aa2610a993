"""Weights that version 0.1 wrote are read, and predict what that version predicted."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from moa.data.table_files import read_table
from moa.learners.two_heads.learner import AFTER
from moa.training.layout import WeightsFolder
from moa.training.merge import merge_weights
from moa.training.trained import open_trained
from support import TESTS

STORED = TESTS / "support" / "weights-0.1"
MODELS = ("two-heads", "two-stage-nn-tabnet")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("older")
    with zipfile.ZipFile(STORED / "store.zip") as packed:
        packed.extractall(folder)
    return folder / "store"


@pytest.fixture(scope="module")
def features():
    return read_table(STORED / "features.parquet")


def test_the_models_are_found(weights):
    assert tuple(WeightsFolder(weights).models()) == MODELS


@pytest.mark.parametrize("name", MODELS)
def test_predictions_are_those_of_that_version(name, weights, features):
    trained, expected = open_trained(name, weights), read_table(STORED / f"{name}.parquet")
    found = trained.predict(features)
    pd.testing.assert_index_equal(found.index, expected.index)
    assert list(found.columns) == list(expected.columns) == trained.targets
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    treated = trained.schema.is_treated(features)
    assert (found[treated] > 0).all(axis=None)


@pytest.mark.parametrize("name", MODELS)
def test_facts_of_the_training_data_are_read(name, weights, features):
    trained = open_trained(name, weights)
    distance = trained.familiarity().transform(features[list(trained.schema.values)].to_numpy(np.float64))
    assert distance.shape == (len(features), 2) and np.isfinite(distance).all()
    assert list(trained.prevalence().index) == trained.targets
    assert not trained.history().empty and trained.cost()[0] == len(trained.store.layout.units())


def test_the_honest_oof_is_the_one_from_before_phase_3(weights):
    trained = open_trained("two-heads", weights)
    (seed, fold), *_ = trained.units(trained.last)
    unit = trained.store.layout.unit(next(key for key in trained.store.layout.units() if key.stage == "phase2"))
    pd.testing.assert_frame_equal(
        trained.store.load_oof("phase2", seed, fold), read_table(unit / "oof-before-phase3.parquet")
    )
    assert trained.store.unit_facts("phase2", seed, fold)["variants"] == [AFTER]
    assert not trained.oof().equals(trained.oof(AFTER))


@pytest.mark.parametrize("name", MODELS)
def test_they_can_be_merged_and_still_predict(name, weights, features, tmp_path):
    (merged,) = merge_weights([weights], tmp_path / "merged", models=[name])
    assert merged.taken == len(WeightsFolder(weights).model(name).units()) > 0
    found = open_trained(name, tmp_path / "merged").predict(features)
    pd.testing.assert_frame_equal(found, open_trained(name, weights).predict(features))

"""Weights that were stored by this version of the recipes are read and predict the same; older ones are refused."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from moa.cli import app
from moa.data.dataset import load_dataset
from moa.data.stored_tables import read_table
from moa.errors import StoreError, UserError
from moa.files import read_json
from moa.learners.two_heads.settings import AFTER
from moa.models.registry import recipe
from moa.training.runner import Runner
from moa.weights.layout import WeightsFolder
from moa.weights.merge import merge_weights
from moa.weights.trained import Trained, open_trained
from support.stored import STORED, unpack_store

MODELS = ("two-heads", "two-stage-nn-tabnet")
REFUSED = "trained by version 1 of this model, and this package has version 3; train again"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return unpack_store(tmp_path_factory.mktemp("stored"))


@pytest.fixture
def older(weights, tmp_path):
    """The same weights with the oldest manifests: without a version of the recipe."""
    folder = shutil.copytree(weights, tmp_path / "older")
    for name in MODELS:
        path = folder / name / "manifest.json"
        manifest = read_json(path)
        assert manifest.pop("recipe") == 3
        path.write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def features():
    return read_table(STORED / "features.parquet")


def test_they_are_small_and_the_models_are_found(weights):
    assert (STORED / "store.zip").stat().st_size < 2_000_000
    assert tuple(WeightsFolder(weights).models()) == MODELS


@pytest.mark.parametrize("name", MODELS)
def test_predictions_are_those_of_the_day_they_were_stored(name, weights, features):
    trained, expected = open_trained(name, weights, whole=False), read_table(STORED / f"{name}.parquet")
    found = trained.predict(features)
    pd.testing.assert_index_equal(found.index, expected.index)
    assert list(found.columns) == list(expected.columns) == trained.targets
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    treated = trained.schema.is_treated(features)
    assert treated.sum() == 7 and (found[treated] > 0).all(axis=None) and (found[~treated] == 0).all(axis=None)
    assert expected[treated].std().median() > 1e-3, "the rows differ by more than the tolerance"


@pytest.mark.parametrize("name", MODELS)
def test_facts_of_the_training_data_are_read(name, weights, features):
    trained = open_trained(name, weights, whole=False)
    distance = trained.familiarity().transform(features[list(trained.schema.values)].to_numpy(np.float64))
    assert distance.shape == (len(features), 2) and np.isfinite(distance).all()
    assert list(trained.prevalence().index) == trained.targets
    history = trained.history()
    assert len(history) == trained.cost()[0] == len(trained.store.layout.units())
    assert ("valid_batch_loss" in history) == (name == "two-stage-nn-tabnet"), "perceptrons have it"


def test_both_oof_of_the_two_heads_are_read(weights):
    trained = open_trained("two-heads", weights, whole=False)
    (unit,) = trained.units(trained.last)
    assert trained.store.unit_facts("phase2", *unit).variants == [AFTER]
    assert not trained.oof().equals(trained.oof(AFTER))


@pytest.mark.parametrize("name", MODELS)
def test_they_can_be_merged_and_still_predict(name, weights, features, tmp_path):
    (merged,) = merge_weights([weights], tmp_path / "merged", models=[name])
    assert merged.taken == len(WeightsFolder(weights).model(name).units()) > 0
    found = open_trained(name, tmp_path / "merged", whole=False).predict(features)
    pd.testing.assert_frame_equal(found, open_trained(name, weights, whole=False).predict(features))


@pytest.mark.parametrize("name", MODELS)
def test_weights_of_the_first_recipes_are_refused_in_one_line(name, older, synthetic, tmp_path):
    data, target = synthetic(tmp_path / "data", rows=80, test_rows=8, seed=3), tmp_path / "merged"
    model, manifest = recipe(name), read_json(older / name / "manifest.json")
    runner = Runner(Trained(model, older, type(model.config).model_validate(manifest["settings"])), profile="custom")
    command = ["predict", name, "--data", str(data), "--weights", str(older), "--out", str(tmp_path / "out")]
    for use, message in (
        (lambda: open_trained(name, older), REFUSED),
        (lambda: CliRunner().invoke(app, command, catch_exceptions=False), REFUSED),
        (lambda: merge_weights([older], target, models=[name]), REFUSED),
        (lambda: runner.train(load_dataset(data, drugs=False)), "made with other recipe .*1 there, 3 now"),
    ):
        with pytest.raises(StoreError, match=message) as caught:
            use()
        assert "\n" not in str(caught.value) and isinstance(caught.value, UserError)
    assert not target.exists() and not (tmp_path / "out" / name).exists()
    assert read_json(older / name / "manifest.json") == manifest, "nothing was changed"

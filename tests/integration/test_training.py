"""Training in parts: one fold at a time, several jobs in one folder, and what is refused."""

import dataclasses
import json

import pandas as pd
import pytest

from moa.errors import StoreError, UserError
from moa.files import read_json
from moa.models.registry import recipe
from moa.training.runner import Runner
from moa.weights.selection import Selection
from moa.weights.trained import Trained, open_trained
from support import array_job
from support.demo import copy_models
from support.forked import processes
from support.weights import files

NAME = "simple-nn-old-cv"


@pytest.fixture(scope="module")
def weights(weights_of):
    return weights_of(NAME)


def test_units_can_be_trained_one_fold_at_a_time(weights, dataset, tmp_path):
    model = recipe(NAME)
    config = model.configure("demo")
    for fold in (2, 0, 1):
        runner = Runner(Trained(model, tmp_path, config), profile="demo")
        predictions = runner.train(dataset, Selection(seeds=1, fold=fold))
    assert runner.trained.missing_units() == 3
    full = open_trained(NAME, weights)
    first_seed = [full.store.load_oof("nn", 940, fold) for fold in range(3)]
    pd.testing.assert_frame_equal(predictions.oof, pd.concat(first_seed).sort_index())


def test_other_settings_or_data_in_the_same_folder_are_refused(weights, dataset, tmp_path):
    copy_models(weights, tmp_path, NAME)
    model = recipe(NAME)
    longer = model.configure("demo", {"learner": {"epochs": 9}})
    with pytest.raises(StoreError, match="epochs"):
        Runner(Trained(model, tmp_path, longer), profile="demo").train(dataset)
    changed = dataclasses.replace(dataset, fingerprint={**dataset.fingerprint, "train_features.csv": "other"})
    with pytest.raises(StoreError, match="train_features.csv"):
        Runner(Trained(model, tmp_path, model.configure("demo")), profile="demo").train(changed)


@pytest.mark.parametrize("version", [2, 4])
def test_weights_of_another_version_of_the_recipe_are_not_trained_further(weights, dataset, tmp_path, version):
    copy_models(weights, tmp_path, NAME)
    path, model = tmp_path / NAME / "manifest.json", recipe(NAME)
    manifest = read_json(path)
    assert manifest["recipe"] == model.version == 3
    path.write_text(json.dumps(manifest | {"recipe": version}))
    with pytest.raises(StoreError, match=f"made with other recipe .*{version} there, 3 now") as caught:
        Runner(Trained(model, tmp_path, model.configure("demo")), profile="demo").train(dataset)
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match=f"trained by version {version} of this model.*has version 3"):
        open_trained(NAME, tmp_path)


def test_untrained_unknown_and_incomplete_are_reported_plainly(tmp_path, weights, dataset):
    with pytest.raises(StoreError, match="train the model first"):
        open_trained(NAME, tmp_path)
    with pytest.raises(UserError, match="no model is named 'nope'.*simple-nn-old-cv"):
        open_trained("nope", tmp_path)
    with pytest.raises(UserError, match="--fold 9: nn has folds 0 to 2"):
        Runner(Trained(recipe(NAME), weights, recipe(NAME).configure("demo"))).train(dataset, Selection(fold=9))
    trained = open_trained(NAME, weights)
    with pytest.raises(UserError, match="'g-3'"):
        trained.predict(dataset.test.drop(columns="g-3"))


def test_jobs_of_an_array_share_a_store_and_its_units(data_dir, tmp_path):
    """Two jobs begin at once in an empty folder, and it ends as one process would have left it.

    Both make the manifest, the shared fits, the stages' descriptions, and every unit of the first stage.
    """
    jobs, shared, alone = (0, 1), tmp_path / "shared" / "weights", tmp_path / "alone"
    running = [
        processes().Process(target=array_job.run, args=(shared, data_dir, fold, job, len(jobs)))
        for job, fold in enumerate(jobs)
    ]
    try:
        for process in running:
            process.start()
        for process in running:
            process.join()
            assert process.exitcode == 0
    finally:
        for process in running:
            process.kill()
    array_job.train(alone, data_dir, Selection())

    found, expected = files(shared), files(alone)
    assert found.keys() == expected.keys(), "whole units, one manifest, nothing left over"
    for name, content in expected.items():
        assert found[name] == content, name

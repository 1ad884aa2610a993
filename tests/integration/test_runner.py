"""From data to predictions: replay in a fresh process, new plates of any size and order."""

import dataclasses
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from moa.data.dataset import read_features
from moa.data.schema import CP_TYPE, TREATED
from moa.data.table_files import read_table
from moa.errors import StoreError, UserError
from moa.files import create_json, creating, read_json
from moa.jobs.predict import predict_model
from moa.metrics import log_loss, prevalence_baseline
from moa.models.registry import recipe, recipes
from moa.training.runner import Runner, Selection, open_runner
from moa.training.store import ModelStore
from support import TESTS, array_job

NAME = "simple-nn-old-cv"


@pytest.fixture(params=list(recipes()))
def runner(request, demo_weights):
    return open_runner(request.param, demo_weights, "cpu")


def test_oof_covers_every_training_row_of_the_model(runner, dataset):
    oof = runner.oof()
    rows = dataset.features.index if runner.model.rows == "all" else dataset.features.index[dataset.treated]
    assert sorted(oof.index) == sorted(rows) and list(oof.columns) == list(dataset.scored.columns)
    assert oof.to_numpy().min() >= 0 and oof.to_numpy().max() <= 1 and runner.missing_units() == 0


def test_it_learns(demo_weights, dataset):
    """Rows of the same drugs are on both sides of these folds, so even a small model must beat the prevalence."""
    treated = dataset.scored[dataset.treated]
    baseline = log_loss(treated, prevalence_baseline(treated, treated.index))
    assert log_loss(treated, open_runner(NAME, demo_weights, "cpu").oof()) < 0.9 * baseline


def test_a_fresh_process_gives_byte_equal_predictions(demo_weights, data_dir, tmp_path, moa_command):
    moa_command("predict", "all", "--data", data_dir, "--weights", demo_weights, "--out", tmp_path, "--device", "cpu")
    sample = pd.read_csv(data_dir / "sample_submission.csv")
    for name in recipes():
        for kind in ("oof", "test"):
            written = read_table(demo_weights / name / "predictions" / f"{kind}.parquet")
            again = read_table(tmp_path / name / f"{kind}.parquet")
            assert again.index.equals(written.index) and list(again.columns) == list(written.columns)
            assert again.to_numpy().tobytes() == written.to_numpy().tobytes(), (name, kind)
        mine = pd.read_csv(tmp_path / name / "submission.csv")
        assert list(mine["sig_id"]) == list(sample["sig_id"]) and list(mine.columns) == list(sample.columns)


def test_new_plates_of_one_row_in_any_order_or_of_controls_alone(runner, dataset):
    test = dataset.test
    whole = runner.predict(test)
    control = test[CP_TYPE] != TREATED
    assert control.any() and (whole[control] == 0).all(axis=None) and (whole[~control] > 0).all(axis=None)

    shuffled = test.sample(frac=1, random_state=0)
    np.testing.assert_allclose(runner.predict(shuffled).loc[test.index], whole, rtol=1e-4, atol=1e-7)
    row = test[~control].iloc[[5]]
    np.testing.assert_allclose(runner.predict(row), whole.loc[row.index], rtol=1e-4, atol=1e-7)
    assert (runner.predict(test[control]) == 0).all(axis=None)
    assert runner.predict(test[control]).shape == (control.sum(), 206)


def test_new_plates_from_a_file_with_shuffled_columns(runner, dataset, tmp_path):
    frame = dataset.test.iloc[:7]
    frame.reset_index()[["g-5", *[c for c in ["sig_id", *frame.columns] if c != "g-5"]]].to_csv(
        tmp_path / "my.csv", index=False
    )
    read = read_features(tmp_path / "my.csv")
    np.testing.assert_allclose(runner.predict(read), runner.predict(frame), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("rows", ["one", "controls", "another order"])
def test_other_rows_in_the_place_of_the_test_file(rows, demo_weights, data_dir, dataset, tmp_path, capsys):
    """The competition's sample_submission.csv still lies beside them, and orders the rows where they are its own."""
    test = pd.read_csv(data_dir / "test_features.csv")
    treated = test[CP_TYPE] == TREATED
    chosen = {"one": test[treated].iloc[[3]], "controls": test[~treated], "another order": test.iloc[::-1]}[rows]
    for path in data_dir.glob("*.csv"):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "test_features.csv").unlink()
    chosen.to_csv(tmp_path / "test_features.csv", index=False)
    folder = predict_model(NAME, tmp_path, demo_weights, tmp_path / "out", "cpu")
    found = pd.read_csv(folder / "submission.csv", index_col="sig_id")
    assert list(found.index) == list(test["sig_id"] if rows == "another order" else chosen["sig_id"])
    assert ("sample_submission.csv has other rows" in capsys.readouterr().err) == (rows != "another order")
    whole = open_runner(NAME, demo_weights, "cpu").predict(dataset.test)
    np.testing.assert_allclose(found, whole.loc[found.index], rtol=1e-4, atol=1e-7)


def test_units_can_be_trained_one_fold_at_a_time(demo_weights, dataset, tmp_path):
    model = recipe(NAME)
    config = model.configure("demo")
    for fold in (2, 0, 1):
        runner = Runner(model, tmp_path, config, profile="demo")
        predictions = runner.train(dataset, Selection(seeds=1, fold=fold))
    assert runner.missing_units() == 3
    full = Runner(model, demo_weights, config)
    first_seed = [full.store.load_oof("nn", 940, fold) for fold in range(3)]
    pd.testing.assert_frame_equal(predictions.oof, pd.concat(first_seed).sort_index())


def test_other_settings_or_data_in_the_same_folder_are_refused(demo_weights, dataset, tmp_path):
    shutil.copytree(demo_weights, tmp_path, dirs_exist_ok=True)
    model = recipe(NAME)
    with pytest.raises(StoreError, match="epochs"):
        Runner(model, tmp_path, model.configure("demo", {"learner": {"epochs": 9}}), profile="demo").train(dataset)
    changed = dataclasses.replace(dataset, fingerprint={**dataset.fingerprint, "train_features.csv": "other"})
    with pytest.raises(StoreError, match="train_features.csv"):
        Runner(model, tmp_path, model.configure("demo"), profile="demo").train(changed)


def test_untrained_unknown_and_incomplete_are_told_plainly(tmp_path, demo_weights, dataset):
    with pytest.raises(StoreError, match="train the model first"):
        open_runner(NAME, tmp_path)
    with pytest.raises(UserError, match="model 'nope' is unknown.*simple-nn-old-cv"):
        open_runner("nope", tmp_path)
    with pytest.raises(UserError, match="--fold 9: nn has folds 0 to 2"):
        Runner(recipe(NAME), demo_weights).train(dataset, Selection(fold=9))
    runner = open_runner(NAME, demo_weights)
    with pytest.raises(UserError, match="'g-3'"):
        runner.predict(dataset.test.drop(columns="g-3"))


def test_profiles_are_overlays():
    model = recipe(NAME)
    assert model.configure("demo").learner.max_lr == model.configure("kaggle").learner.max_lr
    assert model.configure("demo").learner.hidden < model.configure("kaggle").learner.hidden
    with pytest.raises(UserError, match="profile 'prod'"):
        model.configure("prod")


def test_jobs_of_an_array_share_a_store_and_its_units(data_dir, tmp_path):
    """Two jobs begin at once in an empty folder, and it ends as one process would have left it.

    Both make the manifest, the shared fits, the stages' descriptions, and every unit of the first stage.
    """
    script, jobs = TESTS / "support" / "array_job.py", (0, 1)
    shared, alone = tmp_path / "shared" / "weights", tmp_path / "alone"
    running = [
        subprocess.Popen(
            [sys.executable, script, shared, data_dir, str(fold), str(job), str(len(jobs))],
            stderr=subprocess.PIPE, text=True,
        )
        for job, fold in enumerate(jobs)
    ]  # fmt: skip
    try:
        for process in running:
            words = process.communicate()[1]
            assert process.returncode == 0, words
    finally:
        for process in running:
            process.kill()
    array_job.train(alone, data_dir, Selection())

    def files(folder):
        return {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}

    found, expected = files(shared), files(alone)
    assert found.keys() == expected.keys(), "whole units, one manifest, nothing left over"
    for name, path in expected.items():
        if name.suffix == ".skops":  # the format numbers its objects anew each time
            continue
        if name.name == "unit.json":
            facts, others = (read_json(folder[name]) for folder in (found, expected))
            assert facts | {"seconds": 0} == others | {"seconds": 0}
        else:
            assert found[name].read_bytes() == path.read_bytes(), name


def test_the_first_of_two_writers_wins(tmp_path):
    path = tmp_path / "a.json"
    with creating(path) as temporary:
        temporary.write_text('"mine"')
        assert create_json(path, "theirs") == "theirs"
    assert read_json(path) == create_json(path, "later") == "theirs" and list(tmp_path.iterdir()) == [path]
    store = ModelStore(tmp_path, "model")
    with pytest.raises(StoreError, match="other settings"):
        store.claim(store.claim({"settings": 1}) or {"settings": 2})

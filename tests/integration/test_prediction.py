"""From data to predictions: replay in a fresh process, new plates of any size and order."""

import numpy as np
import pandas as pd
import pytest

from moa.data.dataset import read_features
from moa.data.schema import CP_TYPE, TREATED
from moa.data.stored_tables import read_table
from moa.jobs.predict import predict_model
from moa.learners.runtime import Runtime
from moa.metrics.losses import log_loss, prevalence_baseline
from moa.weights.trained import open_trained
from support.demo import TRAINED

NAME = "simple-nn-old-cv"


@pytest.fixture(scope="module")
def weights(weights_of):
    return weights_of(NAME)


@pytest.fixture(params=TRAINED)
def trained(request, weights_of):
    return open_trained(request.param, weights_of(request.param))


def test_oof_covers_every_training_row_of_the_model(trained, dataset):
    oof = trained.oof()
    rows = dataset.features.index if trained.model.rows == "all" else dataset.features.index[dataset.treated]
    assert sorted(oof.index) == sorted(rows) and list(oof.columns) == list(dataset.scored.columns)
    assert oof.to_numpy().min() >= 0 and oof.to_numpy().max() <= 1 and trained.missing_units() == 0


def test_it_learns(larger_demo, larger_dataset):
    """Rows of the same drugs are on both sides of these folds, so even a small model must beat the prevalence."""
    treated = larger_dataset.scored[larger_dataset.treated]
    baseline = log_loss(treated, prevalence_baseline(treated, treated.index))
    assert log_loss(treated, open_trained(NAME, larger_demo.weights(NAME)).oof()) < 0.9 * baseline


def test_a_fresh_process_gives_byte_equal_predictions(all_weights, data_dir, tmp_path, moa_command):
    moa_command("predict", *TRAINED, "--data", data_dir, "--weights", all_weights, "--out", tmp_path, "--device", "cpu")
    sample = pd.read_csv(data_dir / "sample_submission.csv")
    for name in TRAINED:
        for kind in ("oof", "test"):
            written = read_table(all_weights / name / "predictions" / f"{kind}.parquet")
            again = read_table(tmp_path / name / f"{kind}.parquet")
            assert again.index.equals(written.index) and list(again.columns) == list(written.columns)
            assert again.to_numpy().tobytes() == written.to_numpy().tobytes(), (name, kind)
        mine = pd.read_csv(tmp_path / name / "submission.csv")
        assert list(mine["sig_id"]) == list(sample["sig_id"]) and list(mine.columns) == list(sample.columns)


def test_new_plates_of_one_row_in_any_order_or_of_controls_alone(trained, dataset):
    test = dataset.test
    whole = trained.predict(test)
    control = test[CP_TYPE] != TREATED
    assert control.any() and (whole[control] == 0).all(axis=None) and (whole[~control] > 0).all(axis=None)

    shuffled = test.sample(frac=1, random_state=0)
    np.testing.assert_allclose(trained.predict(shuffled).loc[test.index], whole, rtol=1e-4, atol=1e-7)
    row = test[~control].iloc[[5]]
    np.testing.assert_allclose(trained.predict(row), whole.loc[row.index], rtol=1e-4, atol=1e-7)
    assert (trained.predict(test[control]) == 0).all(axis=None)
    assert trained.predict(test[control]).shape == (control.sum(), 206)


def test_new_plates_from_a_file_with_shuffled_columns(trained, dataset, tmp_path):
    frame = dataset.test.iloc[:7]
    frame.reset_index()[["g-5", *[c for c in ["sig_id", *frame.columns] if c != "g-5"]]].to_csv(
        tmp_path / "my.csv", index=False
    )
    read = read_features(tmp_path / "my.csv")
    np.testing.assert_allclose(trained.predict(read), trained.predict(frame), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("rows", ["one", "controls", "another order"])
def test_other_rows_in_the_place_of_the_test_file(rows, weights, data_dir, dataset, tmp_path, capsys):
    """The competition's sample_submission.csv is still there, and orders the rows only if they are the same ones."""
    test = pd.read_csv(data_dir / "test_features.csv")
    treated = test[CP_TYPE] == TREATED
    chosen = {"one": test[treated].iloc[[3]], "controls": test[~treated], "another order": test.iloc[::-1]}[rows]
    for path in data_dir.glob("*.csv"):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "test_features.csv").unlink()
    chosen.to_csv(tmp_path / "test_features.csv", index=False)
    folder = predict_model(NAME, tmp_path, weights, tmp_path / "out", Runtime())
    found = pd.read_csv(folder / "submission.csv", index_col="sig_id")
    assert list(found.index) == list(test["sig_id"] if rows == "another order" else chosen["sig_id"])
    assert ("sample_submission.csv: has other rows" in capsys.readouterr().err) == (rows != "another order")
    whole = open_trained(NAME, weights).predict(dataset.test)
    np.testing.assert_allclose(found, whole.loc[found.index], rtol=1e-4, atol=1e-7)

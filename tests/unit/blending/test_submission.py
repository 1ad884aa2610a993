"""Submissions: rows, columns and digits as the competition wants them."""

import numpy as np
import pandas as pd
import pytest

from moa.blending.submission import submission, write_submission
from moa.errors import UserError
from support.predictions import COLUMNS, table


@pytest.fixture
def test_features():
    kinds = ["trt_cp", "ctl_vehicle", "trt_cp", "ctl_vehicle"]
    return pd.DataFrame({"cp_type": kinds, "g-0": 0.5}, index=pd.Index(["r3", "r1", "r4", "r2"], name="sig_id"))


def test_submission_order_and_controls(test_features):
    predictions = table(1)
    result = submission(predictions, test_features, COLUMNS[::-1])
    assert list(result.index) == ["r3", "r1", "r4", "r2"]
    assert list(result.columns) == COLUMNS[::-1]
    assert (result.loc[["r1", "r2"]] == 0.0).all(axis=None)
    pd.testing.assert_frame_equal(
        result.loc[["r3", "r4"]], predictions.loc[["r3", "r4"], COLUMNS[::-1]], check_names=False
    )
    pd.testing.assert_frame_equal(submission(predictions.loc[["r4", "r3"]], test_features, COLUMNS[::-1]), result)
    with pytest.raises(UserError, match="r3"):
        submission(predictions.drop(index="r3"), test_features, COLUMNS)
    with pytest.raises(UserError, match="not expected.*stranger"):
        submission(predictions.rename(index={"r2": "stranger"}), test_features, COLUMNS)
    with pytest.raises(UserError, match="r4.*TRT"):
        submission(predictions, test_features.assign(cp_type=["trt_cp", "ctl_vehicle", "TRT", "trt_cp"]), COLUMNS)


def test_write_submission_round_trip(tmp_path, test_features):
    predictions = table(1).astype(np.float32) * np.float32(1e-6)
    result = submission(predictions, test_features, COLUMNS)
    sample = tmp_path / "sample_submission.csv"
    (result * 0 + 0.5).to_csv(sample)
    path = tmp_path / "out" / "submission.csv"
    write_submission(result, path, pd.read_csv(sample, index_col="sig_id"))
    assert path.read_text().splitlines()[0] == "sig_id,moa_a,moa_b,moa_c"
    assert path.read_text().splitlines()[2] == "r1,0,0,0"
    back = pd.read_csv(path, index_col="sig_id")
    pd.testing.assert_frame_equal(back.astype(float), result, rtol=1e-8)
    assert (back.astype(np.float32) == result.astype(np.float32)).all(axis=None)
    assert [entry.name for entry in path.parent.iterdir()] == ["submission.csv"]  # no temporary file left


def test_a_submission_has_the_nine_digits_that_python_would_write(tmp_path):
    powers = 10.0 ** -np.arange(0, 13)[:, None]
    values = np.vstack([np.random.default_rng(0).random((13, 300)) * powers, np.zeros(300), np.ones(300)])
    values[:, :4] = [1e-15, 1 - 1e-10, 0.1 + 0.2, np.float32(1.2345678e-30)]
    frame = pd.DataFrame(values, [f'plate "7", well {row}' for row in range(15)], [f"a,{i}" for i in range(300)])
    write_submission(frame, tmp_path / "submission.csv")
    back = pd.read_csv(tmp_path / "submission.csv", index_col="sig_id")
    assert back.index.equals(frame.index.rename("sig_id")) and list(back.columns) == list(frame.columns)
    expected = np.array([[float(f"{value:.9g}") for value in row] for row in values])
    np.testing.assert_array_equal(back, np.where(values < 1e-14, values, expected))


def test_write_submission_refuses_what_the_sample_does_not_have(tmp_path, test_features):
    result = submission(table(1), test_features, COLUMNS)
    path = tmp_path / "submission.csv"
    for sample, message in [
        (result.iloc[::-1], "row 1 is 'r3'.*'r2'"),
        (result[COLUMNS[::-1]], "column 1"),
        (result.iloc[:3], "4 rows.*3"),
    ]:
        with pytest.raises(UserError, match=message):
            write_submission(result, path, sample)
    with pytest.raises(UserError, match="probability"):
        write_submission(result.mask(result > 0.5), path, result)
    with pytest.raises(UserError, match="twice"):
        write_submission(pd.concat([result, result]), path)
    assert not path.exists()

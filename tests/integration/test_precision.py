"""Predictions in fewer bits: what they may change, and what they must not."""

import numpy as np
import pytest
from typer.testing import CliRunner

from moa.cli import app
from moa.data.stored_tables import read_table
from moa.errors import UserError
from moa.learners.runtime import Runtime
from moa.weights.trained import open_trained

NAME = "simple-nn-old-cv"


@pytest.fixture(scope="module")
def weights(weights_of):
    return weights_of(NAME)


def test_trained_weights_predict_in_fewer_bits(weights, data_dir, tmp_path):
    options = ["predict", NAME, "--data", data_dir, "--weights", weights, "--out", tmp_path, "--device", "cpu"]
    command = [*map(str, options), "--precision"]
    assert CliRunner().invoke(app, [*command, "bf16-emulated"], catch_exceptions=False).exit_code == 0
    written = weights / NAME / "predictions"
    for kind in ("oof", "test"):
        exact, found = read_table(written / f"{kind}.parquet"), read_table(tmp_path / NAME / f"{kind}.parquet")
        assert (exact == found).all(axis=None) == (kind == "oof")
        np.testing.assert_allclose(found, exact, rtol=0.1, atol=1e-3)
    with pytest.raises(UserError, match="--precision 8: expected auto, 32-true, 16-mixed, bf16-mixed or bf16-emulated"):
        CliRunner().invoke(app, [*command, "8"], catch_exceptions=False)


def test_a_precision_that_a_learner_lacks_is_refused(weights):
    with pytest.raises(UserError, match="--precision 16-mixed: nn of simple-nn-old-cv has 32-true, bf16-mixed"):
        open_trained(NAME, weights, Runtime(precision="16-mixed"))

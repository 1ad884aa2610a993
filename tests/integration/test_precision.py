"""Predictions in fewer bits: what they may change, and what they must not."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from moa.cli import app
from moa.data.table_files import read_table
from moa.errors import UserError

NAME = "simple-nn-old-cv"
BF16 = torch.bfloat16
#: Of a number rounded to bfloat16, which keeps 8 bits.
ROUNDING = 2**-8


@pytest.fixture(scope="module")
def weights(weights_of):
    return weights_of(NAME)


def test_trained_weights_predict_in_fewer_bits(weights, data_dir, tmp_path):
    options = ["predict", NAME, "--data", data_dir, "--weights", weights, "--out", tmp_path, "--device", "cpu"]
    command = [*map(str, options), "--precision"]
    assert CliRunner().invoke(app, [*command, "bf16-mixed"], catch_exceptions=False).exit_code == 0
    written = weights / NAME / "predictions"
    for kind in ("oof", "test"):
        exact, found = read_table(written / f"{kind}.parquet"), read_table(tmp_path / NAME / f"{kind}.parquet")
        assert (exact == found).all(axis=None) == (kind == "oof")
        np.testing.assert_allclose(found, exact, rtol=0.1, atol=1e-3)
    with pytest.raises(UserError, match="--precision 8: expected auto, 32-true, 16-mixed or bf16-mixed"):
        CliRunner().invoke(app, [*command, "8"], catch_exceptions=False)

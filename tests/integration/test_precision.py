"""Predictions in fewer bits: what they may change, and what they must not."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from moa.cli import app
from moa.data.table_files import read_table
from moa.errors import UserError
from moa.learners.matmul import product
from moa.models.registry import recipes

NAME = "simple-nn-old-cv"
BF16 = torch.bfloat16
#: Of a number rounded to bfloat16, which keeps 8 bits.
ROUNDING = 2**-8


@pytest.mark.parametrize("members", [(), (3,)])
def test_a_product_rounds_its_factors_and_sums_in_full(members):
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(*members, rows, 4000, generator=generator) for rows in (20, 30))
    bias = 100 * torch.randn(*members, 30, generator=generator)
    exact = a.to(BF16).double() @ b.to(BF16).double().mT
    found = product(a, b, None, BF16)
    assert found.dtype == torch.float32
    # Sums of 4,000 terms formed in 8 bits would be off by several units, not by the last rounding alone.
    torch.testing.assert_close(found.double(), exact, rtol=ROUNDING, atol=1e-2)
    torch.testing.assert_close(product(a, b, bias, BF16), found + bias.unsqueeze(-2))  # the bias is not rounded
    assert not torch.equal(found, product(a, b))


def test_every_model_says_what_it_takes():
    for name, model in recipes().items():
        config = model.configure("demo")
        changed = config.at_precision("bf16-mixed")
        assert changed.model_dump() == config.model_dump(), "weights do not depend on how they predict"
        if name.startswith("two-heads"):
            assert changed is config
            continue
        assert changed != config and changed.at_precision("auto") == config
        if not name.startswith("deepinsight"):
            with pytest.raises(UserError, match="16-mixed: perceptrons have 32-true and bf16-mixed"):
                config.at_precision("16-mixed")


def test_trained_weights_predict_in_fewer_bits(demo_weights, data_dir, tmp_path):
    options = ["predict", NAME, "--data", data_dir, "--weights", demo_weights, "--out", tmp_path, "--device", "cpu"]
    command = [*map(str, options), "--precision"]
    assert CliRunner().invoke(app, [*command, "bf16-mixed"], catch_exceptions=False).exit_code == 0
    written = demo_weights / NAME / "predictions"
    for kind in ("oof", "test"):
        exact, found = read_table(written / f"{kind}.parquet"), read_table(tmp_path / NAME / f"{kind}.parquet")
        assert (exact == found).all(axis=None) == (kind == "oof")
        np.testing.assert_allclose(found, exact, rtol=0.1, atol=1e-3)
    with pytest.raises(UserError, match="--precision 8: expected auto, 32-true, 16-mixed or bf16-mixed"):
        CliRunner().invoke(app, [*command, "8"], catch_exceptions=False)

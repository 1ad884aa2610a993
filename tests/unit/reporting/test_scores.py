"""Figures of the report against scikit-learn's and textbook values."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from moa.reporting.scores import calibration_table, column_auc


def test_auc_is_scikit_learns_with_ties_and_one_class():
    rng = np.random.default_rng(0)
    y = pd.DataFrame((rng.random((300, 4)) < 0.1).astype(np.uint8), columns=list("abcd"))
    y["c"], y["d"] = 0, 1
    p = pd.DataFrame(rng.random((300, 4)).round(1).astype(np.float32), columns=list("abcd"))
    auc = column_auc(y, p)
    for name in "ab":
        assert auc[name] == pytest.approx(roc_auc_score(y[name], p[name]), abs=1e-12)
    assert auc[["c", "d"]].isna().all()


def test_calibration_counts_every_cell_once():
    y = pd.DataFrame({"a": [0, 1, 0, 0], "b": [1, 0, 0, 0]})
    p = pd.DataFrame({"a": [0.5, 0.9, 0.002, 0.0025], "b": [0.6, 0.002, 1.0, 0.0]})
    table = calibration_table(y, p)
    # Two bins a decade: [0, 10^-5.5), [10^-3, 10^-2.5), [10^-0.5, 1]
    assert list(table["cells"]) == [1, 3, 4]
    np.testing.assert_allclose(table["predicted"], [0, (0.002 + 0.0025 + 0.002) / 3, (0.5 + 0.9 + 0.6 + 1) / 4])
    np.testing.assert_allclose(table["observed"], [0, 0, 0.5])
    # Wilson's interval of 2 in 4, from the textbook: 0.150 to 0.850
    assert table[["low", "high"]].iloc[2].tolist() == pytest.approx([0.1500, 0.8500], abs=1e-4)

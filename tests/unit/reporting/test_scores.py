"""Figures of the report against scikit-learn's and textbook values."""

import numpy as np
import pandas as pd
import pytest

from moa.reporting.scores import calibration_table


def test_calibration_counts_every_cell_once():
    y = pd.DataFrame({"a": [0, 1, 0, 0], "b": [1, 0, 0, 0]})
    p = pd.DataFrame({"a": [0.5, 0.9, 0.002, 0.0025], "b": [0.6, 0.002, 1.0, 0.0]})
    table = calibration_table(y, p)
    # Two bins per decade: [0, 10^-5.5), [10^-3, 10^-2.5), [10^-0.5, 1]
    assert list(table["cells"]) == [1, 3, 4]
    np.testing.assert_allclose(table["predicted"], [0, (0.002 + 0.0025 + 0.002) / 3, (0.5 + 0.9 + 0.6 + 1) / 4])
    np.testing.assert_allclose(table["observed"], [0, 0, 0.5])
    # Wilson's interval of 2 in 4, from the textbook: 0.150 to 0.850
    assert table[["low", "high"]].iloc[2].tolist() == pytest.approx([0.1500, 0.8500], abs=1e-4)

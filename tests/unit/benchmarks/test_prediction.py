"""Times are reported only where the results agree."""

import numpy as np
import pandas as pd
import pytest

from moa.errors import UserError
from tests.benchmarks.prediction import check_agreement


def test_ways_with_different_results_are_not_compared():
    table = pd.DataFrame({"a": [0.1, 0.2]}, index=["x", "y"])
    check_agreement("same", table, table[::-1])
    for other in (table + 1e-3, table * np.nan):
        with pytest.raises(UserError, match="prediction: .* differ by .*; their times mean nothing"):
            check_agreement("prediction", table, other)

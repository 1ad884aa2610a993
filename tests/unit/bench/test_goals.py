"""Ways that are compared lead to the same results."""

import numpy as np
import pandas as pd
import pytest

from moa.bench import goals, notebook
from moa.errors import UserError


def test_single_columns_of_a_rank_are_scikit_learns_own():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(150, 3))).add_prefix("g-")
    fitted = notebook.fit_ranks(table)
    for column, own in zip(table, goals.by_column(goals.GaussianRank().fit(table.to_numpy())), strict=True):
        np.testing.assert_array_equal(own.quantiles_, fitted[column].quantiles_)
        values = table[[column]].to_numpy() * 1.5
        np.testing.assert_array_equal(own.transform(values), fitted[column].transform(values))


def test_ways_that_lead_elsewhere_are_not_compared():
    table = pd.DataFrame({"a": [0.1, 0.2]}, index=["x", "y"])
    goals._check_agreement("same", table, table[::-1])
    for other in (table + 1e-3, table * np.nan):
        with pytest.raises(UserError, match="the comparison is void"):
            goals._check_agreement("prediction", table, other)

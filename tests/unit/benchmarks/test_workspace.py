"""The model as the notebook kept it."""

import numpy as np
import pandas as pd

from moa.features import GaussianRank
from tests.benchmarks import notebook
from tests.benchmarks.workspace import by_column


def test_single_columns_of_a_rank_are_scikit_learns_own():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(150, 3))).add_prefix("g-")
    fitted = notebook.fit_ranks(table)
    for column, own in zip(table, by_column(GaussianRank().fit(table.to_numpy())), strict=True):
        np.testing.assert_array_equal(own.quantiles_, fitted[column].quantiles_)
        values = table[[column]].to_numpy() * 1.5
        np.testing.assert_array_equal(own.transform(values), fitted[column].transform(values))

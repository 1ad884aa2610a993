"""The gaussian rank is scikit-learn's, one column at a time."""

import numpy as np
import pytest
from sklearn.preprocessing import QuantileTransformer

from moa.features import (
    GaussianRank,
)


def ranked_one_by_one(train, test):
    columns = [
        QuantileTransformer(n_quantiles=100, output_distribution="normal", subsample=None)
        .fit(train[:, [column]])
        .transform(test[:, [column]])
        for column in range(train.shape[1])
    ]
    return np.hstack(columns)


@pytest.mark.filterwarnings("ignore:n_quantiles")
@pytest.mark.parametrize("rows", [1, 2, 7, 99, 100, 101, 1234])
def test_ranks_are_those_of_a_quantile_transformer_a_column(rows):
    generator = np.random.default_rng(rows)
    train = np.column_stack(
        [
            generator.normal(size=(rows, 19)),
            generator.normal(size=(rows, 3)).round(1),  # ties
            generator.integers(0, 2, size=(rows, 2)),
            np.full(rows, 3.0),
            generator.normal(size=rows) * 1e-6,  # near the margin at the extremes
            np.where(generator.random(rows) < 0.7, -10.0, generator.normal(size=rows)),  # clipped at one end
        ]
    )
    test = np.vstack([train, generator.normal(size=(50, 27)) * 20, train + 5e-8, train - 5e-8, np.full((1, 27), 3.0)])
    ours = GaussianRank().fit(train)
    np.testing.assert_array_equal(ours.transform(test), ranked_one_by_one(train, test))
    assert np.isfinite(ours.transform(test)).all()


def test_ranks_count_every_row_and_leave_their_input_alone():
    x = np.random.default_rng(0).normal(size=(12_000, 1))  # today's default looks at 10,000 of them
    kept = x.copy()
    ours = GaussianRank(random_state=1).fit(x).transform(x)
    np.testing.assert_array_equal(ours, ranked_one_by_one(x, x))
    np.testing.assert_array_equal(ours, GaussianRank(random_state=2).fit(x).transform(x))
    np.testing.assert_array_equal(x, kept)

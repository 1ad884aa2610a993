"""Columns selected by t-tests."""

import numpy as np
import pytest
from scipy import stats

from moa.errors import UserError
from moa.features import (
    TTestSelector,
)


def test_selection_by_t_test(x):
    y = (np.arange(300) % 3 == 0).astype(int)
    x[:, 5:9] += y[:, None] * np.array([1.0, -1.0, 0.5, 2.0])
    x[:, 20] = 7.0
    selector = TTestSelector().fit(x, y)
    expected = np.array([stats.ttest_ind(c[y == 1], c[y == 0]).pvalue for c in np.delete(x, 20, axis=1).T])
    np.testing.assert_allclose(np.delete(selector.p_values_, 20), expected, rtol=1e-9)
    support = selector.get_support()
    assert support[5:9].all() and not support[20] and support.sum() == 10  # a quarter of the 39 that vary
    assert np.nanmax(selector.p_values_[support]) < np.nanmin(selector.p_values_[~support])
    np.testing.assert_array_equal(selector.transform(x), x[:, support])
    names = [f"g-{i}" for i in range(40)]
    assert list(selector.get_feature_names_out(names)) == [n for n, kept in zip(names, support, strict=True) if kept]
    assert TTestSelector(keep_quantile=1.0).fit(x, y).get_support().sum() == 39
    with pytest.raises(UserError, match="and there is none"):
        TTestSelector().fit(x, np.zeros(300))


def test_selection_of_the_competition_s_columns_keeps_218():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(100, 872)), generator.integers(0, 2, 100)
    assert TTestSelector().fit(x, y).get_support().sum() == 218
    chosen = TTestSelector(n_columns=447).fit(x, y)
    assert chosen.get_support().sum() == 447
    assert chosen.p_values_[chosen.get_support()].max() <= chosen.p_values_[~chosen.get_support()].min()
    with pytest.raises(UserError, match="873 columns are wanted, and 872 hold"):
        TTestSelector(n_columns=873).fit(x, y)

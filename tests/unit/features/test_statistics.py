"""Statistics of rows are those of pandas."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from moa.errors import UserError
from moa.features import RowStatistics
from moa.weights import fitted_transformers as fits


def test_row_statistics_are_those_of_pandas(x):
    x[0], x[1, :12] = 0.1, 2.7  # equal values, in all columns and in one group
    x[2] *= 1e-9
    x[3] = x[3] * 1e-3 + 5
    x = np.vstack([x] * 5)  # more than one block of rows
    ours = RowStatistics({"g": 12, "c": 28})
    values = pd.DataFrame(ours.fit_transform(x), columns=ours.get_feature_names_out())
    groups = {"g": pd.DataFrame(x[:, :12]), "c": pd.DataFrame(x[:, 12:]), "gc": pd.DataFrame(x)}
    assert set(values) == {f"{g}_{s}" for g in groups for s in ("sum", "mean", "std", "kurtosis", "skew")}
    usual = np.arange(len(x)) % 300 > 2  # pandas below 3 gives small deviations no shape
    for name, group in groups.items():
        for statistic in ("sum", "mean", "std", "kurtosis", "skew"):
            rows = usual if statistic in ("kurtosis", "skew") else slice(None)
            found, expected = values[f"{name}_{statistic}"], getattr(group, statistic)(axis=1)
            np.testing.assert_allclose(found[rows], expected[rows], rtol=1e-9, atol=1e-12, err_msg=found.name)
    flat = values.loc[0, ["g_std", "gc_std", "g_kurtosis", "gc_kurtosis", "g_skew", "gc_skew"]]
    np.testing.assert_allclose(flat.to_numpy(), 0, atol=1e-15)
    assert values.loc[1, "g_skew"] == 0 and values.loc[1, "c_skew"] != 0
    assert values.loc[2, "g_skew"] == pytest.approx(stats.skew(x[2, :12], bias=False))


def test_row_statistics_come_in_any_choice_and_refuse_what_does_not_fit(x):
    few = RowStatistics({"g": 30, "c": 10}, ("mean", "std", "kurtosis", "skew")).fit(x)
    assert few.transform(x).shape == (300, 12) and len(few.get_feature_names_out()) == 12
    assert list(few.get_feature_names_out()[:5]) == ["g_mean", "g_std", "g_kurtosis", "g_skew", "c_mean"], "by group"
    alone = RowStatistics({"g": 40}, ("mean", "sum")).fit(x)
    assert list(alone.get_feature_names_out()) == ["g_mean", "g_sum"], "all columns are the group itself"
    np.testing.assert_array_equal(alone.transform(x)[:, 0], few.transform(x)[:, 8])
    by_statistic = RowStatistics({"g": 30, "c": 10}, ("mean", "std"), by_group=False).fit(x)
    assert list(by_statistic.get_feature_names_out()) == ["g_mean", "c_mean", "gc_mean", "g_std", "c_std", "gc_std"]
    np.testing.assert_array_equal(by_statistic.transform(x), few.transform(x)[:, [0, 4, 8, 1, 5, 9]])
    with pytest.raises(UserError, match="do not add up to the 40 columns"):
        RowStatistics({"g": 30, "c": 9}).fit(x)
    with pytest.raises(UserError, match="'median' is not one of sum"):
        RowStatistics({"g": 40}, ("median",)).fit(x)
    with pytest.raises(UserError, match="4 columns"):
        RowStatistics({"g": 37, "c": 3}).fit(x)


def test_a_fit_of_an_older_version_keeps_its_order(x):
    older = RowStatistics({"g": 30, "c": 10}, ("mean", "std"), by_group=False).fit(x)
    expected = older.transform(x)
    del older.__dict__["by_group"]  # what such a fit lacks in its file
    older = fits.load(fits.dump(older)[0], Path())
    np.testing.assert_array_equal(older.transform(x), expected)
    assert older.get_params()["by_group"] is False

"""Feature transformers against scikit-learn a column at a time, pandas, scipy, and values written out by hand."""

import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy.stats import ttest_ind
from sklearn.cluster import KMeans
from sklearn.preprocessing import QuantileTransformer

from moa.errors import UserError
from moa.features import (
    TRUSTED_TYPES,
    ConditionCodes,
    GaussianRank,
    KMeansOneHot,
    OneHotConditions,
    RowStatistics,
    TTestSelector,
    factor_analysis,
    pca,
)

CONDITIONS = pd.DataFrame({"cp_time": [72, 24, 48, 24], "cp_dose": ["D2", "D1", "D1", "D2"]}, index=list("abcd"))


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 6))
    values[:, 1] = np.exp(values[:, 1])
    values[:, 2] = 3.0
    values[:, 3] = np.round(values[:, 3])
    values[:50, 4] = -10.0
    return values


def test_gaussian_rank_equals_a_transformer_a_column(x):
    ours = GaussianRank(random_state=0).fit(x)
    new = np.vstack([x[:20], x[:5] * 10, np.zeros((1, 6))])
    for column in range(x.shape[1]):
        single = QuantileTransformer(n_quantiles=100, output_distribution="normal", subsample=None, random_state=0)
        expected = single.fit(x[:, [column]]).transform(new[:, [column]])[:, 0]
        np.testing.assert_array_equal(ours.transform(new)[:, column], expected)


def test_gaussian_rank_looks_at_every_row():
    """Today's default would look at 10,000 random rows, and two seeds would differ."""
    many = np.random.default_rng(1).normal(size=(12_000, 1))
    first, second = (GaussianRank(random_state=seed).fit(many).transform(many[:100]) for seed in (0, 1))
    np.testing.assert_array_equal(first, second)


def test_gaussian_rank_with_fewer_rows_than_quantiles():
    out = GaussianRank().fit_transform(np.arange(7.0)[:, None])
    assert np.isfinite(out).all() and (np.diff(out[:, 0]) > 0).all() and out[3, 0] == pytest.approx(0, abs=1e-9)


def test_row_statistics_are_those_of_pandas(x):
    x = np.vstack([x, np.full((1, 6), -10.0)])
    statistics = RowStatistics({"g": 4, "c": 2})
    names = list(statistics.fit(x).get_feature_names_out())
    found = pd.DataFrame(statistics.transform(x), columns=names)
    assert (
        len(names) == 15 and len(RowStatistics({"g": 4, "c": 2}, ("mean", "std")).fit(x).get_feature_names_out()) == 6
    )
    groups = {"g": pd.DataFrame(x[:, :4]), "gc": pd.DataFrame(x)}
    for name, frame in groups.items():
        for statistic in ("sum", "mean", "std", "kurtosis", "skew"):
            np.testing.assert_allclose(
                found[f"{name}_{statistic}"][:-1], getattr(frame, statistic)(axis=1)[:-1], atol=1e-9
            )
    assert (found.iloc[-1][["g_kurtosis", "c_skew", "gc_std"]] == 0).all(), "equal values have no shape"
    np.testing.assert_allclose(found["c_mean"], x[:, 4:].mean(axis=1))
    with pytest.raises(UserError, match="do not cover 6 columns"):
        RowStatistics({"g": 3, "c": 2}).fit(x)


def test_clusters_are_those_of_k_means_with_the_defaults_of_2020(x):
    expected = KMeans(5, n_init=10, algorithm="elkan", random_state=123).fit(x)
    found = KMeansOneHot(5, random_state=123).fit(x).transform(x)
    assert (found.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(found.argmax(axis=1), expected.predict(x))


def test_conditions_have_fixed_columns_whatever_a_file_holds():
    one_hot = OneHotConditions().fit(CONDITIONS)
    assert list(one_hot.get_feature_names_out()) == [
        "cp_time_24",
        "cp_time_48",
        "cp_time_72",
        "cp_dose_D1",
        "cp_dose_D2",
    ]
    expected = [[0, 0, 1, 0, 1], [1, 0, 0, 1, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 1]]
    np.testing.assert_array_equal(one_hot.transform(CONDITIONS), expected)
    np.testing.assert_array_equal(one_hot.transform(CONDITIONS.iloc[[1]]), expected[1:2])
    np.testing.assert_array_equal(
        ConditionCodes().fit(CONDITIONS).transform(CONDITIONS), [[2, 1], [0, 0], [1, 0], [0, 1]]
    )


def test_t_test_keeps_the_columns_that_differ(x):
    x = np.delete(x, 2, axis=1)
    y = np.arange(400) % 3 == 0
    x[y, 3] += 1.0
    selector = TTestSelector(0.4).fit(x, y)
    p_values = [ttest_ind(x[y, column], x[~y, column]).pvalue for column in range(5)]
    np.testing.assert_allclose(selector.p_values_, p_values)
    assert selector.get_support().sum() == 2 and selector.get_support()[3]
    np.testing.assert_array_equal(selector.transform(x), x[:, selector.get_support()])
    with pytest.raises(UserError, match="with and rows without"):
        selector.fit(x, np.ones(400))


def test_factors_and_components_repeat_themselves(x):
    for make in (factor_analysis, pca):
        np.testing.assert_array_equal(make(2, 7).fit(x).transform(x), make(2, 7).fit(x).transform(x))


@pytest.mark.parametrize(
    "transformer",
    [
        GaussianRank(),
        RowStatistics({"g": 4, "c": 2}),
        KMeansOneHot(3, 0),
        TTestSelector(),
        factor_analysis(2, 0),
        pca(2, 0),
    ],
    ids=lambda t: type(t).__name__,
)
def test_stored_without_pickle_and_read_back_the_same(transformer, x):
    fitted = transformer.fit(np.delete(x, 2, 1) if isinstance(transformer, TTestSelector) else x, np.arange(400) % 2)
    back = skops.io.loads(skops.io.dumps(fitted), trusted=list(TRUSTED_TYPES))
    rows = x[:, : fitted.n_features_in_]
    assert back.transform(rows).tobytes() == fitted.transform(rows).tobytes()

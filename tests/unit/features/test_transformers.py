"""Feature transformers against scikit-learn, pandas and scipy, and through storage."""

import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy import stats
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.preprocessing import QuantileTransformer

from moa.data.schema import COMPETITION
from moa.errors import UserError
from moa.features import (
    TRUSTED_TYPES,
    ConditionCodes,
    GaussianRank,
    KMeansOneHot,
    OneHotConditions,
    RowStatistics,
    TTestSelector,
)
from moa.features.reductions import factor_analysis, pca


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(300, 40))


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
    assert list(few.get_feature_names_out()[:4]) == ["g_mean", "c_mean", "gc_mean", "g_std"]
    alone = RowStatistics({"g": 40}, ("mean", "sum")).fit(x)
    assert list(alone.get_feature_names_out()) == ["g_mean", "g_sum"], "all columns are the group itself"
    np.testing.assert_array_equal(alone.transform(x)[:, 0], few.transform(x)[:, 2])
    with pytest.raises(UserError, match="do not add up to the 40 columns"):
        RowStatistics({"g": 30, "c": 9}).fit(x)
    with pytest.raises(UserError, match="'median' is not one of sum"):
        RowStatistics({"g": 40}, ("median",)).fit(x)
    with pytest.raises(UserError, match="4 columns"):
        RowStatistics({"g": 37, "c": 3}).fit(x)


def test_clusters_are_those_of_k_means_as_of_2020():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 6)) + generator.normal(size=(5, 6))[generator.integers(0, 5, 400)] * 4
    ours = KMeansOneHot(5, random_state=123).fit(x)
    theirs = KMeans(5, n_init=10, algorithm="elkan", random_state=123).fit(x)
    one_hot = ours.transform(x)
    assert one_hot.dtype == np.float64 and one_hot.shape == (400, 5) and (one_hot.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(one_hot.argmax(axis=1), theirs.labels_)
    new = generator.normal(size=(50, 6)) * 4
    np.testing.assert_array_equal(ours.transform(new).argmax(axis=1), theirs.predict(new))
    assert list(ours.get_feature_names_out()[:2]) == ["cluster_0", "cluster_1"]
    with pytest.raises(UserError, match="3 rows are too few for 5 clusters"):
        ours.fit(x[:3])


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
    with pytest.raises(UserError, match="with and rows without"):
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


def test_reductions_spell_out_the_defaults_of_2020(x):
    np.testing.assert_array_equal(
        factor_analysis(5, 3).fit_transform(x), FactorAnalysis(5, random_state=3).fit_transform(x)
    )
    tall = np.repeat(x, 40, axis=0) + np.random.default_rng(1).normal(size=(12_000, 40))
    assert PCA(5).fit(tall)._fit_svd_solver == "covariance_eigh"  # today's choice
    published = pca(5, 3).fit(tall)
    assert published._fit_svd_solver == "randomized"
    whole = pca(40, 3).fit(tall)  # all components: exact however they are found
    exact = PCA(40, svd_solver="full").fit(tall)
    np.testing.assert_allclose(whole.transform(tall), exact.transform(tall), atol=1e-8)
    # Five of forty with a gentle spectrum: near, not equal, and drawn by the seed.
    np.testing.assert_allclose(published.explained_variance_, exact.explained_variance_[:5], rtol=0.05)
    assert not np.allclose(published.components_, pca(5, 4).fit(tall).components_, atol=1e-12)


def fitted():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(60, 10)), np.arange(60) % 2
    frame = pd.DataFrame(x, columns=[f"g-{i}" for i in range(10)])
    conditions = pd.DataFrame({"cp_time": [24, 48, 72] * 20, "cp_dose": ["D1", "D2"] * 30})
    yield GaussianRank(random_state=0), x, None
    yield GaussianRank(), frame, None
    yield RowStatistics({"g": 6, "c": 4}), x, None
    yield KMeansOneHot(4, random_state=0), x, None
    yield TTestSelector(), x, y
    yield OneHotConditions(COMPETITION.levels), conditions, None
    yield ConditionCodes(COMPETITION.levels), conditions, None
    yield factor_analysis(3, 0), x, None
    yield pca(3, 0), x, None


@pytest.mark.parametrize("transformer, x, y", list(fitted()), ids=lambda v: type(v).__name__)
def test_fits_come_back_from_storage(transformer, x, y):
    transformer = clone(transformer).fit(x, y)
    before = transformer.transform(x)
    payload = skops.io.dumps(transformer)
    own = {f"moa.features.{type(transformer).__name__}"} & set(TRUSTED_TYPES)
    assert set(skops.io.get_untrusted_types(data=payload)) == own
    back = skops.io.loads(payload, trusted=sorted(own))
    after = back.transform(x)
    if own:
        assert before.tobytes() == after.tobytes()
    else:  # scikit-learn's own keep views of larger arrays, which come back packed: other sums, in the last bit
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12)
    assert before.dtype == np.float64 and len(before) == len(x)
    assert list(back.get_feature_names_out()) == list(transformer.get_feature_names_out())
    assert len(back.get_feature_names_out()) == before.shape[1]


def test_tables_of_another_width_are_refused(x):
    y = np.arange(300) % 2
    for transformer in (GaussianRank(), RowStatistics({"g": 40}), KMeansOneHot(3), TTestSelector()):
        transformer.fit(x, y)
        with pytest.raises(ValueError, match="39 features"):
            transformer.transform(x[:, :39])

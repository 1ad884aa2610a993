"""Fitted transformers come back from storage as they were."""

import numpy as np
import pandas as pd
import pytest
from sklearn import decomposition, feature_selection, preprocessing
from sklearn.base import clone

from moa.data.assay import COMPETITION
from moa.features import (
    ConditionCodes,
    Copies,
    GaussianRank,
    KMeansOneHot,
    Log10,
    OneHotConditions,
    RowStatistics,
    StandardScaler,
    TTestSelector,
    VarianceThreshold,
)
from moa.features.base import identity
from moa.features.reductions import factor_analysis, pca
from moa.weights import fitted_transformers as fits
from moa.weights.layout import ARRAYS, SKOPS

X = np.random.default_rng(0).normal(size=(60, 10)) * np.linspace(0.1, 3, 10)
FRAME = pd.DataFrame(X, columns=[f"g-{i}" for i in range(10)])
CONDITIONS = pd.DataFrame({"cp_time": [24, 48, 72] * 20, "cp_dose": ["D1", "D2"] * 30})


def fitted():
    yield GaussianRank(random_state=0), X, None
    yield GaussianRank(), FRAME, None
    yield RowStatistics({"g": 6, "c": 4}), X, None
    yield KMeansOneHot(4, random_state=0), X, None
    yield TTestSelector(), X, np.arange(60) % 2
    yield OneHotConditions(COMPETITION.levels), CONDITIONS, None
    yield ConditionCodes(COMPETITION.levels), CONDITIONS, None
    yield Log10(), np.abs(X), None
    yield factor_analysis(3, 0), X, None
    yield pca(3, 0), X, None
    yield StandardScaler(), X, None
    yield VarianceThreshold(0.5), X, None
    yield Copies(), X, None


def back_from_storage(transformer, tmp_path):
    raw, suffix = fits.dump(transformer)
    return fits.load(raw, tmp_path / f"fit{suffix}"), raw, suffix


@pytest.mark.parametrize(("transformer", "x", "y"), list(fitted()), ids=lambda v: type(v).__name__)
def test_fits_come_back_from_storage(transformer, x, y, tmp_path):
    transformer = clone(transformer).fit(x, y)
    before = transformer.transform(x)
    back, raw, suffix = back_from_storage(transformer, tmp_path)
    assert suffix == ARRAYS and type(back) is type(transformer) and back_from_storage(back, tmp_path)[1] == raw
    assert repr(back) == repr(transformer) and vars(back).keys() == vars(transformer).keys()
    after = back.transform(x)
    if type(transformer).__name__ in ("FactorAnalysis", "PCA"):
        # scikit-learn keeps views of larger arrays, which come back packed: other sums, in the last bit
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12)
    else:
        assert before.tobytes() == after.tobytes()
    assert before.dtype == np.float64 and len(before) == len(x)
    if hasattr(transformer, "get_feature_names_out"):
        assert list(back.get_feature_names_out()) == list(transformer.get_feature_names_out())
        assert len(back.get_feature_names_out()) == before.shape[1]


LIBRARY = [
    (factor_analysis(3, 0), decomposition.FactorAnalysis(3, random_state=0)),
    (pca(3, 0), decomposition.PCA(3, svd_solver="randomized", power_iteration_normalizer="LU", random_state=0)),
    (StandardScaler(), preprocessing.StandardScaler()),
    (VarianceThreshold(0.5), feature_selection.VarianceThreshold(0.5)),
    (Copies(), preprocessing.FunctionTransformer(feature_names_out="one-to-one")),
]


@pytest.mark.parametrize(("ours", "theirs"), LIBRARY, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("order", ["C", "F"])
def test_those_of_scikit_learn_are_applied_with_its_bits(ours, theirs, order, tmp_path):
    """Also as they were stored until version 0.3: as scikit-learn's own objects in skops files."""
    x = np.array(X, order=order)
    ours, theirs = clone(ours).fit(x), clone(theirs).fit(x)
    older, _, suffix = back_from_storage(theirs, tmp_path)
    assert suffix == SKOPS and type(older) is type(theirs)
    new = np.array(X[::-1] + 0.3, order=order)
    assert back_from_storage(ours, tmp_path)[0].transform(new).tobytes() == older.transform(new).tobytes()
    assert clone(ours).fit_transform(x).tobytes() == clone(theirs).fit_transform(x).tobytes()
    if hasattr(ours, "get_support"):
        assert np.array_equal(ours.get_support(), theirs.get_support())
    assert list(ours.get_feature_names_out()) == list(theirs.get_feature_names_out())


@pytest.mark.parametrize(("ours", "theirs"), LIBRARY, ids=lambda v: type(v).__name__)
def test_those_of_scikit_learn_keep_its_names_so_that_stored_fits_are_found(ours, theirs):
    kind = type(theirs)
    assert identity(ours) == (f"{kind.__module__}.{kind.__qualname__}", theirs.get_params())
    assert identity(theirs) == identity(ours)


def test_tables_of_another_width_are_refused(x):
    y = np.arange(300) % 2
    for transformer in (GaussianRank(), RowStatistics({"g": 40}), KMeansOneHot(3), TTestSelector()):
        transformer.fit(x, y)
        with pytest.raises(ValueError, match="39 features"):
            transformer.transform(x[:, :39])


def test_the_package_exports_every_class_whose_fits_are_stored():
    import moa.features
    from moa.features.stored import STORED

    assert set(moa.features.__all__) == {"TRUSTED_TYPES", *STORED}

"""Fitted transformers come back from storage as they were."""

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone

from moa.data.assay import COMPETITION
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


@pytest.mark.parametrize(("transformer", "x", "y"), list(fitted()), ids=lambda v: type(v).__name__)
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


def test_the_package_exports_every_class_whose_fits_are_stored():
    import moa.features
    from moa.features.stored import STORED

    assert set(moa.features.__all__) == {"TRUSTED_TYPES", *STORED}

"""Clusters are those of k-means as of 2020."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

from moa.errors import UserError
from moa.features import (
    KMeansOneHot,
)


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

"""The two-heads recipes: widths of the write-up."""

import numpy as np

from moa.data.schema import COMPETITION, CP_TYPE, TREATED
from moa.learners.two_heads.learner import SECOND
from moa.models import two_heads as recipes
from moa.models.registry import recipe

V1, V2 = "two-heads", "two-heads-v2"


def test_features_have_the_published_widths(dataset):
    treated = dataset.features[dataset.features[CP_TYPE] == TREATED]
    test = dataset.test[dataset.test[CP_TYPE] == TREATED]
    y = dataset.scored.loc[treated.index].to_numpy().any(axis=1).astype(int)
    widths = {}
    for name in (V1, V2):
        config = recipe(name).configure()
        x, _ = recipes.features(config, COMPETITION).fit_transform(treated, test, y=y)
        second = x.columns.str.startswith(SECOND)
        widths[name] = ((~second).sum(), second.sum())
        scaled = x.loc[:, second].to_numpy(np.float64)
        np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(scaled.std(0), 1, atol=1e-4)
        assert {"g_mean", "c_mean"} <= set(x) and "gc_mean" not in x
    assert widths == {V1: (872 + 2 + 2 + 100, 447), V2: (872 + 2 + 50 + 50 + 5, 447)}

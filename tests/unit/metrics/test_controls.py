"""The control of shuffled labels: whole compounds change labels, and predictions then know nothing."""

import numpy as np
import pandas as pd
import pytest

from moa.metrics.controls import shuffled_labels
from moa.metrics.ranking import mean_measures, measures


def test_a_compound_takes_the_labels_of_one_other_compound():
    compounds = pd.Series(list("aaabbcddd"), name="compound")
    y = pd.DataFrame(np.eye(4, dtype=np.uint8)[[0, 0, 0, 1, 1, 2, 3, 3, 3]], compounds.index, list("wxyz"))
    seen = set()
    for seed in range(20):
        shuffled = shuffled_labels(y, compounds, seed)
        assert shuffled.columns.equals(y.columns) and shuffled.index.equals(y.index)
        by_compound = shuffled.groupby(compounds.to_numpy())
        assert (by_compound.nunique() == 1).all(axis=None) and set(by_compound.first().idxmax(axis=1)) == set("wxyz")
        seen.add(tuple(by_compound.first().idxmax(axis=1)))
    assert len(seen) > 5
    pd.testing.assert_frame_equal(shuffled_labels(y, compounds, 3), shuffled_labels(y, compounds, 3))
    alone = shuffled_labels(y, None, 0)
    assert (alone.sum() == y.sum()).all() and not alone.equals(y)


def test_perfect_predictions_are_no_better_than_chance_on_shuffled_labels():
    rng = np.random.default_rng(0)
    compounds = pd.Series(np.repeat(np.arange(150), 4))
    y = pd.DataFrame(np.eye(5, dtype=np.uint8)[rng.integers(5, size=150)].repeat(4, axis=0))
    assert measures(y, y * 0.9)["roc_auc_macro"] == 1
    found = mean_measures([measures(shuffled_labels(y, compounds, seed), y * 0.9) for seed in range(20)])
    assert found["roc_auc_macro"] == pytest.approx(0.5, abs=0.03) and found["accuracy"] == pytest.approx(0.2, abs=0.04)

"""The correlation between models: the mean over targets, whatever the order of rows and columns."""

import numpy as np
import pandas as pd
import pytest

from moa.errors import UserError
from moa.metrics.correlation import prediction_correlation


def shuffled(frame):
    return frame.sample(frac=1, random_state=7).sample(frac=1, axis=1, random_state=7)


def test_correlation_agrees_with_numpy():
    rng = np.random.default_rng(5)
    rows = [f"id_{row}" for row in range(900)]
    p, noise = pd.DataFrame(rng.beta(0.3, 5, (900, 7)), rows, list("abcdefg")), rng.random((900, 7))
    models = {"a": p, "b": (p + noise) / 2, "c": pd.DataFrame(noise, index=p.index, columns=p.columns)}
    table = prediction_correlation({name: shuffled(frame) for name, frame in models.items()})
    by_target = [np.corrcoef([frame[target] for frame in models.values()]) for target in p]
    expected = np.mean(by_target, axis=0)
    np.testing.assert_allclose(table[["a", "b", "c"]], expected, rtol=1e-10)
    assert table.loc["a", "mean_with_others"] == pytest.approx((expected[0, 1] + expected[0, 2]) / 2)
    everything = prediction_correlation({"a": p, "b": p * 0.5})
    assert everything.loc["a", "b"] == pytest.approx(1.0)
    assert np.isnan(prediction_correlation({"a": p}).loc["a", "mean_with_others"])


def test_correlation_is_the_mean_over_targets_and_not_that_of_pooled_cells():
    rng = np.random.default_rng(0)
    level = np.array([0.001, 0.01, 0.1])  # targets of other prevalence, about which all models agree
    a, b = (pd.DataFrame(level * (1 + 0.1 * rng.normal(size=(500, 3))), columns=list("xyz")) for _ in range(2))
    assert np.corrcoef(a.to_numpy().ravel(), b.to_numpy().ravel())[0, 1] > 0.9
    found = prediction_correlation({"a": a, "b": b}).loc["a", "b"]
    assert found == pytest.approx(a.corrwith(b).mean(), rel=1e-10) and abs(found) < 0.1
    constant = b.assign(x=0.5)  # a target without a correlation is left out
    found = prediction_correlation({"a": a, "b": constant}).loc["a", "b"]
    assert found == pytest.approx(a.corrwith(b)[["y", "z"]].mean(), rel=1e-10)
    assert np.isnan(prediction_correlation({"a": a, "b": b * 0 + 0.5}).loc["a", "b"])


def test_without_predictions_or_with_other_rows_it_is_refused():
    p = pd.DataFrame({"x": [0.1, 0.3, 0.2]})
    with pytest.raises(UserError, match="no predictions to correlate"):
        prediction_correlation({})
    with pytest.raises(UserError, match="predictions of b: 1 row.s. missing, the first is 2"):
        prediction_correlation({"a": p, "b": p.iloc[:2]})

"""Measures of ranking against scikit-learn, and what they do with ties, targets of one class and unlabelled rows."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom
from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score

from moa.errors import UserError
from moa.metrics.ranking import MEASURES, _none_drawn, column_areas, mean_measures, measures, micro_areas, top_hits


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    rows, columns = [f"id_{i}" for i in range(400)], list("abcdef")
    y = pd.DataFrame((rng.random((400, 6)) < 0.1).astype(np.uint8), rows, columns)
    p = pd.DataFrame((0.3 * y + rng.random(y.shape)).round(1).astype(np.float32) / 2, rows, columns)  # many ties
    return y, p


def test_areas_are_scikit_learns(tables):
    y, p = tables
    found = column_areas(y, p.sample(frac=1, random_state=1).sample(frac=1, axis=1, random_state=2))
    np.testing.assert_allclose(found["roc_auc"], roc_auc_score(y, p, average=None), atol=1e-12)
    np.testing.assert_allclose(found["average_precision"], average_precision_score(y, p, average=None), atol=1e-12)
    expected = roc_auc_score(y, p, average="micro"), average_precision_score(y, p, average="micro")
    assert micro_areas(y, p) == pytest.approx(expected, abs=1e-12)
    constant = pd.DataFrame(0.5, y.index, y.columns)  # chance, and the prevalence
    expected = pd.DataFrame({"roc_auc": 0.5, "average_precision": y.mean()})
    pd.testing.assert_frame_equal(column_areas(y, constant), expected, rtol=1e-12)


def test_a_target_of_one_class_is_left_out_of_the_macro_mean_and_counted(tables):
    y, p = tables
    y = y.assign(c=np.uint8(0), d=np.uint8(1))
    found, kept = measures(y, p), list("abef")
    assert found["left_out"] == 2 and column_areas(y, p).loc[["c", "d"]].isna().all(axis=None)
    assert found["roc_auc_macro"] == pytest.approx(roc_auc_score(y[kept], p[kept], average="macro"))
    assert found["average_precision_macro"] == pytest.approx(average_precision_score(y[kept], p[kept], average="macro"))
    assert found["roc_auc_micro"] == pytest.approx(roc_auc_score(y, p, average="micro"))  # cells are never left out


def test_equal_scores_count_as_ordered_by_lot():
    """The chance of a hit is the share of hits over all orders of the columns."""
    y = pd.DataFrame([[1, 0, 0, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], columns=list("abcde"))
    p = pd.DataFrame([[0.2, 0.5, 0.2, 0.2, 0.2], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4, 0.5]])
    p.columns = y.columns
    for k in (1, 2, 3, 5, 9):
        hits = []
        for order in permutations(range(5)):
            place = np.argsort(-p.to_numpy()[:, order], axis=1, kind="stable")[:, :k]
            hits.append(np.take_along_axis(y.to_numpy()[:, order], place, axis=1).any(axis=1))
        expected = np.where(y.any(axis=1), np.mean(hits, axis=0), np.nan)
        np.testing.assert_allclose(top_hits(y, p, k), expected, atol=1e-12)


def test_accuracy_counts_rows_of_one_mechanism_and_top_k_all_labelled_rows(tables):
    y, _ = tables
    p = pd.DataFrame(np.random.default_rng(1).random(y.shape), y.index, y.columns)  # no ties
    found, count = measures(y, p), y.sum(axis=1)
    one = count == 1
    assert 0 < one.sum() < (count > 0).sum() == found["labelled"] < len(y) == found["rows"]
    truth, guess = y[one].to_numpy().argmax(axis=1), p[one].to_numpy().argmax(axis=1)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, guess))
    best = np.argsort(-p[count > 0].to_numpy(), axis=1)[:, :5]
    hits = np.take_along_axis(y[count > 0].to_numpy(), best, axis=1).any(axis=1)
    assert found["top_5"] == pytest.approx(hits.mean()) and found["top_1"] < found["top_5"] < 1
    single = measures(y[one], p[one])
    assert single["accuracy"] == single["top_1"]
    perfect = measures(y, y * 1.0)
    assert perfect["top_1"] == perfect["roc_auc_micro"] == perfect["average_precision_macro"] == 1


def test_scores_that_are_no_probabilities_have_no_log_loss(tables):
    y, p = tables
    assert np.isnan(measures(y, p, probabilities=False)["log_loss"]) and measures(y, p)["log_loss"] > 0
    with pytest.raises(UserError, match="probability"):
        measures(y, p * 9)
    assert measures(y, p * 9, probabilities=False)["roc_auc_macro"] == measures(y, p)["roc_auc_macro"]


def test_nothing_to_measure_is_a_dash_and_no_error(tables):
    y, p = tables
    found = measures(y * 0, p)
    assert found["labelled"] == 0 and found["left_out"] == 6 and found["log_loss"] > 0
    assert np.isnan([found[name] for name in MEASURES if name != "log_loss"]).all()


def test_the_mean_of_several_results_keeps_counts(tables):
    y, p = tables
    one, other = measures(y, p), measures(y, 1 - p)
    mean = mean_measures([one, other])
    assert mean["rows"] == 400 and isinstance(mean["rows"], int)
    assert mean["roc_auc_micro"] == pytest.approx((one["roc_auc_micro"] + other["roc_auc_micro"]) / 2)


def test_the_chance_of_no_hit_is_the_hypergeometric_one():
    random = np.random.default_rng(0)
    count = random.integers(1, 300, 2000)
    marked, drawn = (np.minimum(random.integers(0, most, 2000), count) for most in (40, 30))
    found = _none_drawn(count, marked, drawn)
    np.testing.assert_allclose(found, hypergeom.pmf(0, count, marked, drawn), rtol=0, atol=1e-11)
    assert (found[marked + drawn > count] == 0).all()
    assert [*_none_drawn(*np.array([(1, 0, 1), (1, 1, 1)]).T)] == [1, 0], "exact without ties"

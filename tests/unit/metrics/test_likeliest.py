"""Macro-F1 and calibration error against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from moa.metrics.likeliest import calibration_error, likeliest, macro_f1


def drawn(rows=300, targets=5, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, targets - 1, rows)  # the last target never occurs
    p = rng.dirichlet(np.ones(targets), rows)
    return np.eye(targets, dtype=bool)[truth], p, truth


def test_f1_is_scikit_learns_over_the_targets_that_occur():
    positive, p, truth = drawn()
    expected = f1_score(truth, p.argmax(axis=1), average="macro", labels=range(4), zero_division=0)
    assert macro_f1(positive, p) == pytest.approx(expected)
    assert macro_f1(positive, positive * 1.0) == 1
    unlabelled = np.vstack([positive, np.zeros((9, 5), bool)])
    assert macro_f1(unlabelled, np.vstack([p, p[:9]])) == macro_f1(positive, p), "rows without a label are left out"
    assert np.isnan(macro_f1(np.zeros((3, 5), bool), p[:3]))


def test_equal_scores_share_the_choice():
    assert likeliest(np.array([[0.5, 0.5, 0.1], [0.1, 0.2, 0.3]])).tolist() == [[0.5, 0.5, 0], [0, 0, 1]]


def test_the_calibration_error_of_ten_equal_bins_by_hand():
    positive, p, truth = drawn(rows=250)
    order = np.argsort(p.max(axis=1))
    right, sure = (p.argmax(axis=1) == truth)[order], p.max(axis=1)[order]
    expected = sum(25 * abs(right[i : i + 25].mean() - sure[i : i + 25].mean()) for i in range(0, 250, 25)) / 250
    assert calibration_error(positive, p) == pytest.approx(expected)
    assert calibration_error(positive, positive * 1.0) == 0
    assert calibration_error(~positive & (np.arange(5) == 4), np.eye(5)[np.zeros(250, int)]) == 1, "sure and wrong"


def test_rows_of_one_probability_are_in_no_order():
    """A constant prediction that is as often right as it says has no error, however the rows are sorted."""
    positive = np.zeros((40, 2), bool)
    positive[:30, 0] = positive[30:, 1] = True
    p = np.tile([0.75, 0.25], (40, 1))
    assert calibration_error(positive, p) == pytest.approx(0) == calibration_error(positive[::-1], p)

"""Intervals of the ROC-AUC against the definition, and how often they hold the truth."""

import numpy as np
import pytest
from scipy.stats import norm

from moa.metrics.intervals import auc_interval


def naive(positive, score):
    """DeLong's variance over all pairs."""
    wins = (score[positive][:, None] > score[~positive]) + 0.5 * (score[positive][:, None] == score[~positive])
    m, n = wins.shape
    variance = wins.mean(axis=1).var(ddof=1) / m + wins.mean(axis=0).var(ddof=1) / n
    width = norm.ppf(0.975) * np.sqrt(variance)
    return max(wins.mean() - width, 0), min(wins.mean() + width, 1)


def test_intervals_are_those_of_all_pairs_with_ties():
    rng = np.random.default_rng(0)
    positive = rng.random((60, 4)) < 0.3
    score = (rng.random((60, 4)) + 0.3 * positive).round(1)
    low, high = auc_interval(positive, score)
    for column in range(4):
        assert (low[column], high[column]) == pytest.approx(naive(positive[:, column], score[:, column]))


def test_what_is_not_known():
    positive = np.zeros((5, 3), bool)
    positive[0, 1] = positive[:2, 2] = True
    low, high = auc_interval(positive, np.tile([[5.0], [4], [3], [2], [1]], 3))
    assert np.isnan([low[0], high[0]]).all() and (low[1], high[1]) == (0, 1), "one positive says nothing of the spread"
    assert (low[2], high[2]) == (1, 1)


def test_ninety_five_of_a_hundred_hold_the_truth():
    rng = np.random.default_rng(1)
    truth = norm.cdf(1 / np.sqrt(2))  # of two normal distributions one apart
    positive = np.tile(np.arange(90)[:, None] < 25, 800)
    low, high = auc_interval(positive, rng.normal(size=(90, 800)) + positive)
    assert ((low <= truth) & (truth <= high)).mean() == pytest.approx(0.95, abs=0.025)

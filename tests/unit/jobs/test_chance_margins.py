"""Margins: textbook values, and as many false alarms among faithful runs as they promise."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from moa.jobs.chance_margins import LEVEL, mean_margin, unit_margin


def table(values):
    values = np.asarray(values)
    return pd.DataFrame(values, pd.RangeIndex(len(values), name="seed"), pd.RangeIndex(values.shape[1], name="fold"))


def units(seeds, folds):
    return pd.MultiIndex.from_product([seeds, folds], names=["seed", "fold"])


def test_one_unit_in_one_fold_has_students_prediction_interval():
    theirs = table([[1.0], [2.0], [4.0]])
    expected = stats.t.ppf(0.975, 2) * np.std([1, 2, 4], ddof=1) * np.sqrt(1 + 1 / 3)
    assert unit_margin(theirs, 1) == pytest.approx(expected)


def test_the_mean_over_whole_seeds_has_the_two_sample_margin():
    rng = np.random.default_rng(0)
    theirs = table(rng.normal(size=(6, 5)))
    spread = theirs.mean(axis=1).std(ddof=1)
    expected = stats.t.ppf(1 - LEVEL / 4, 5) * spread * np.sqrt(1 / 2 + 1 / 6)
    assert mean_margin(theirs, units([10, 11], range(5))) == pytest.approx(expected)


def test_more_units_narrow_the_mean_and_widen_the_single_unit():
    theirs = table(np.random.default_rng(1).normal(size=(6, 5)))
    assert unit_margin(theirs, 30) > unit_margin(theirs, 2) > unit_margin(theirs, 1)
    assert mean_margin(theirs, units(range(6), range(5))) < mean_margin(theirs, units([0], range(5)))


@pytest.mark.parametrize("ours", [units(range(6), range(5)), units([0], range(5)), units([0, 1], [2])])
@pytest.mark.parametrize("seed_effect", [0.0, 0.7])
def test_faithful_runs_are_rarely_called_different(ours, seed_effect):
    """Six seeds there; ours are further draws, with and without seeds that are good in all folds at once."""
    rng = np.random.default_rng(2)
    difficulty, alarms, runs = np.arange(5.0), 0, 400
    seeds, rows = np.unique(ours.get_level_values("seed"), return_inverse=True)
    for _ in range(runs):
        draw = difficulty + rng.normal(size=(6 + len(seeds), 5)) + seed_effect * rng.normal(size=(6 + len(seeds), 1))
        theirs, mine = table(draw[:6]), draw[6:]
        folds = ours.get_level_values("fold")
        difference = mine[rows, folds] - theirs.mean().to_numpy()[folds]
        beyond = abs(difference).max() > unit_margin(theirs, len(ours))
        alarms += beyond or abs(difference.mean()) > mean_margin(theirs, ours)
    assert alarms / runs < LEVEL + 0.02

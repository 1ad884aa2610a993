"""Simple predictions see the rows that a model would be trained on, and no others."""

import numpy as np
import pandas as pd
import pytest

from moa.metrics.held_out import by_one_number, held_out_mean, training_prevalence


def prior(y):
    return (y.sum(axis=0) + 0.5) / (len(y) + 1)


ROWS = pd.Index([f"r{i}" for i in range(60)])
GROUPS = pd.DataFrame({0: np.arange(60) % 3, 1: np.arange(60) // 20}, ROWS)
Y = pd.DataFrame(np.eye(3, dtype=np.uint8)[np.arange(60) // 20], ROWS, list("abc"))


def test_the_prevalence_is_that_of_other_groups():
    found = training_prevalence(Y, GROUPS)
    for row in (0, 25, 59):
        expected = [prior(Y.to_numpy()[GROUPS[seed] != GROUPS.loc[ROWS[row], seed]]) for seed in (0, 1)]
        np.testing.assert_allclose(found.iloc[row], np.mean(expected, axis=0))
    alone = training_prevalence(Y, GROUPS[[1]])
    assert (alone.to_numpy()[Y.to_numpy() > 0] == 0.5 / 41).all(), "held out whole, a mechanism is in no training row"


def test_what_is_held_out_besides_is_not_seen_either():
    week = pd.DataFrame({"week": np.arange(60) % 2}, ROWS)
    found = training_prevalence(Y, GROUPS[[0]], week)
    seen = (GROUPS[0] != GROUPS.iloc[7, 0]) & (week["week"] != week.iloc[7, 0])
    np.testing.assert_allclose(found.iloc[7], prior(Y.to_numpy()[seen]))
    assert not np.allclose(found, training_prevalence(Y, GROUPS[[0]]))


def test_rows_of_no_group_are_seen_and_not_predicted():
    groups = pd.DataFrame({"test": np.where(np.arange(60) < 10, 1.0, np.nan)}, ROWS)
    found = training_prevalence(Y, groups)
    assert list(found.index) == list(ROWS[:10])
    np.testing.assert_allclose(found.iloc[0], prior(Y.to_numpy()[10:]))


def test_no_own_label_reaches_a_prediction():
    """Labels of a group are exchanged: predictions of its rows stay, those of others change."""
    number = pd.Series(np.arange(60.0) % 7, ROWS)
    other = Y.copy()
    other[GROUPS[0] == 1] = 1 - other[GROUPS[0] == 1]
    before, after = (by_one_number(number, y, GROUPS[[0]]) for y in (Y, other))
    same = (before == after).all(axis=1)
    assert same[GROUPS[0] == 1].all() and not same[GROUPS[0] != 1].any()


def test_a_number_that_tells_mechanisms_apart_is_enough():
    number = pd.Series(np.arange(60.0) // 20, ROWS)
    found = by_one_number(number, Y, GROUPS[[0]])
    assert (found.to_numpy().argmax(axis=1) == Y.to_numpy().argmax(axis=1)).all()
    assert found.to_numpy().min() > 0 and found.sum(axis=1).between(0.99, 1.01).all()
    gaps = number.where(np.arange(60) != 5)
    expected = training_prevalence(Y, GROUPS[[0]]).iloc[5]
    np.testing.assert_allclose(by_one_number(gaps, Y, GROUPS[[0]]).iloc[5], expected)


def test_rows_that_nothing_is_left_for_are_left_out():
    one = pd.DataFrame({0: 0}, ROWS)
    assert held_out_mean(Y, one, lambda train, rows: pytest.fail("no training rows")).empty

"""Differences of two predictions, and their intervals by drawing compounds."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from moa.metrics import paired
from moa.metrics.losses import log_loss
from moa.metrics.paired import COMPARED, Draws, difference
from moa.metrics.ranking import measures


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    compound = np.repeat(np.arange(40), 5)
    rows = pd.Index([f"id_{i}" for i in range(200)], name="sig_id")
    y = pd.DataFrame(np.eye(4, dtype=np.uint8)[compound % 4], rows, list("abcd"))
    y.iloc[:5] = 0
    p = pd.DataFrame((0.4 * y + rng.random(y.shape)).round(1) / 1.5, rows, y.columns)  # many ties
    return y, p, pd.Series(compound, rows)


def test_the_first_line_is_that_of_the_rows_as_they_are(case):
    y, p, compounds = case
    found, expected = Draws(y, compounds).measured(p), measures(y, p)
    for name in ("top_1", "average_precision_micro"):
        assert found[name][0] == pytest.approx(expected[name])
    assert found["log_loss"][0] == pytest.approx(log_loss(y, p.clip(1e-6, 1 - 1e-6)))
    assert "log_loss" not in Draws(y, compounds).measured(p, probabilities=False)


def test_a_draw_is_the_measure_of_the_drawn_rows(case):
    y, p, compounds = case
    draws = Draws(y, compounds, seed=3)
    found = draws.measured(p)
    for line in (1, 17):
        rows = np.repeat(np.arange(200), draws.weights[line])
        assert set(np.bincount(compounds.to_numpy()[rows])) <= {0, 5, 10, 15, 20, 25, 30}, "whole compounds"
        expected = average_precision_score(y.to_numpy()[rows].ravel(), p.to_numpy()[rows].ravel())
        assert found["average_precision_micro"][line] == pytest.approx(expected)


def test_few_draws_at_a_time_give_the_same(case, monkeypatch):
    y, p, compounds = case
    draws = Draws(y, compounds)
    at_once = draws.measured(p)
    monkeypatch.setattr(paired, "_AT_ONCE", 1000)
    assert all((draws.measured(p)[name] == values).all() for name, values in at_once.items())


def test_without_a_positive_there_is_no_precision():
    y = pd.DataFrame(0, [f"id_{i}" for i in range(4)], ["a", "b"])
    assert np.isnan(Draws(y).measured(y + 0.5)["average_precision_micro"]).all()


def test_what_is_better_and_what_may_be_chance(case):
    y, p, compounds = case
    draws = Draws(y, compounds)
    chance = pd.DataFrame(np.random.default_rng(1).random(y.shape), y.index, y.columns)
    own, other = draws.measured(p), draws.measured(chance)
    for name, more in COMPARED.items():
        found = difference(own[name], other[name], more)
        assert found.better and found.low < found.value < found.high and not found.worse, name
        assert difference(other[name], own[name], more).worse
    same = difference(own["top_1"], own["top_1"], True)
    assert (same.value, same.low, same.high) == (0, 0, 0) and not same.better and not same.worse


def test_intervals_over_compounds_are_wider_than_over_rows(case):
    """Five equal wells of a compound say no more than one."""
    y, _, compounds = case
    code = compounds.to_numpy()
    p = pd.DataFrame(np.random.default_rng(2).random((40, 4))[code], y.index, y.columns)

    def width(groups):
        drawn = Draws(y, groups).measured(p)["top_1"][1:]
        return np.quantile(drawn, 0.975) - np.quantile(drawn, 0.025)

    assert width(compounds) > 1.7 * width(None)


def test_of_many_rows_few_draws_give_about_the_same_interval(case, monkeypatch):
    y, p, compounds = case
    other = pd.DataFrame(np.random.default_rng(1).random(y.shape), y.index, y.columns)

    def found():
        draws = Draws(y, compounds)
        one, two = draws.measured(p)["top_1"], draws.measured(other)["top_1"]
        return len(draws.weights) - 1, difference(one, two, True)

    many, whole = found()
    monkeypatch.setattr("moa.metrics.paired._CELLS", 0)
    few, part = found()
    assert (many, few) == (1000, 30) and part.value == whole.value
    assert part.high - part.low == pytest.approx(whole.high - whole.low, rel=0.35)

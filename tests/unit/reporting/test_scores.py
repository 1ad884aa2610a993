"""Figures of the report against scikit-learn's and textbook values."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from moa.blending.blend import BlendSpec
from moa.reporting.scores import ReportScores, calibration_table


def test_calibration_counts_every_cell_once():
    y = pd.DataFrame({"a": [0, 1, 0, 0], "b": [1, 0, 0, 0]})
    p = pd.DataFrame({"a": [0.5, 0.9, 0.002, 0.0025], "b": [0.6, 0.002, 1.0, 0.0]})
    table = calibration_table(y, p)
    # Two bins per decade: [0, 10^-5.5), [10^-3, 10^-2.5), [10^-0.5, 1]
    assert list(table["cells"]) == [1, 3, 4]
    np.testing.assert_allclose(table["predicted"], [0, (0.002 + 0.0025 + 0.002) / 3, (0.5 + 0.9 + 0.6 + 1) / 4])
    np.testing.assert_allclose(table["observed"], [0, 0, 0.5])
    # Wilson's interval of 2 in 4, from the textbook: 0.150 to 0.850
    assert table[["low", "high"]].iloc[2].tolist() == pytest.approx([0.1500, 0.8500], abs=1e-4)


@pytest.fixture
def inputs():
    """Two models of six treated rows and two controls, of which the second covers the last ``rows`` treated ones."""

    def make(rows, weights=(0.25, 0.75)):
        index = [f"id{number}" for number in range(8)]
        y = pd.DataFrame(np.random.default_rng(0).integers(0, 2, (8, 3)), index, [*"abc"])
        treated = pd.Series([True] * 6 + [False] * 2, index)
        p = pd.DataFrame(np.random.default_rng(1).uniform(0.1, 0.9, (8, 3)), index, [*"abc"])
        good = (0.8 * y + 0.1).iloc[6 - rows : 6]
        test = p.iloc[:2].set_axis(["test0", "test1"])
        models = {
            "one": SimpleNamespace(title="One", recipe=None, oof=p, test=test, variants={"leaky": p}),
            "two": SimpleNamespace(title="Two", recipe=None, oof=good, test=test + 0.1, variants={}),
        }
        members = [{"model": name, "weight": weight} for name, weight in zip(("one", "two"), weights, strict=True)]
        blends = {"mix": BlendSpec(name="mix", title="Mix", members=members)}
        test_treated = pd.Series([True, False], test.index)
        data = SimpleNamespace(scored=y, treated=treated, test=test, test_treated=test_treated)
        return SimpleNamespace(data=data, models=models, blends=blends)

    return make


def test_a_blend_is_scored_on_the_rows_that_its_members_share(inputs):
    given = inputs(4)
    found = ReportScores(given)
    assert list(found.models) == ["one", "two"] and list(found.variants) == ["one/leaky"] and len(found.y) == 6
    mixed = 0.25 * given.models["one"].oof.iloc[2:6] + 0.75 * given.models["two"].oof
    np.testing.assert_allclose(found.blends["mix"].table, mixed)
    np.testing.assert_allclose(found.blends["mix"].test, given.models["one"].test.iloc[:1] + 0.075)
    assert found.coverage(found.blends["mix"]) == pytest.approx(4 / 6) and not found.comparable
    assert ReportScores(inputs(6)).comparable
    assert not ReportScores(inputs(0)).models.get("two") and list(ReportScores(inputs(0)).blends) == ["mix"]
    assert list(found.weights(given.blends["mix"])) == [0.25, 0.75]
    assert not ReportScores(inputs(0, weights=(0.0, 1.0))).blends, "no member with a weight is here"


def test_the_reference_is_the_best_that_covers_enough_rows(inputs):
    assert ReportScores(inputs(6)).reference.key == ReportScores(inputs(2)).reference.key == "mix"
    assert ReportScores(inputs(1)).reference.key == "one", "one row of six is less than a third"

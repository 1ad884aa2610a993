"""Doses and times as people write them."""

import numpy as np
import pandas as pd
import pytest

from moa.errors import UserError
from moa.importing.notes import Notes
from moa.importing.quantities import nearest, one_of_near, parse


def numbers(texts, column="dose", what="dose", units=None):
    notes = Notes()
    parsed = parse(
        pd.Series(texts, dtype=object), column, what, notes, None if units is None else pd.Series(units, dtype=object)
    )
    return (None, "", notes) if parsed is None else (parsed[0].tolist(), parsed[1], notes)


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("10.0 um", 10, "µM"),
        ("10 µM", 10, "µM"),
        ("10 μM", 10, "µM"),
        ("3.33uM", 3.33, "µM"),
        ("500 nM", 0.5, "µM"),
        ("1 mM", 1000, "µM"),
        ("2e-6 M", 2, "µM"),
        ("5 umol/L", 5, "µM"),
        ("0.5 ng/ml", 0.0005, "µg/mL"),
        ("1 ug/mL", 1, "µg/mL"),
        ("~3", 3, ""),
        ("1e-3", 0.001, ""),
    ],
)
def test_doses(text, value, unit):
    assert numbers([text])[:2] == ([pytest.approx(value)], unit)


@pytest.mark.parametrize(
    ("text", "hours"), [("24 h", 24), ("24h", 24), ("48 hours", 48), ("2 days", 48), ("30 min", 0.5), ("6.0 hr", 6)]
)
def test_times(text, hours):
    assert numbers([text], "pert_itime", "time")[:2] == ([pytest.approx(hours)], "h")


def test_hours_are_assumed_and_said():
    values, unit, notes = numbers(["24", np.nan], "time", "time")
    assert values[0] == 24 and np.isnan(values[1]) and unit == "h" and "are hours" in notes.lines()[0]


def test_the_unit_of_a_column_beside_and_of_a_columns_name():
    assert numbers(["10", "500"], units=["um", "nM"])[:2] == ([10, pytest.approx(0.5)], "µM")
    assert numbers(["10", "500"], "dose_nM")[:2] == ([pytest.approx(0.01), pytest.approx(0.5)], "µM")
    # What this column holds is not what its name says in many public files; it is left as it is.
    assert numbers(["10"], "Metadata_mmoles_per_liter")[:2] == ([10], "")


def test_numbers_without_a_unit_among_others():
    values, unit, notes = numbers(["10 nM", "20"])
    assert values == [pytest.approx(0.01), pytest.approx(0.02)] and unit == "µM" and len(notes) == 1


def test_words_are_no_numbers():
    assert numbers(["D1", "D2"])[0] is None
    assert numbers([])[0] == []


def test_units_that_cannot_be_compared():
    with pytest.raises(UserError, match="doses in µM, µg/mL cannot be compared"):
        numbers(["10 uM", "1 ug/ml"])


def test_float_noise_and_rounding():
    notes = Notes()
    values = pd.Series([0.1199999973, 0.12, 0.12, 0.123457, 20, 19.999, 19.999, 3.33, np.nan, 1.0, 1.11])
    found = one_of_near(values, notes, "dose")
    assert found.dropna().tolist() == [0.12, 0.12, 0.12, 0.12, 20, 20, 20, 3.33, 1.0, 1.11]
    assert np.isnan(found[8])
    assert notes.lines() == ["noted: 8 different numbers are 5 doses: within 5% they are one: 0.1235 as 0.12"]
    quiet = Notes()
    one_of_near(pd.Series([1.0, 3.0]), quiet, "dose")
    assert not quiet


def test_nearest():
    assert nearest(0.1234, np.array([0.12, 0.37])) == 0.12
    assert nearest(0.2, np.array([0.12, 0.37])) is None and nearest(1.0, np.array([])) is None
    assert nearest(np.nan, np.array([1.0])) is None

"""Doses and times as people write them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa.errors import UserError
from moa.importing.notes import Notes
from moa.importing.quantities import SAME, nearest, one_of_near, parse


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
        ("10 \u00c2\u00b5M", 10, "µM"),
        ("10 \u00ce\u00bcM", 10, "µM"),
        ("10 \ufffdM", 10, "µM"),
        ("3 mcg/mL", 3, "µg/mL"),
        ("20 IU/mL", 20, "U/mL"),
        ("~3", 3, ""),
        ("1e-3", 0.001, ""),
    ],
)
def test_doses(text, value, unit):
    assert numbers([text])[:2] == ([pytest.approx(value)], unit)


@pytest.mark.parametrize(
    ("text", "hours"),
    [("24 h", 24), ("24h", 24), ("48 hours", 48), ("2 days", 48), ("30 min", 0.5), ("6.0 hr", 6), ("6 Hrs.", 6)],
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


def test_numbers_without_a_unit_among_several_units_are_refused():
    with pytest.raises(UserError, match="doses without a unit among those in nm, um; give each its unit"):
        numbers(["10 nM", "20", "1 uM"])
    assert numbers(["10 nM", "0", "1 uM"])[:2] == ([pytest.approx(0.01), 0, 1], "µM"), "0 is 0 in any unit"
    assert numbers(["10 nM", "20"], "dose_uM")[0] == [pytest.approx(0.01), 20], "the heading says the unit"
    with pytest.raises(UserError, match="doses in µg/mL, µM cannot be compared"):
        numbers(["10 ug/ml", "20"], "dose_uM")


@pytest.mark.parametrize("column", ["Concentration (µM)", "Final conc. [uM]", "dose_uM", "concentration_micromolar"])
def test_the_unit_of_a_heading(column):
    assert numbers(["10", "0.5"], column)[:2] == ([10, 0.5], "µM")


@pytest.mark.parametrize(
    "text", ["6 h & 4 h", "6h+4h", "24 h and 48 h", "6 h; 4 h", "6 h, 4 h", "6/24 h", "6 h then 4 h"]
)
def test_several_times_of_one_well_are_named_and_left_out(text):
    values, unit, notes = numbers(["24 h", text, "48 h"], "pert_itime", "time")
    assert values[0] == 24 and np.isnan(values[1]) and values[2] == 48 and unit == "h"
    assert notes.lines() == [
        f"set aside: values of 'pert_itime' that are several times ('{text}'): these wells have none: 1"
    ]


def test_several_doses_are_left_out_and_units_with_a_slash_are_no_list():
    values, unit, _ = numbers(["10 uM", "1 uM + 5 uM", "3 uM"])
    assert values[0] == 10 and np.isnan(values[1]) and unit == "µM"
    assert numbers(["1 ug/ml", "1e+3 ug/ml"])[:2] == ([1, 1000], "µg/mL")


@pytest.mark.parametrize("column", ["log10_dose", "log dose (M)", "-log[M]", "logDose", "Metadata_log2_concentration"])
def test_logarithms_are_refused(column):
    with pytest.raises(UserError, match="holds logarithms by its name; give the doses themselves"):
        numbers(["1", "2"], column)


@pytest.mark.parametrize("column", ["Analog dose", "catalogue_conc", "dose", "logistics dose"])
def test_a_word_with_log_in_it_is_no_logarithm(column):
    assert numbers(["1", "2"], column)[0] == [1, 2]


def test_words_are_no_numbers():
    assert numbers(["D1", "D2"])[0] is None
    assert numbers([])[0] == []


def test_units_that_cannot_be_compared():
    with pytest.raises(UserError, match="doses in µM, µg/mL cannot be compared"):
        numbers(["10 uM", "1 ug/ml"])


def test_float_noise_and_rounding():
    notes = Notes()
    values = pd.Series([0.1199999973, 0.12, 0.12, 0.123457, 20, 19.999, 19.999, 3.33, np.nan, 1.0, 1.11])
    found = one_of_near(values, notes)
    assert found.dropna().tolist() == [0.12, 0.12, 0.12, 0.12, 20, 20, 20, 3.33, 1.0, 1.11]
    assert np.isnan(found[8])
    assert notes.lines() == ["noted: 8 different numbers are 5 doses: within 5% they are one: 0.1235 as 0.12"]
    quiet = Notes()
    one_of_near(pd.Series([1.0, 3.0]), quiet)
    assert not quiet


def test_a_chain_of_near_doses_is_not_one_dose():
    assert one_of_near(pd.Series([1.0, 1.04, 1.08]), Notes()).nunique() == 2


def test_nearest():
    assert nearest(0.1234, np.array([0.12, 0.37])) == 0.12
    assert nearest(0.2, np.array([0.12, 0.37])) is None and nearest(1.0, np.array([])) is None
    assert nearest(np.nan, np.array([1.0])) is None


#: Units as people write them, and the µM, µg/mL or hours that one of them is.
MOLAR = {"M": 1e6, "mM": 1e3, "uM": 1.0, "µM": 1.0, "μM": 1.0, "um": 1.0, "nM": 1e-3, "nmol/L": 1e-3, "pM": 1e-6}
MASS = {"mg/mL": 1e3, "ug/ml": 1.0, "µg/mL": 1.0, "mg/L": 1.0, "ng/mL": 1e-3, "ug / litre": 1e-3}
HOURS = {"d": 24.0, "days": 24.0, "h": 1.0, "hr.": 1.0, "Hours": 1.0, "min": 1 / 60, "s": 1 / 3600}
KINDS = [("dose", MOLAR, "µM"), ("dose", MASS, "µg/mL"), ("time", HOURS, "h")]
AMOUNTS = st.floats(1e-6, 1e6)
FORMS = st.sampled_from(["{!r}", "{:g}", "{:.3e}", "{:.6f}", "+{:g}", "~{:g}", "≈ {:g}", "={:g}"])


@given(
    st.sampled_from(KINDS), st.lists(st.tuples(AMOUNTS, FORMS, st.sampled_from(["", " ", "  "])), min_size=1), st.data()
)
def test_a_number_with_a_unit_is_that_many_of_the_common_unit(kind, amounts, data):
    what, units, common = kind
    texts, expected = [], []
    for amount, form, space in amounts:
        unit, number = data.draw(st.sampled_from(list(units))), form.format(amount)
        texts.append(f"{number}{space}{unit}")
        expected.append(float(number.lstrip("~≈= ")) * units[unit])
    values, unit, notes = numbers(texts, "x", what)
    assert values == pytest.approx(expected, rel=1e-12) and unit == common and not notes


@given(st.lists(AMOUNTS, min_size=2, unique=True), st.sampled_from(list(MOLAR)), st.sampled_from(list(MOLAR)))
def test_the_order_of_doses_is_kept_whatever_their_units(amounts, one, other):
    """Amounts in µM, every second one written in another unit."""
    units = [(one, other)[place % 2] for place in range(len(amounts))]
    values, _, _ = numbers([f"{amount / MOLAR[unit]!r} {unit}" for amount, unit in zip(amounts, units, strict=True)])
    assert values == pytest.approx(amounts, rel=1e-12)
    for low, high in zip(sorted(amounts)[:-1], sorted(amounts)[1:], strict=True):
        if high > low * (1 + 1e-12):
            assert values[amounts.index(low)] < values[amounts.index(high)]


@given(st.integers(0, 10**6), st.integers(0, 999), st.sampled_from(["", " ", "uM", " nM", " µM"]))
def test_a_comma_is_read_by_the_whole_column_or_refused(whole, rest, unit):
    """In "1,5" a comma separates decimals, in "1,000" beside "10" thousands; beside a point "1,5" is a mistake."""
    if 0 < whole < 1000 and rest > 99:
        values, _, notes = numbers([f"{whole},{rest}{unit}", "10" + (unit or " uM")])
        assert values[0] == pytest.approx(values[1] / 10 * (1000 * whole + rest))
        assert "commas in column 'dose' separate thousands" in "\n".join(notes.lines())
        return
    values, _, notes = numbers([f"{whole},{rest}{unit}", "10" + (unit or " uM")])
    assert values[0] == pytest.approx(values[1] / 10 * float(f"{whole}.{rest}"))
    assert "commas in column 'dose' are decimal commas" in "\n".join(notes.lines())
    with pytest.raises(UserError, match="a decimal comma or thousands[?] write doses with a decimal point"):
        numbers([f"{whole},{rest}{unit}", "10.5 uM"])


@given(st.lists(st.floats(1e-4, 1e4), min_size=1))
def test_doses_taken_as_one_are_near_each_other_and_stay_in_order(doses):
    found = one_of_near(pd.Series(doses), Notes())
    assert (np.abs(found / doses - 1) <= SAME + 1e-3).all()
    assert found[np.argsort(doses, kind="stable")].is_monotonic_increasing
    again = one_of_near(found, Notes())
    assert again.nunique() <= found.nunique() <= len(set(doses))

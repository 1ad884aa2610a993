"""Unusual values: counts of the parts of a file add up to those of the whole."""

import re

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from moa.data.assay import Assay
from moa.data.checks import LINCS_MISSING, Unusual, check_numbers, constant_columns
from moa.data.problems import Problems

ASSAY = Assay.model_validate({"name": "small", "groups": {"x": {"columns": ["a", "b", "c"]}}, "value_range": [-10, 10]})
VALUES = st.sampled_from([0.0, 3.0, -10.0, 10.0, 10.5, -11.0, LINCS_MISSING])


def table(rows):
    return pd.DataFrame(rows, [f"id_{row}" for row in range(len(rows))], ["a", "b", "c"], dtype=float)


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=12), st.integers(1, 12))
def test_counts_of_parts_add_up(rows, size):
    whole = table(rows)
    parts = [Unusual.of(whole.iloc[start : start + size], ASSAY) for start in range(0, len(whole), size)]
    found, cells = sum(parts, Unusual()), whole.to_numpy()
    missing, outside = cells == LINCS_MISSING, (np.abs(cells) > 10) & (cells != LINCS_MISSING)
    assert (found.missing, found.missing_rows) == (missing.sum(), missing.any(axis=1).sum())
    assert (found.outside, found.outside_rows) == (outside.sum(), outside.any(axis=1).sum())
    row, column = np.argwhere(outside)[0] if outside.any() else (None, None)
    assert found.first == (None if row is None else ("abc"[column], f"id_{row}"))
    assert bool(found.notes("a.csv", ASSAY)) == bool(missing.any() or outside.any())


def test_columns_of_one_value_are_noted():
    found = constant_columns("a.csv", table([[1, 0, 2], [1, 0, 3]]), ASSAY)
    assert found == ["a.csv: 2 feature columns hold one value in every row, 1 of them 0 alone: 'a', 'b'"]
    assert constant_columns("a.csv", table([[1, 0, 2]]), ASSAY) == []
    assert constant_columns("a.csv", table([[1, 2, 3], [4, 5, 6]]), ASSAY) == []


def test_columns_at_fault_are_found_anywhere_among_many_and_named_in_their_order():
    names = [f"g-{number}" for number in range(200)]
    values = pd.DataFrame(0.5, range(3), names).assign(sig_id=["a", "b", "c"])
    values.loc[1, "g-150"], values.loc[2, "g-199"], values["g-70"] = np.nan, np.inf, ["1", "x", "2"]
    values["g-3"], values["g-4"] = pd.array([1, None, 3], dtype="Int64"), pd.array([1, 2, 3], dtype="Int64")
    values["g-5"] = [True, False, True]
    problems = Problems()
    check_numbers("a.csv", values, names, problems)
    assert [re.findall(r"g-\d+|line \d+", message) for message in problems] == [
        ["g-3", "line 3"],
        ["g-5", "line 2", "line 3", "line 4"],
        ["g-70", "line 3"],
        ["g-150", "line 3"],
        ["g-199", "line 4"],
    ]

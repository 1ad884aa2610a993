"""Tables of the page."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from moa.reporting.page import Table


def test_table_marks_the_best_of_the_rows_that_count():
    frame = pd.DataFrame({"model": ["a", "b", "c", "d"], "loss": [0.3, 0.1, np.nan, 0.2]})
    table = Table.of(frame, {"loss": ".1f"}, lowest=["loss"], quiet=[1])
    assert table.best == {(3, 1)} and table.numbers == {1}
    assert [row[1] for row in table.rows] == ["0.3", "0.1", "–", "0.2"]
    assert not Table.of(frame.iloc[:1], {"loss": ".1f"}, lowest=["loss"]).best, "one row alone is no best"
    with pytest.raises(dataclasses.FrozenInstanceError):
        table.caption = "other"

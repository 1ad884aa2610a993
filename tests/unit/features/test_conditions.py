"""Conditions encoded: fixed columns, whatever a file holds."""

import numpy as np
import pandas as pd
import pytest

from moa.errors import UserError
from moa.features import ConditionCodes, OneHotConditions

LEVELS = {"cp_time": (24, 48, 72), "cp_dose": ("D1", "D2")}


@pytest.fixture
def conditions():
    return pd.DataFrame({"cp_time": [24, 72, 48, 24], "cp_dose": ["D1", "D2", "D2", "D1"]}, index=list("abcd"))


def test_conditions_have_fixed_columns_whatever_a_file_holds(conditions):
    one_hot = OneHotConditions(LEVELS).fit(conditions)
    assert list(one_hot.get_feature_names_out()) == [
        "cp_time_24",
        "cp_time_48",
        "cp_time_72",
        "cp_dose_D1",
        "cp_dose_D2",
    ]
    expected = [[1, 0, 0, 1, 0], [0, 0, 1, 0, 1], [0, 1, 0, 0, 1], [1, 0, 0, 1, 0]]
    np.testing.assert_array_equal(one_hot.transform(conditions), expected)
    assert one_hot.transform(conditions).dtype == np.float64
    one_time = conditions[conditions.cp_time == 72]
    np.testing.assert_array_equal(OneHotConditions(LEVELS).fit_transform(one_time), [[0, 0, 1, 0, 1]])
    np.testing.assert_array_equal(one_hot.transform(conditions.to_numpy(object)), expected)

    codes = ConditionCodes(LEVELS).fit(one_time).transform(conditions)
    np.testing.assert_array_equal(codes, [[0, 0], [2, 1], [1, 1], [0, 0]])
    assert codes.dtype == np.float64
    for wrong in ({"cp_time": 36}, {"cp_dose": "D3"}):
        ((column, value),) = wrong.items()
        with pytest.raises(UserError, match=f"'{column}', row a: '{value}' is not one of"):
            one_hot.transform(conditions.head(1).assign(**wrong))

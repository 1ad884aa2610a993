"""Encoded conditions have the same columns for any file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moa.data.assay import COMPETITION
from moa.errors import UserError
from moa.features import ConditionCodes, OneHotConditions, RawInputs
from moa.features.conditions import TreatedRows
from moa.weights import fitted_transformers as fits

LEVELS = {"cp_time": (24, 48, 72), "cp_dose": ("D1", "D2")}


@pytest.fixture
def conditions():
    return pd.DataFrame({"cp_time": [24, 72, 48, 24], "cp_dose": ["D1", "D2", "D2", "D1"]}, index=list("abcd"))


def test_conditions_have_fixed_columns_for_any_file(conditions):
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


def test_any_conditions_and_levels():
    levels = {"dose": (0.5, 10.0), "line": ("A549", "MCF7", "HeLa"), "plate": (7,)}
    frame = pd.DataFrame({"line": ["HeLa", "A549"], "plate": 7, "dose": [10.0, 0.5]})
    one_hot = OneHotConditions(levels).fit(frame)
    assert list(one_hot.get_feature_names_out()) == [
        "dose_0.5", "dose_10.0", "line_A549", "line_MCF7", "line_HeLa", "plate_7"
    ]  # fmt: skip
    np.testing.assert_array_equal(one_hot.transform(frame), [[0, 1, 0, 0, 1, 1], [1, 0, 1, 0, 0, 1]])
    np.testing.assert_array_equal(ConditionCodes(levels).fit_transform(frame), [[1, 2, 0], [0, 0, 0]])
    numbers = {"dose": (0.5, 10.0), "time": (24, 48)}
    np.testing.assert_array_equal(ConditionCodes(numbers).fit_transform(np.array([[10.0, 24.0]])), [[1, 0]])
    raw = RawInputs(levels, ("p-0",)).fit(frame.assign(**{"p-0": 3.5}))
    np.testing.assert_array_equal(raw.transform(frame.assign(**{"p-0": 3.5})), [[1, 1, 0, 3.5], [0, 0, 0, 3.5]])
    assert list(raw.get_feature_names_out()) == ["dose", "line", "plate", "p-0"]


def test_raw_inputs_of_the_competition_have_the_published_order():
    names = list(RawInputs.of(COMPETITION).get_feature_names_out())
    assert names[:4] == ["cp_type", "cp_dose", "cp_time", "g-0"] and len(names) == 875
    values = dict.fromkeys(COMPETITION.values, 1.0)
    frame = pd.DataFrame({"cp_type": ["ctl_vehicle", "trt_cp"], "cp_time": [48, 72], "cp_dose": ["D2", "D1"], **values})
    coded = RawInputs.of(COMPETITION).fit_transform(frame)
    np.testing.assert_array_equal(coded[:, :3], [[0, 1, 0.5], [1, 0, 1]])
    assert (coded[:, 3:] == 1).all()


def test_treated_rows_are_marked():
    kinds = pd.DataFrame({"kind": ["drug", "vehicle", "drug"]})
    np.testing.assert_array_equal(TreatedRows("drug").fit_transform(kinds), [[True], [False], [True]])
    back = fits.load(fits.dump(TreatedRows("drug").fit(kinds))[0], Path())
    np.testing.assert_array_equal(back.transform(kinds), [[True], [False], [True]])

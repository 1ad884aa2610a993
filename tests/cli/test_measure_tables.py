"""What the tables of measures show."""

import pandas as pd

from moa.cli.measure_tables import cell, shown_measures

NAMES = ["log_loss", "roc_auc_micro", "average_precision_micro", "average_precision_macro"]


def frame(top_1, accuracy):
    rows = {name: 0.5 for name in NAMES}
    return pd.DataFrame({**rows, "top_1": top_1, "top_5": 0.9, "accuracy": accuracy})


def test_top_1_has_its_name_whether_rows_have_one_mechanism_or_several():
    assert shown_measures(frame([0.5, 0.6], [0.5, 0.6])) == [*NAMES, "top_1", "top_5"]
    assert shown_measures(frame([0.5, 0.6], [0.5, 0.7])) == [*NAMES, "top_1", "top_5"]


def test_numbers_have_as_many_digits_as_the_field_prints():
    assert [cell("log_loss", 0.0158), cell("roc_auc", 0.5), cell("rows", 1200), cell("top_1", float("nan"))] == [
        *("0.01580", "0.500", "1,200", "–")
    ]
    assert cell("top_1", None) == ""

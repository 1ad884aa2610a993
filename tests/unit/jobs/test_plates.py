"""Mechanisms ranked by hand."""

import pandas as pd

from moa.jobs.plate_parts import rank_mechanisms


def test_ranking_by_hand():
    table = pd.DataFrame([[0.1, 0.4, 0.2], [0.3, 0.0, 0.3]], index=["a", "b"], columns=["x", "y", "z"])
    ranked = rank_mechanisms(table, pd.Series({"z": 0.1, "y": 0.2, "x": 0.5}), 2)
    assert ranked.drop(columns="probability").to_numpy().tolist() == [
        ["a", 1, "y", 2.0], ["a", 2, "z", 2.0], ["b", 1, "x", 0.6], ["b", 2, "z", 3.0]
    ]  # fmt: skip
    assert rank_mechanisms(table, None, 9)["times_prevalence"].isna().all()
    never = rank_mechanisms(table, pd.Series({"x": 0.0, "y": 0.2, "z": 0.1}), 3)
    assert never["times_prevalence"].isna().equals(never["moa"] == "x")

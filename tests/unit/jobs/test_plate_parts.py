"""Mechanisms and features ranked by hand."""

import numpy as np
import pandas as pd

from moa.jobs.plate_parts import rank_mechanisms, strongest_features


def test_ranking_by_hand():
    table = pd.DataFrame([[0.1, 0.4, 0.2], [0.3, 0.0, 0.3]], index=["a", "b"], columns=["x", "y", "z"])
    ranked = rank_mechanisms(table, pd.Series({"z": 0.1, "y": 0.2, "x": 0.5}), 2)
    assert ranked.drop(columns="probability").to_numpy().tolist() == [
        ["a", 1, "y", 2.0], ["a", 2, "z", 2.0], ["b", 1, "x", 0.6], ["b", 2, "z", 3.0]
    ]  # fmt: skip
    assert rank_mechanisms(table, None, 9)["times_prevalence"].isna().all()
    never = rank_mechanisms(table, pd.Series({"x": 0.0, "y": 0.2, "z": 0.1}), 3)
    assert never["times_prevalence"].isna().equals(never["moa"] == "x")


def test_the_features_furthest_from_the_mean_are_named():
    deviations = np.array([[0.1, -7.25, 3.0, 0.0, 1.0, 2.0, -0.5], [0, 0, 0, 0, 0, 0, -9.96]])
    first, second = strongest_features(deviations, ["a", "b", "c", "d", "e", "f", "g"])
    assert first == "b -7.2, c +3.0, f +2.0, e +1.0, g -0.5" and second.startswith("g -10.0, a +0.0")
    assert list(strongest_features(deviations[:, :1], ["a"])) == ["a +0.1", "a +0.0"]

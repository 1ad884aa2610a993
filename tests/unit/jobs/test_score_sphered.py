"""Sphered profiles of the nearest-neighbour baseline."""

import numpy as np
import pandas as pd

from moa.jobs.score_sphered import sphered


def test_features_that_reach_thousands_and_those_that_do_not_vary_are_both_left_out():
    rng = np.random.default_rng(0)
    rows, controls = (pd.DataFrame(rng.normal(size=(n, 6)), columns=list("abcdef")) for n in (20, 12))
    rows.loc[3, "b"] = 5000.0
    controls["e"] = 0.0
    found = sphered(rows, controls)
    assert list(found) == ["a", "c", "d", "f"] and np.isfinite(found).all(axis=None)

"""Agreement of replicates, against pandas."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from moa.reporting.replicates import replicate_agreement


@pytest.fixture
def wells():
    """Four treatments of three wells with a profile of their own, two of noise alone, one well without a treatment."""
    rng = np.random.default_rng(0)
    names = np.repeat([*"abcdef"], 3)
    profiles = rng.normal(size=(6, 40))
    profiles[4:] = 0
    values = np.repeat(profiles, 3, axis=0) + rng.normal(size=(18, 40))
    values = np.vstack([values, rng.normal(size=(1, 40))])
    p = pd.DataFrame(rng.random((19, 4)), columns=[*"wxyz"])
    p.iloc[:2, 2] = 1.5  # two of a's three wells
    p.iloc[2, 0] = 1.5
    return values, pd.Series([*names, np.nan], dtype=object), p


def test_correlation_is_the_median_over_pairs(wells):
    values, treatment, p = wells
    found = replicate_agreement(values, treatment, p)
    assert list(found.index) == [*"abcdef"] and (found["wells"] == 3).all()
    similar = pd.DataFrame(values.T).corr()
    for name, rows in treatment.groupby(treatment).groups.items():
        pairs = [similar.loc[pair] for pair in combinations(rows, 2)]
        assert found.loc[name, "correlation"] == pytest.approx(np.median(pairs))
    assert found.loc["a", ["same_first", "first"]].tolist() == [pytest.approx(2 / 3), "y"]


def test_chance_separates_replicates_from_noise(wells):
    values, treatment, p = wells
    found = replicate_agreement(values, treatment, p)
    assert found["chance"].nunique() == 1 and 0 < found["chance"].iloc[0] < 0.4
    assert list(found.index[found["correlation"] > found["chance"]]) == [*"abcd"]


def test_single_wells_and_one_treatment(wells):
    values, treatment, p = wells
    alone = treatment.where(treatment == "a")
    alone.iloc[5] = "b"
    found = replicate_agreement(values, alone, p)
    assert list(found.index) == ["a"], "one well has no replicate"
    only = replicate_agreement(values, treatment.where(treatment == "a"), p)
    assert np.isnan(only.loc["a", "chance"]) and only.loc["a", "wells"] == 3
    assert len(replicate_agreement(values, treatment.mask(treatment.notna()), p)) == 0

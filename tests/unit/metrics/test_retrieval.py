"""Retrieval of mechanisms against its definition, and its null."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import cosine_similarity

from moa.errors import UserError
from moa.metrics.retrieval import retrieval


@pytest.fixture
def profiles():
    """Sixteen compounds at three doses; mechanisms a and b look alike within themselves, c does not; some have none."""
    rng = np.random.default_rng(0)
    compound = np.repeat(np.arange(16), 3)
    labels = np.array([[1, 0, 0]] * 4 + [[0, 1, 0]] * 4 + [[0, 0, 1]] * 4 + [[1, 1, 0]] + [[0, 0, 0]] * 3, np.uint8)
    y = pd.DataFrame(labels[compound], [f"t{i}" for i in range(48)], list("abc"))
    shape = rng.normal(size=(2, 30))
    table = pd.DataFrame(rng.normal(size=(48, 30)) + y[["a", "b"]].to_numpy() @ shape, y.index)
    return table, y, pd.Series(compound, y.index)


def expected(profiles, y, compounds, target):
    similar = cosine_similarity(profiles)
    found = []
    for row in np.flatnonzero(y[target]):
        shares = (y.to_numpy() & y.to_numpy()[row]).any(axis=1)
        right = y[target].to_numpy(bool)
        others = (compounds != compounds.iloc[row]).to_numpy() & (right | ~shares)
        found.append(average_precision_score(right[others], similar[row][others]))
    return np.mean(found)


def test_mechanisms_whose_profiles_are_alike_are_retrieved(profiles, tmp_path):
    pytest.importorskip("copairs")
    found = retrieval(*profiles, permutations=2000, cache=tmp_path)
    for target in "abc":
        assert found.loc[target, "mean_average_precision"] == pytest.approx(expected(*profiles, target), abs=1e-5)
    assert (found.loc[["a", "b"], "corrected_p_value"] < 0.01).all() and found.loc["c", "corrected_p_value"] > 0.05
    assert found["profiles"].to_dict() == {"a": 15, "b": 15, "c": 12}
    again = retrieval(*profiles, permutations=2000)
    pd.testing.assert_frame_equal(found, again)


def test_profiles_that_are_all_alike_are_not_retrieved(profiles):
    pytest.importorskip("copairs")
    _, y, compounds = profiles
    found = retrieval(pd.DataFrame(0.5, y.index, range(5)), y, compounds, permutations=2000)
    assert (found["corrected_p_value"] > 0.05).all() and found["mean_average_precision"].max() < 0.6


def test_what_cannot_be_retrieved_is_refused(profiles, monkeypatch):
    table, y, compounds = profiles
    monkeypatch.setitem(sys.modules, "copairs", None)
    with pytest.raises(UserError, match=r"pip install 'moa\[assay\]'"):
        retrieval(table, y, compounds)
    monkeypatch.delitem(sys.modules, "copairs")
    pytest.importorskip("copairs")
    with pytest.raises(UserError, match="no mechanism is shared"):
        retrieval(table.head(6), y.head(6), compounds.head(6) * 0)

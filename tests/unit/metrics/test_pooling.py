"""The answer for a compound is the mean of its wells' evidence."""

import numpy as np
import pandas as pd
import pytest

from moa.metrics.pooling import pool, sums_to_one

WELLS = pd.Index(["a1", "a2", "b1", "c1"])
OF = pd.Series(["A", "A", "B", None], WELLS)


def test_one_mechanism_a_row_by_hand():
    p = pd.DataFrame([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.1, 0.2, 0.7], [1, 0, 0]], WELLS, list("xyz"))
    found = pool(p, OF)
    product = np.sqrt(p.loc["a1"] * p.loc["a2"])
    np.testing.assert_allclose(found.loc["A"], product / product.sum())
    np.testing.assert_allclose(found.loc["B"], p.loc["b1"], rtol=1e-5)
    assert list(found.index) == ["A", "B"] and sums_to_one(found.to_numpy())


def test_several_mechanisms_a_row_have_odds_of_their_own():
    p = pd.DataFrame([[0.9, 0.5], [0.5, 0.8], [0.2, 0.1], [0.3, 0.3]], WELLS, list("xy"))
    assert not sums_to_one(p.to_numpy())
    found = pool(p, OF)
    np.testing.assert_allclose(found.loc["A"] / (1 - found.loc["A"]), [3, 2])  # the roots of 9·1 and of 1·4
    np.testing.assert_allclose(found.loc["B"], p.loc["b1"])


@pytest.mark.parametrize("one", [True, False])
def test_certainty_is_never_whole(one):
    """A well at 0 does not decide alone whatever the others say."""
    p = pd.DataFrame([[1.0, 0.0], [0.0, 1.0]], ["a", "b"], list("xy"))
    found = pool(p, pd.Series("A", ["a", "b"]), one)
    np.testing.assert_allclose(found, [[0.5, 0.5]])


def test_wells_with_the_same_answer_keep_it():
    p = pd.DataFrame(np.tile([0.2, 0.3, 0.5], (4, 1)), WELLS, list("xyz"))
    np.testing.assert_allclose(pool(p, OF).loc["A"], [0.2, 0.3, 0.5])

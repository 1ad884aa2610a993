"""Nearest neighbours against scikit-learn, and whom they may be taken from."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors

from moa.errors import UserError
from moa.metrics import neighbours
from moa.metrics.neighbours import neighbour_votes


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    index = [f"id_{i}" for i in range(60)]
    features = pd.DataFrame(rng.normal(size=(60, 8)), index)
    y = pd.DataFrame((rng.random((60, 3)) < 0.3).astype(np.uint8), index, list("abc"))
    compounds = pd.Series([f"drug {i // 4}" for i in range(60)], index)
    return features, y, compounds


def expected(features, y, groups, k):
    """Row by row: scikit-learn's search among the rows of other groups, and the mean of their votes."""
    found = []
    for row in features.index:
        others = features.index[(groups != groups[row]).to_numpy()]
        search = NearestNeighbors(n_neighbors=k, metric="cosine").fit(features.loc[others])
        near = others[search.kneighbors(features.loc[[row]], return_distance=False)[0]]
        weight = (1 + cosine_similarity(features.loc[[row]], features.loc[near])[0]) / 2
        found.append(weight @ y.loc[near].to_numpy() / k)
    return pd.DataFrame(found, features.index, y.columns)


@pytest.mark.parametrize("k", [1, 5])
def test_votes_are_those_of_the_nearest_rows_of_other_compounds(rows, k, monkeypatch):
    features, y, compounds = rows
    monkeypatch.setattr(neighbours, "_CELLS", 7 * len(features))  # parts of seven rows
    shares = []
    found = neighbour_votes(features * 3.7, y.sample(frac=1, random_state=0), compounds, k, shares.append)
    pd.testing.assert_frame_equal(found, expected(features, y, compounds, k), check_dtype=False, atol=1e-6)
    assert shares[-1] == 1 and len(shares) == 9


def test_labels_of_a_rows_own_group_do_not_reach_it(rows):
    features, y, compounds = rows
    before = neighbour_votes(features, y, compounds)
    held_out = compounds == "drug 3"
    after = neighbour_votes(features, y.mask(held_out, 1 - y), compounds)
    pd.testing.assert_frame_equal(before[held_out], after[held_out])
    assert not before.equals(after)


def test_rows_that_share_what_is_held_out_besides_are_no_neighbours(rows):
    features, y, compounds = rows
    week = pd.DataFrame({"week": np.arange(60) % 3}, features.index)
    before = neighbour_votes(features, y, compounds, apart=week)
    of_week = week["week"] == 1
    after = neighbour_votes(features, y.mask(of_week, 1 - y), compounds, apart=week)
    pd.testing.assert_frame_equal(before[of_week], after[of_week])
    assert not before[~of_week].equals(after[~of_week])


def test_several_folds_give_the_mean_and_rows_without_a_fold_are_everyones_neighbours(rows):
    features, y, _ = rows
    rng = np.random.default_rng(1)
    folds = pd.DataFrame({seed: rng.integers(3, size=60).astype(float) for seed in (0, 1)}, features.index)
    both = neighbour_votes(features, y, folds)
    pd.testing.assert_frame_equal(both, sum(neighbour_votes(features, y, folds[seed]) for seed in folds) / 2, atol=1e-6)
    first = folds[0].where(folds[0] == 0)  # only the first fold is trained
    part = neighbour_votes(features, y, first)
    assert part.index.equals(features.index[folds[0] == 0])
    pd.testing.assert_frame_equal(part, neighbour_votes(features, y, folds[0] == 0).loc[part.index])


def test_a_row_of_zeros_and_few_rows_are_no_error(rows):
    features, y, compounds = rows
    found = neighbour_votes((features * 0).head(8), y.head(8), compounds.head(8), k=20)
    assert found.notna().all(axis=None) and found.to_numpy().max() <= 1


def test_what_cannot_be_searched_is_refused(rows):
    features, y, compounds = rows
    with pytest.raises(UserError, match="one compound or fold"):
        neighbour_votes(features, y, compounds * 0 + "same")
    with pytest.raises(UserError, match="row 'id_3', column 2 holds nan"):
        neighbour_votes(features.mask((features.index == "id_3")[:, None] & (features.columns == 2)), y, compounds)
    with pytest.raises(UserError, match="--neighbours 0"):
        neighbour_votes(features, y, compounds, k=0)

"""UMAP stored as arrays: neighbourhoods as in umap-learn, and places that depend on the row alone."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.manifold import trustworthiness
from sklearn.metrics import pairwise_distances

from moa.errors import UserError
from moa.features.umap import UMAPEmbedding, _nearest, _strengths
from moa.weights import fitted_transformers as fits

CLUSTERS = 8


def stored(transformer):
    """The transformer as it comes back from storage."""
    return fits.load(fits.dump(transformer)[0], Path())


@pytest.fixture(scope="module")
def clustered():
    x, cluster = make_blobs(900, 30, centers=CLUSTERS, cluster_std=2.0, random_state=0)
    return x[:600], x[600:], cluster[:600], cluster[600:]


@pytest.fixture(scope="module")
def umap(clustered):
    return UMAPEmbedding(3, random_state=1903).fit(clustered[0])


@pytest.fixture(scope="module")
def library(clustered):
    from umap import UMAP

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = UMAP(n_components=3, random_state=1903, n_jobs=1).fit(clustered[0].astype(np.float32))
    fitted.n_epochs = 90  # transform takes a third: 30, as it does by itself for more than 10,000 rows
    return fitted


@pytest.fixture
def epochs(monkeypatch):
    """The numbers of epochs of the descents, one for each transform."""
    from umap import layouts

    seen, original = [], layouts.optimize_layout_euclidean

    def spy(**arguments):
        longest = arguments["epochs_per_sample"].max()
        assert longest <= arguments["n_epochs"], "weaker edges would not be visited once"
        seen.append(arguments["n_epochs"])
        return original(**arguments)

    monkeypatch.setattr(layouts, "optimize_layout_euclidean", spy)
    return seen


def neighbors(points, fitted, count=30):
    return np.argsort(pairwise_distances(points, fitted), axis=1)[:, :count]


def test_neighbourhoods_are_kept_as_well_as_umap_learn_keeps_them(clustered, umap, library):
    train, new, cluster, new_cluster = clustered
    ours, theirs = (trustworthiness(train, m.embedding_, n_neighbors=10) for m in (umap, library))
    assert ours > 0.95 and ours > theirs - 0.01
    places = umap.transform(new)
    assert places.dtype == np.float64 and places.shape == (300, 3)
    nearest = neighbors(places, umap.embedding_, 1)[:, 0]
    assert (cluster[nearest] == new_cluster).mean() > 0.99


def test_new_rows_land_where_umap_learn_s_own_transform_puts_them(clustered, umap, library):
    new = clustered[1].astype(np.float32)
    # The same fit on both sides, so that only the transforms differ.
    ours = UMAPEmbedding(3).set_params(**umap.get_params())
    ours.__dict__.update(umap.__dict__ | {"embedding_": library.embedding_, "a_": library._a, "b_": library._b})
    near_ours, near_theirs = (neighbors(m.transform(new), library.embedding_) for m in (ours, library))
    overlap = np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(near_ours, near_theirs, strict=True)])
    chance = 30 / (600 / CLUSTERS)  # what rows put anywhere in the right cluster would share
    assert overlap > 0.65 > chance + 0.2


@pytest.mark.parametrize("keep_fitted", [True, False])
def test_new_rows_are_placed_in_30_epochs_however_many_they_are(clustered, umap, epochs, keep_fitted):
    like = UMAPEmbedding(3).set_params(**umap.get_params() | {"keep_fitted": keep_fitted})
    like.__dict__.update(umap.__dict__ | {"keep_fitted": keep_fitted})
    for rows in (1, 100):
        like.transform(clustered[1][:rows])
    assert epochs == [30, 30]


def test_a_fit_of_an_older_version_keeps_its_100_epochs(clustered, umap, epochs):
    older = stored(umap)
    del older.__dict__["transform_epochs"]
    older = stored(older)
    older.transform(clustered[1][:2])
    assert epochs == [100] and older.get_params()["transform_epochs"] == 100


def test_a_row_is_placed_by_itself(clustered, umap):
    new = clustered[1][:200]
    together = umap.transform(new)
    order = np.random.default_rng(0).permutation(200)
    assert umap.transform(new[order]).tobytes() == together[order].tobytes()
    for row in (0, 57, 199):
        assert umap.transform(new[[row]]).tobytes() == together[[row]].tobytes()
    far = np.vstack([new, new[:1] + 1000, clustered[0][:3] + 1e-5])  # an outlier and near copies change nothing
    assert umap.transform(far)[:200].tobytes() == together.tobytes()
    assert np.isfinite(umap.transform(far)).all()
    assert len(np.unique(together, axis=0)) == 200


def test_fitted_rows_get_their_fitted_place(clustered, umap):
    train, new = clustered[:2]
    np.testing.assert_array_equal(umap.transform(train), umap.embedding_)
    mixed = umap.transform(np.vstack([new[:5], train[[3, 1]], new[5:9]]))
    np.testing.assert_array_equal(mixed[5:7], umap.embedding_[[3, 1]])
    np.testing.assert_array_equal(mixed[[0, 1, 2, 3, 4, 7, 8, 9, 10]], umap.transform(new[:9]))


def test_fitted_rows_can_be_placed_like_new_ones(clustered, umap):
    train, new, cluster, _ = clustered
    like_new = UMAPEmbedding(3, random_state=1903, keep_fitted=False).fit(train)
    np.testing.assert_array_equal(like_new.embedding_, umap.embedding_)
    np.testing.assert_array_equal(like_new.transform(new[:50]), umap.transform(new[:50]))
    places = like_new.transform(train)
    assert (np.abs(places - umap.embedding_).max(axis=1) > 1e-6).all()
    nearest = neighbors(places, umap.embedding_, 1)[:, 0]
    assert (cluster[nearest] == cluster).mean() > 0.99
    mixed = like_new.transform(np.vstack([new[:3], train[[7]]]))
    np.testing.assert_array_equal(mixed[3], places[7])
    back = stored(like_new)
    np.testing.assert_array_equal(back.transform(train[:20]), places[:20])


def test_of_equal_fitted_rows_the_first_counts_and_signed_zeros_are_equal(clustered):
    train = clustered[0][:60].copy()
    train[40:], train[0, 0] = train[:20], 0.0
    umap = UMAPEmbedding(2, random_state=0, n_neighbors=5).fit(train)
    np.testing.assert_array_equal(umap.transform(train[:20]), umap.embedding_[:20])
    np.testing.assert_array_equal(umap.transform(train[41:]), umap.embedding_[1:20])
    negative = train[:1].copy()
    negative[0, 0] = -0.0
    np.testing.assert_array_equal(umap.transform(negative), umap.embedding_[:1])


def test_a_seed_gives_one_embedding_also_in_another_process(clustered, umap, tmp_path):
    again = UMAPEmbedding(3, random_state=1903).fit(clustered[0])
    assert again.embedding_.tobytes() == umap.embedding_.tobytes()
    assert UMAPEmbedding(3, random_state=1).fit(clustered[0]).embedding_.tobytes() != umap.embedding_.tobytes()
    # There the descent is compiled anew, and the fit comes from storage.
    (tmp_path / "fit").write_bytes(fits.dump(umap)[0])
    np.save(tmp_path / "new.npy", clustered[1][:20])
    program = (
        "import sys, numpy as np; from pathlib import Path; from moa.weights.fitted_transformers import load;"
        "f = sys.argv[1]; umap = load(Path(f, 'fit').read_bytes(), Path(f));"
        "np.save(f + '/places.npy', umap.transform(np.load(f + '/new.npy')))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert np.load(tmp_path / "places.npy").tobytes() == umap.transform(clustered[1][:20]).tobytes()


def test_storage_keeps_arrays_and_numbers_alone(clustered, umap):
    plain = (int, float, str, np.ndarray, type(None))
    assert all(isinstance(value, plain) for value in vars(umap).values())
    back = stored(umap)
    assert back.transform(clustered[1]).tobytes() == umap.transform(clustered[1]).tobytes()
    assert list(back.get_feature_names_out()) == ["umap_0", "umap_1", "umap_2"]


def test_nearest_rows_are_the_nearest():
    generator = np.random.default_rng(0)
    rows = (generator.normal(size=(500, 40)) + 100).astype(np.float32)  # far from 0: products would lose digits
    rows[7] = rows[3]
    x = np.vstack([rows[[3, 20]], generator.normal(size=(300, 40)) + 100]).astype(np.float32)
    indices, distances = _nearest(x, rows, 15)
    exact = np.sqrt(((x[:, None].astype(np.float64) - rows) ** 2).sum(axis=2))
    order = np.argsort(exact, axis=1, kind="stable")[:, :15]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(distances, np.take_along_axis(exact, order, axis=1).astype(np.float32))
    assert indices[0, 0] == 3 and indices[0, 1] == 7 and distances[0, 1] == 0
    assert _nearest(x, rows[:15], 15)[0].shape == (302, 15)


def test_strengths_are_umap_learn_s_of_a_row_alone():
    from umap.umap_ import compute_membership_strengths, smooth_knn_dist

    generator = np.random.default_rng(0)
    distances = np.sort(np.abs(generator.normal(size=(50, 15)) + generator.uniform(0, 30, (50, 1))), axis=1)
    distances = distances.astype(np.float32)
    distances[:3] *= 1e-6
    indices = np.tile(np.arange(15), (50, 1))
    for row in range(50):
        one = distances[row : row + 1]
        sigma, rho = smooth_knn_dist(one, 15.0, local_connectivity=0.0)
        expected = compute_membership_strengths(indices[:1], one, sigma, rho, bipartite=True)[2]
        np.testing.assert_allclose(_strengths(one)[0], expected, rtol=1e-3)
    sums = _strengths(distances)[:, 1:].sum(axis=1)
    np.testing.assert_allclose(sums, np.log2(15), rtol=1e-6)


def test_too_few_rows_are_refused(clustered):
    with pytest.raises(UserError, match="15 rows are too few for 15 neighbours"):
        UMAPEmbedding(2).fit(clustered[0][:15])


def test_what_is_compiled_for_a_fit_is_kept_for_other_processes(umap):
    from umap import layouts, umap_

    compiled = (
        umap_.smooth_knn_dist,
        umap_.compute_membership_strengths,
        layouts._nb_optimize_layout_euclidean_single_epoch,
    )
    for function in compiled:
        assert function.stats.cache_path, "in the memory of this process alone"
        assert function.stats.cache_hits or function.stats.cache_misses


def test_a_seed_gives_one_embedding_also_where_rows_are_equal(clustered):
    """umap-learn with approximate neighbours is reported to differ there from run to run; neighbours here are exact."""
    rows = clustered[0][:150].copy()
    rows[100:] = rows[:50]
    first, second = (UMAPEmbedding(2, random_state=7).fit(rows) for _ in range(2))
    assert first.embedding_.tobytes() == second.embedding_.tobytes()
    assert first.transform(rows[100:]).tobytes() == first.transform(rows[:50]).tobytes()
